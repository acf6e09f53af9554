#!/bin/sh
# shellcheck disable=SC2034,SC2153
# timer: sleeps on a WAS host beside its pending file, and at the hour stops the old instance: by its identity, and
# only if nobody took the lock since, the run still waits, the new instance is the recorded process, listens and is
# healthy, and for a while no connection from an nginx address touched the old port. All of that is asked under the
# flock, in which the pending file is then moved to stopping: whoever cancels it moves the same file. What speaks
# against it leaves the old instance up, and is written down beside it. It leaves at once where its file is no
# longer pending or the machine was booted since. What a unit of systemd runs is ended as `stop` does it; of both
# instances it counts that systemd may have started them anew.
#
# Parameters: those of stop_unit without START_WORD, those of asking (the new instance), and TIMER_RUN, TIMER_EPOCH,
# TIMER_NUMBER, LOCK_HELD_BY (the run that set it), OLD_PORT, NGINX_ADDRESSES (words, as the kernel writes them),
# QUIET_MS (how long none of them must be connected), QUIET_LIMIT_MS (how long it waits for that), HEALTH_STATUS and
# HEALTH_BODY (may be empty); and as its argument the state folder.
# Prints: nothing; what it did is in its file and in the audit trail.
EVENT=timer
STATE_DIR=$1
START_WORD=
TIMER=$TIMER_RUN.$TIMER_EPOCH.$TIMER_NUMBER
NOW=pending
# Each after the port was quiet once more.
TRIES=3
# Whoever wants the flock meanwhile gives up after 8 s.
HEALTH_LIMIT_MS=5000
state_find
if [ "$STATE_STATUS" != ready ] || ! timer_read "$TIMER.pending"; then exit 0; fi
TRAIL_RUN=$TIMER_RUN TRAIL_EPOCH=$TIMER_EPOCH TRAIL_WHO=timer
cleanup() { rm -f -- "$STATE/timers/$TIMER.pid"; }

# What ends it where it cannot go on.
fail() {
    f_reason="$1: $2"
    # shellcheck disable=SC2317
    fail() { exit 3; }
    [ "$NOW" = pending ] || stuck "$f_reason"
    refuse "$f_reason"
}

# still_pending: whether nobody moved the file in this boot.
still_pending() {
    machine_read
    [ -f "$STATE/timers/$TIMER.pending" ] && [ "$T_BOOT" = "$BOOT_ID" ]
}

# note REASON: writes down why. What cannot be written stops nothing: the disk may be full.
note() {
    words_of "$1"
    n_file=$STATE/timers/$TIMER.reason
    { printf '%s\n' "$WORDS" >"$n_file.new" && mv -f -- "$n_file.new" "$n_file"; } 2>/dev/null || rm -f -- "$n_file.new"
}

# refuse REASON: leaves the old instance up. Under the flock.
refuse() {
    note "$1"
    timer_move "$TIMER" pending refused
    trail refused timer "$TIMER" slot "$SLOT" reason "$WORDS"
    exit 0
}

# stuck REASON: the old instance was told to end and is still there.
stuck() {
    note "$1"
    trail_late still_runs timer "$TIMER" slot "$SLOT" pid "$PID" reason "$WORDS"
    exit 0
}

successor_missing() { refuse "$1"; }

still_runs() {
    [ "$NOW" != pending ] || refuse "$ERROR"
    stuck "${ERROR:-it is there after KILL}"
}

# gone RESULT: forgets the process where it is the recorded one. Under the flock.
gone() {
    ! is_on_record || rm -f -- "$STATE/instance.$SLOT"
    trail "$1" timer "$TIMER" slot "$SLOT" pid "$PID" ${BY_UNIT:+unit "$BY_UNIT"}
    [ -z "${NOT_DISABLED:-}" ] || note "its unit $BY_UNIT was not disabled, and a boot may start it again: $NOT_DISABLED"
    timer_move "$TIMER" "$NOW" stopped
    exit 0
}

# take_lock: takes the flock, or leaves where it is no longer pending.
take_lock() {
    exec 9<"$STATE"
    until flocked 5000 9; do still_pending || exit 0; done
    still_pending || exit 0
}

# From stopping on it goes to its end, whoever has the lock by then.
hold_again() {
    exec 9<"$STATE"
    until flocked 5000 9; do :; done
}

# touched: whether an nginx has a connection to the old port, or had one a moment ago. One that it has closed and the
# application has not does not count. Sets USERS: nginx, nobody, or nothing where that cannot be seen, which counts as
# nginx.
touched() {
    USERS=$({ cat /proc/net/tcp && echo whole && { cat /proc/net/tcp6 2>/dev/null || :; }; } |
        awk -v port="$OLD_PORT" -v list="$NGINX_ADDRESSES" '
        BEGIN {
            suffix = sprintf(":%04X", port)
            count = split(list, words, " ")
            for (i = 1; i <= count; i++) nginx[words[i]] = 1
        }
        $1 == "whole" { whole = 1 }
        $4 != "0A" && $4 != "08" && substr($2, length($2) - 4) == suffix {
            peer = $3
            sub(/:.*/, "", peer)
            if (peer in nginx) found = 1
        }
        END { if (found) print "nginx"; else if (whole) print "nobody" }') || USERS=
    [ "$USERS" != nobody ]
}

# await_quiet: waits until none has had one for long enough; one that is seen lets the time begin anew.
await_quiet() {
    uptime_read
    q_since=$UPTIME_CS
    while still_pending; do
        q_touched=no
        ! touched || q_touched=yes
        uptime_read
        [ "$q_touched" = no ] || q_since=$UPTIME_CS
        [ $((UPTIME_CS - q_since)) -lt $((QUIET_MS / 10)) ] || return 0
        if [ "$q_touched" = yes ] && [ "$UPTIME_CS" -ge "$LIMIT_CS" ]; then
            take_lock
            [ -n "$USERS" ] || refuse "who is connected to port $OLD_PORT cannot be seen"
            refuse "nginx goes on using port $OLD_PORT"
        fi
        # A connection may be short, and leave nothing behind.
        if [ "$q_touched" = yes ]; then sleep 1; else sleep 0.2 2>/dev/null || sleep 1; fi
    done
    exit 0
}

# recorded KEY: sets WORD, what the record says there.
recorded() {
    WORD=$(sed -n 's/^  "'"$1"'": *"\{0,1\}\([A-Za-z0-9._-]*\)"\{0,1\},\{0,1\}$/\1/p' "$STATE/record" 2>/dev/null |
        head -n 1)
}

# nobody_came: refuses where anybody took the lock since, or the run does not wait. Under the flock.
nobody_came() {
    lock_read
    [ "$LOCK_EPOCH" = "$TIMER_EPOCH" ] || refuse "the lock was taken since, under epoch $LOCK_EPOCH"
    [ -z "$LOCK_RUN" ] || [ "$LOCK_RUN" = "$LOCK_HELD_BY" ] || refuse "run $LOCK_RUN holds the lock"
    recorded run
    [ "$WORD" = "$TIMER_RUN" ] || refuse "the run on record is ${WORD:-none}"
    recorded epoch
    [ "$WORD" = "$TIMER_EPOCH" ] || refuse "the run went on under epoch ${WORD:-0}"
    recorded status
    [ "$WORD" = waiting ] || refuse "the run on record does not wait: it is ${WORD:-unknown}"
}

# healthy: whether the new instance says so, asked once. Under the flock, for which others wait meanwhile.
healthy() {
    ask || refuse 'the host has none of curl, wget, nc and bash'
    [ "$STATUS" = "$HEALTH_STATUS" ] || return 1
    [ -z "$HEALTH_BODY" ] || grep -q -F -e "$HEALTH_BODY" "$SCRATCH/body"
}

# begin: puts on record that the end begins. What needs room on the disk is written before anything is moved. Under
# the flock.
begin() {
    b_record=$STATE/record.new.$$
    if ! {
        sed 's/^  "point_of_no_return": false/  "point_of_no_return": true/' "$STATE/record" |
            dd of="$b_record" conv=fsync 2>/dev/null && grep -q '^  "point_of_no_return": true' "$b_record"
    }; then
        rm -f -- "$b_record"
        refuse 'the record cannot be written'
    fi
    trap '' HUP INT PIPE TERM
    timer_move "$TIMER" pending stopping
    NOW=stopping
    mv -f -- "$b_record" "$STATE/record" || fail state_folder 'the record cannot be moved'
    synced "$STATE"
    trail stopping timer "$TIMER" slot "$SLOT" pid "$PID" ${BY_UNIT:+unit "$BY_UNIT"}
    synced "$STATE/audit"
}

process_read "$$"
printf '%s %s %s\n' "$$" "$P_START" "$BOOT_ID" >"$STATE/timers/$TIMER.pid.new"
mv -f -- "$STATE/timers/$TIMER.pid.new" "$STATE/timers/$TIMER.pid"
sleep_out still_pending timer_left
LIMIT_CS=$((UPTIME_CS + QUIET_LIMIT_MS / 10))
[ "$TIMEOUT_MS" -le "$HEALTH_LIMIT_MS" ] || TIMEOUT_MS=$HEALTH_LIMIT_MS
while :; do
    await_quiet
    take_lock
    if touched; then
        state_unlock
        continue
    fi
    nobody_came
    is_there || ended already_gone
    look_at_successor
    SCRATCH=${SCRATCH:-$(mktemp -d)} || refuse 'there is no room for what it asks'
    ! healthy || break
    TRIES=$((TRIES - 1))
    [ "$TRIES" -gt 0 ] || refuse "the new instance is not healthy: it answers ${STATUS:-nothing} to $REQUEST_PATH"
    state_unlock
done
is_there || ended already_gone
[ -z "$BY_UNIT" ] || unit_allowed || refuse "sudo does not let it $DENIED the unit $BY_UNIT"
begin
end_it
