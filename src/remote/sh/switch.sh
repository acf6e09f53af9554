#!/bin/sh
# shellcheck disable=SC2034
# switch: how nginx is told what is new and how that is proven; and the beginning and the end of prepare,
# commit and revert. Needs fence, nginx and tokens.
#
# Parameters: those of nginx; APP; MASTER_PID, MASTER_START, MASTER_BOOT, MASTER_UID; ERROR_LOG (may be
# empty); RELOAD (auto, signal or systemctl); DEADLINE_MS.
# Prints: `switch=proven` with `serving` and `leaving`, `switch=unproven` with `reason`,
# `switch=drifted`, `switch=restarted` or `switch=no_home`.

# switch_begin: takes both flocks and passes the fence.
switch_begin() {
    need flock
    scratch
    state_ready_or_refuse
    nginx_find
    use_root "$MASTER_UID"
    deadline_in "$LOCK_WAIT_MS"
    until both_flocks; do
        time_left || fail busy "$STATE or ${CONF%/*}"
        nap
    done
    fence || refuse
    # From here on it goes to its end, whoever hangs up: it has a deadline of its own.
    trap '' HUP INT PIPE TERM
}

# both_flocks: takes the state's flock and then nginx's, or none: who waits for the one must keep nobody
# from the other. The nginx one is the folder of the main file: shared by all apps and users of this nginx,
# and by nobody else's.
both_flocks() {
    exec 9<"$STATE" 8<"${CONF%/*}"
    if flock -n 9 && flock -n 8; then return 0; fi
    exec 9<&- 8<&-
    return 1
}

# drifted: answers that something else is there than what was observed; nothing was changed.
drifted() {
    printf 'drifted: %s\n' "$1"
    words_of "$1"
    trail drifted reason "$WORDS"
    passed
    say switch drifted
    answered
}

# restarted: answers that another nginx runs than the one that was observed; nothing was changed.
restarted() {
    trail restarted pid "$MASTER_PID"
    passed
    say switch restarted
    answered
}

# no_home: answers that nothing was saved for this run; nothing was changed.
no_home() {
    trail no_home home "$HOME_RUN"
    passed
    say switch no_home
    answered
}

# unproven REASON: answers that it is not proven that nginx runs what is in place.
unproven() {
    words_of "$1"
    trail unproven reason "$WORDS"
    passed
    say switch unproven
    text reason "$1"
    answered
}

# log_mark: remembers how long the error log is now.
log_mark() {
    LOG_MARK=
    [ -n "$ERROR_LOG" ] && [ -f "$ERROR_LOG" ] || return 0
    LOG_MARK=$(stat -c %s -- "$ERROR_LOG" 2>/dev/null) || LOG_MARK=
}

# emerg_read: sets EMERG, the `[emerg]` lines that were written since the mark, at most ten.
emerg_read() {
    EMERG=
    [ -n "$LOG_MARK" ] && [ -f "$ERROR_LOG" ] || return 0
    e_size=$(stat -c %s -- "$ERROR_LOG")
    [ "$e_size" -ge "$LOG_MARK" ] || LOG_MARK=0
    [ "$e_size" -gt "$LOG_MARK" ] || return 0
    if [ -r "$ERROR_LOG" ]; then
        tail -c "+$((LOG_MARK + 1))" -- "$ERROR_LOG" >"$SCRATCH/log"
    else
        root tail -c "+$((LOG_MARK + 1))" -- "$ERROR_LOG" >"$SCRATCH/log" || return 0
    fi
    EMERG=$(grep -F '[emerg]' "$SCRATCH/log" | head -n 10) || :
}

# systemd_runs_it: whether systemd's unit nginx is this very master.
systemd_runs_it() {
    [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1 || return 1
    [ "$(systemctl show -p MainPID nginx 2>/dev/null)" = "MainPID=$MASTER_PID" ]
}

# reload: tells nginx to read its files; false, with the words in $SCRATCH/reload, if it refuses or takes
# longer than ROOT_SECONDS.
reload() {
    case $RELOAD in
    auto) if systemd_runs_it; then r_way=systemctl; else r_way=signal; fi ;;
    *) r_way=$RELOAD ;;
    esac
    if [ "$r_way" = systemctl ]; then
        # A unit that sends HUP answers 0 whatever happens.
        nginx_root -t >"$SCRATCH/reload" 2>&1 || return 1
        root systemctl reload nginx >"$SCRATCH/reload" 2>&1
    else
        nginx_root -s reload >"$SCRATCH/reload" 2>&1
    fi
}

# workers_before: remembers the workers as `PID:START`.
workers_before() {
    BEFORE=
    children_read "$MASTER_PID"
    for b_pid in $CHILDREN; do
        process_alive "$b_pid" || continue
        BEFORE="$BEFORE $b_pid:$P_START"
    done
    BEFORE="$BEFORE "
}

# switched: whether a fresh worker serves and no old one does.
switched() {
    workers_read "$MASTER_PID"
    [ -n "$SERVING" ] || return 1
    for w_pid in $SERVING; do
        process_alive "$w_pid" || return 1
        case $BEFORE in
        *" $w_pid:$P_START "*) return 1 ;;
        esac
    done
}

# look_for_emerg: ends with unproven at the first complaint that no later try can mend.
look_for_emerg() {
    emerg_read
    [ -n "$EMERG" ] || return 0
    case $EMERG in
    *'still could not bind'*) unproven "$EMERG" ;;
    *'bind() to '*) ;;
    *) unproven "$EMERG" ;;
    esac
}

# reload_and_prove CHECK...: reloads, and answers when fresh workers serve, no old one takes a
# connection, the master is the same, CHECK holds and nothing was complained of.
reload_and_prove() {
    the_master || unproven "the nginx master is not the one that was observed"
    workers_before
    log_mark
    deadline_in "$DEADLINE_MS"
    t_end=$DEADLINE_CS
    # Names that cannot be resolved, or a bus that does not answer, must not hold the flocks.
    ROOT_SECONDS=$(((DEADLINE_MS + 999) / 1000))
    reload || unproven "$(tail -c 4096 "$SCRATCH/reload")"
    uptime_read
    t_look=$((UPTIME_CS + 50))
    until switched; do
        the_master || unproven "the nginx master ended"
        uptime_read
        if [ "$UPTIME_CS" -ge "$t_look" ]; then
            look_for_emerg
            t_look=$((UPTIME_CS + 50))
        fi
        if [ "$UPTIME_CS" -ge "$t_end" ]; then
            emerg_read
            unproven "${EMERG:-no fresh worker within $DEADLINE_MS ms, or an old one still takes connections}"
        fi
        nap
    done
    emerg_read
    [ -z "$EMERG" ] || unproven "$EMERG"
    the_master || unproven "the nginx master is not the one that was observed"
    "$@" || unproven "the file was changed by somebody else"
}

# proven: answers that it is, with what is left of the watch where this script armed one.
proven() {
    trail proven home "$HOME_RUN"
    passed
    say switch proven
    workers_say ''
    [ -z "${TOKEN-}" ] || watch_left_say
    answered
}
