#!/bin/sh
# shellcheck disable=SC2034,SC2153
# start_unit: the part of `start` that has systemd start a unit. Needs units, and what `start` itself has.
#
# Parameters: those of `start`. Prints: nothing but what `start` answers.

# unit_ask WORD...: has systemctl do it to UNIT; sets ERROR where it does not.
unit_ask() {
    ERROR=
    use_root
    scratch
    root systemctl "$@" "$UNIT" 2>"$SCRATCH/systemctl" </dev/null || {
        ERROR=$(head -n 1 "$SCRATCH/systemctl")
        ERROR="systemctl $1 $UNIT failed: ${ERROR:-it does not say why}"
        return 1
    }
}

# unit_halt: waits until the unit neither runs nor is about to, for ten seconds.
unit_halt() {
    unit_ask stop --no-block || return 1
    deadline_in 10000
    while unit_read "$UNIT" && unit_up; do
        if ! time_left; then
            ERROR="unit $UNIT is $U_ACTIVE, and does not end"
            return 1
        fi
        nap
    done
}

# unit_undo: takes back what this start did to the unit. What cannot be taken back stays on record.
unit_undo() {
    fence_again
    if unit_halt; then
        [ "$UNIT_ENABLE" = no ] || unit_ask disable || :
        rm -f -- "$STATE/instance.$SLOT"
    fi
    trail undone slot "$SLOT" release "$RELEASE" unit "$UNIT"
    state_unlock
}

# unit_ended: it ended, or it was never begun.
unit_ended() {
    u_reason="unit $UNIT is $U_ACTIVE: $U_RESULT, status ${U_STATUS:-unknown}"
    # Its main process ended by signal 9, whether systemd saw who sent it or not.
    case $U_RESULT-$U_STATUS in
    oom-kill-* | signal-9) ! killed_for_memory || u_reason='ended by signal 9' ;;
    esac
    unit_undo
    exited "$u_reason"
}

# link_release: leads the port to the release, by a rename. What is there and is none of our links stays.
link_release() {
    l_link=$RELEASE_DIR/current/$PORT
    mkdir -p -- "${l_link%/*}"
    if [ -L "$l_link" ]; then
        case $(readlink -- "$l_link") in
        ../releases/*) ;;
        *) exited "$l_link leads elsewhere, and nonstop did not make it" ;;
        esac
    elif [ -e "$l_link" ]; then
        exited "$l_link is there, and nonstop did not make it"
    fi
    ln -s -- "../releases/$RELEASE" "$l_link.new.$$"
    mv -f -T -- "$l_link.new.$$" "$l_link"
    synced "${l_link%/*}"
}

# unit_adopted: whether an earlier try of this very start is on record, and systemd runs it.
unit_adopted() {
    instance_read "$SLOT" || [ -n "$I_WORD" ] || return 1
    [ "$I_UNIT $I_RELEASE $I_PORT" = "$UNIT $RELEASE $PORT" ] && unit_up || return 1
    if [ -n "$I_WORD" ]; then
        [ "$I_RUN" = "$FENCE_RUN" ] || return 1
        WORD=$I_WORD
        return 0
    fi
    [ "$U_MAIN" -gt 0 ] && [ "$(readlink -- "$RELEASE_DIR/current/$PORT" 2>/dev/null || :)" = "../releases/$RELEASE" ]
}

# await_unit: waits until the unit has the port. A main process that another one took the place of has ended.
await_unit() {
    a_main=0
    uptime_read
    a_soon=$((UPTIME_CS + 300))
    deadline_in "$DEADLINE_MS"
    while :; do
        sockets_read "$PORT"
        holders_read
        if unit_instance "$UNIT" "$PORT"; then
            [ "$a_main" = 0 ] || [ "$a_main" = "$U_MAIN" ] || unit_ended
            a_main=$U_MAIN
            [ "$LISTENER" != own ] || listening "$N_PID"
        elif [ -n "$U_ACTIVE" ]; then
            uptime_read
            if [ "$a_main" != 0 ]; then
                unit_ended
            elif ! unit_up && { [ "$U_ACTIVE" = failed ] || [ "$UPTIME_CS" -gt "$a_soon" ]; }; then
                unit_ended
            fi
            # Who listens may be the unit's: its main process may be known to systemd a little later.
            if unit_up; then LISTENER=none; else listener_of "$PORT" ''; fi
        else
            LISTENER=none
        fi
        if [ "$LISTENER" = other ]; then
            unit_undo
            port_taken
        fi
        time_left || break
        nap
    done
    [ -n "$U_ACTIVE" ] || exited "systemd does not answer"
    [ "$a_main" != 0 ] || unit_ended
    trail_late not_listening slot "$SLOT" release "$RELEASE" port "$PORT" pid "$a_main"
    say fence passed
    say start not_listening
    identity_say identity "$N_PID" "$N_START" "$N_UID"
    tail_say
    answered
}

# start_unit: has systemd start it. The record and the link come first: whatever systemd starts from then on, at a
# boot too, is this slot's and runs this release.
start_unit() {
    clock_read
    SINCE=$CLOCK
    unit_read "$UNIT" || exited "systemd does not answer"
    if unit_adopted; then
        state_unlock
        await_unit
    fi
    listener_read "$PORT" ''
    [ "$LISTENER" = none ] || port_taken
    unit_state
    case $U_STATE in
    ready | static) ;;
    *) exited "unit $UNIT cannot be started: it is $U_LOAD" ;;
    esac
    if unit_up; then
        # What a start of this slot left there, or systemd is about to start once more after a crash, is ended first.
        [ "$U_MAIN" = 0 ] || [ "$I_UNIT" = "$UNIT" ] ||
            exited "unit $UNIT runs already, as process $U_MAIN, and does not listen on port $PORT"
        unit_halt || exited "$ERROR"
    fi
    # One that crashed too often is not started before somebody says so.
    [ "$U_ACTIVE" != failed ] || unit_ask reset-failed || exited "$ERROR"
    WORD=$FENCE_RUN.$FENCE_EPOCH.$FENCE_SEQUENCE.$PORT
    link_release
    record_word
    [ "$UNIT_ENABLE" = no ] || unit_ask enable || exited "$ERROR"
    unit_ask start --no-block || {
        a_error=$ERROR
        state_unlock
        unit_undo
        exited "$a_error"
    }
    trail unit_started slot "$SLOT" release "$RELEASE" port "$PORT" unit "$UNIT"
    state_unlock
    await_unit
}
