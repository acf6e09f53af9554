#!/bin/sh
# shellcheck disable=SC2034,SC2153
# stop_unit: whether what is meant to end is there, and its end: by systemd where a unit runs it, which would start it
# again otherwise, else by ending. Needs ending and units.
#
# A unit runs it where the process is the unit's main process, or was started by it, and where it is gone and the unit
# on record runs another with the release on record, which systemd started in its place. A script that uses it defines
# what ending asks for.
#
# Parameters: those of ending, UNIT (the slot's own, may be empty) and UNIT_ENABLE. Prints: nothing.

# start_read: sets ON_RECORD, what the slot's last start left, as it stands there.
start_read() {
    ON_RECORD=$(cat -- "$STATE/instance.$SLOT" 2>/dev/null) || ON_RECORD=
}

# same_start: whether nobody has started the slot since find_unit.
same_start() {
    start_read
    [ "$ON_RECORD" = "$FOUND_START" ]
}

# find_unit: sets BY_UNIT to the unit that runs what is meant; empty where none does.
find_unit() {
    BY_UNIT=
    start_read
    FOUND_START=$ON_RECORD
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
        [ -z "$I_UNIT" ] || ! link_is_recorded || return 0
        # What somebody else's unit runs in its place, or another release, was never looked at.
        f_unit=${I_UNIT:-$UNIT}
        unit_read "$f_unit" && unit_up && [ "$U_MAIN" -gt 0 ] || return 0
        ERROR="unit $f_unit runs another process by now, $U_MAIN"
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

# is_there: whether what is meant is there, or about to be; sets BY_UNIT.
is_there() {
    find_unit
    if [ -n "$BY_UNIT" ]; then unit_lives; else victim; fi
}

# unit_await MILLISECONDS: whether it ended by then.
unit_await() {
    deadline_in "$1"
    while unit_lives; do
        time_left || return 1
        nap
    done
}

# unit_allowed: whether sudo, where it is needed, lets the login end the unit, for this boot and the next one; else sets
# DENIED.
unit_allowed() {
    use_root
    [ "$ROOT_WAY" != direct ] || return 0
    DENIED=stop
    sudo -n -l -- systemctl stop --no-block "$BY_UNIT" >/dev/null 2>&1 || return 1
    unit_is_ours || return 0
    DENIED=disable
    sudo -n -l -- systemctl disable "$BY_UNIT" >/dev/null 2>&1
}

# unit_is_ours: whether the unit was enabled with its start, and is disabled with its end.
unit_is_ours() {
    o_enabled=$UNIT_ENABLE
    [ "$I_UNIT" != "$BY_UNIT" ] || o_enabled=$I_ENABLED
    [ "$o_enabled" = yes ]
}

# unit_ask WORD...: has systemctl do it, and waits for it half a minute; sets ERROR where it does not.
unit_ask() {
    ERROR='' ROOT_SECONDS=30
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
    ROOT_SECONDS=
}

# hold_unit: takes the flock anew. Where the slot was started meanwhile, what was meant was ended before, and the unit
# runs somebody else's.
hold_unit() {
    hold_again
    same_start || gone terminated
}

# ended RESULT: what is meant is there no more. A unit is disabled first: whoever comes after a crash finds it on record,
# and does the rest. Sets NOT_DISABLED where systemd does not do it.
ended() {
    e_result=$1 NOT_DISABLED=
    if [ -n "$BY_UNIT" ]; then
        [ "$e_result-$U_RESULT" != terminated-timeout ] || e_result=killed
        if unit_is_ours; then
            unit_ask disable
            NOT_DISABLED=$ERROR
        fi
    fi
    gone "$e_result"
}

# end_unit: has systemd end it, and kill what is left of it after the grace.
end_unit() {
    unit_ask stop --no-block
    [ -z "$ERROR" ] || still_runs
    state_unlock
    if unit_await "$GRACE_MS"; then
        hold_unit
        ended terminated
    fi
    hold_unit
    unit_ask kill --signal=KILL
    state_unlock
    if unit_await 5000; then
        hold_unit
        ended killed
    fi
    still_runs
}

# end_it: ends what is_there has found. Under the flock.
end_it() {
    [ -z "$BY_UNIT" ] || end_unit
    end_victim
}
