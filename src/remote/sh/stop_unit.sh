#!/bin/sh
# shellcheck disable=SC2034,SC2153
# stop_unit: the part of `stop` that has systemd end what a unit runs. Needs units, and what `stop` itself has.
#
# Parameters: those of `stop`. Prints: nothing but what `stop` answers.

# find_unit: sets BY_UNIT to the unit that runs what is meant; empty where none does.
find_unit() {
    BY_UNIT=
    instance_read "$SLOT" || :
    [ -n "$I_UNIT$UNIT" ] || return 0
    if [ -n "$START_WORD" ]; then
        [ "$I_WORD" != "$START_WORD" ] || BY_UNIT=$I_UNIT
        return 0
    fi
    if same_process "$PID" "$START_TICKS" "$IDENTITY_BOOT" "$IDENTITY_UID"; then
        for f_unit in $I_UNIT $UNIT; do
            unit_read "$f_unit" || unit_unknown
            if unit_up && [ "$U_MAIN" -gt 0 ] && descends "$PID" "$U_MAIN"; then
                BY_UNIT=$f_unit
                return 0
            fi
        done
    else
        BY_UNIT=$I_UNIT
        # What somebody else's unit runs in its place was never looked at.
        [ -z "$BY_UNIT" ] && unit_read "$UNIT" && unit_up && [ "$U_MAIN" -gt 0 ] || return 0
        ERROR="unit $UNIT runs another process by now, $U_MAIN"
        still_runs
    fi
}

unit_unknown() {
    ERROR="systemd does not answer, and may start again what is ended"
    still_runs
}

# unit_lives: whether the unit runs or is about to.
unit_lives() {
    unit_read "$BY_UNIT" || unit_unknown
    unit_up
}

# unit_await MILLISECONDS: whether it ended by then.
unit_await() {
    deadline_in "$1"
    while unit_lives; do
        time_left || return 1
        nap
    done
}

# unit_ask WORD...: has systemctl do it; sets ERROR where it does not.
unit_ask() {
    ERROR=
    use_root
    scratch
    if root systemctl "$@" "$BY_UNIT" 2>"$SCRATCH/systemctl" </dev/null; then
        trail "$1" slot "$SLOT" unit "$BY_UNIT"
    else
        ERROR=$(head -n 1 "$SCRATCH/systemctl")
        ERROR=${ERROR:-systemctl $1 failed}
        words_of "$ERROR"
        trail "not_$1" slot "$SLOT" unit "$BY_UNIT" reason "$WORDS"
    fi
}

# unit_gone RESULT: it ended; the record goes last, so that whoever comes after a crash does the rest.
unit_gone() {
    g_result=$1
    [ "$g_result-$U_RESULT" != terminated-timeout ] || g_result=killed
    g_enabled=$UNIT_ENABLE
    [ "$I_UNIT" != "$BY_UNIT" ] || g_enabled=$I_ENABLED
    [ "$g_enabled" != yes ] || unit_ask disable
    [ "$I_UNIT" != "$BY_UNIT" ] || rm -f -- "$STATE/instance.$SLOT"
    trail "$g_result" slot "$SLOT" unit "$BY_UNIT"
    say fence passed
    say stop "$g_result"
    answered
}

# stop_unit: has systemd end it, and kill what is left of it after the grace.
stop_unit() {
    unit_lives || unit_gone already_gone
    look_at_successor
    s_unit=$BY_UNIT
    find_unit
    [ "$BY_UNIT" = "$s_unit" ] || still_runs
    unit_ask stop --no-block
    [ -z "$ERROR" ] || still_runs
    state_unlock
    if unit_await "$GRACE_MS"; then
        fence_again
        unit_gone terminated
    fi
    fence_again
    unit_ask kill --signal=KILL
    state_unlock
    if unit_await 5000; then
        fence_again
        unit_gone killed
    fi
    still_runs
}
