#!/bin/sh
# shellcheck disable=SC2034,SC2153
# ending: ends a process by its identity, or all that a start left behind by the word that they carry, TERM first and
# KILL after the grace. Whether a process is still the one that is meant is asked in the same breath as each
# signal, under the flock; the grace itself runs unlocked. Needs process, sockets, state, trail and units.
#
# A script that uses it says with hold_again how the flock is taken anew, and with gone RESULT, still_runs and
# successor_missing REASON what follows: all three end it.
#
# Parameters: SLOT, either PID, START_TICKS, IDENTITY_BOOT and IDENTITY_UID or START_WORD (the others empty),
# GRACE_MS, and, or empty, SUCCESSOR_PID, SUCCESSOR_START, SUCCESSOR_BOOT, SUCCESSOR_UID, SUCCESSOR_PORT and, where
# systemd may have started it anew since, SUCCESSOR_SLOT.
# Prints: nothing.

# Who carried the word when it was looked for last: words `PID.START`.
CARRIED=

# carried PID: whether it did, and is there. What exits has no environment any more, and may have its port for a while.
carried() {
    process_alive "$1" || return 1
    case " $CARRIED " in
    *" $1.$P_START "*) ;;
    *) return 1 ;;
    esac
}

# is_victim PID: whether that process is meant; sets P_UID.
is_victim() {
    if [ -n "$START_WORD" ]; then
        { carries "$1" "$START_WORD" || carried "$1"; } && process_uid "$1"
    else
        same_process "$1" "$START_TICKS" "$IDENTITY_BOOT" "$IDENTITY_UID"
    fi
}

# victim: whether a process that is meant is there; where they carry a word, sets PID to all of them.
victim() {
    if [ -z "$START_WORD" ]; then
        is_victim "$PID"
        return
    fi
    carriers_read "$START_WORD"
    v_pids=$CARRIERS
    for v_known in $CARRIED; do
        v_pid=${v_known%.*}
        case " $v_pids " in
        *" $v_pid "*) ;;
        *) ! carried "$v_pid" || v_pids="$v_pids $v_pid" ;;
        esac
    done
    CARRIED=
    for v_pid in $v_pids; do
        ! process_alive "$v_pid" || CARRIED="$CARRIED $v_pid.$P_START"
    done
    [ -n "$v_pids" ] || return 1
    PID=${v_pids# }
}

# send SIGNAL: to each, by sudo where it is another user's; sets ERROR where that fails.
send() {
    ERROR=
    scratch
    for s_pid in $PID; do
        is_victim "$s_pid" || continue
        use_root "$P_UID"
        if root kill "-$1" "$s_pid" 2>"$SCRATCH/kill"; then
            trail signalled slot "$SLOT" pid "$s_pid" signal "$1"
        elif is_victim "$s_pid"; then
            # One that ended by itself in between is no error.
            ERROR=$(head -n 1 "$SCRATCH/kill")
            words_of "$ERROR"
            trail not_signalled slot "$SLOT" pid "$s_pid" signal "$1" reason "$WORDS"
        fi
    done
}

# is_on_record: whether it is what the slot's last start left.
is_on_record() {
    if [ -n "$BY_UNIT" ]; then
        instance_read "$SLOT" || :
        [ "$I_UNIT" = "$BY_UNIT" ] && same_start
    elif instance_read "$SLOT"; then
        [ "$I_PID $I_START $I_BOOT $I_UID" = "$PID $START_TICKS $IDENTITY_BOOT $IDENTITY_UID" ]
    else
        [ -n "$START_WORD" ] && [ "$I_WORD" = "$START_WORD" ]
    fi
}

# successor_read: sets N_PID and N_UID to the new instance: the process that was started, or the one that systemd
# started in its place; false where it is neither.
successor_read() {
    N_PID=$SUCCESSOR_PID N_UID=$SUCCESSOR_UID
    ! same_process "$SUCCESSOR_PID" "$SUCCESSOR_START" "$SUCCESSOR_BOOT" "$SUCCESSOR_UID" || return 0
    [ -n "$SUCCESSOR_SLOT" ] && instance_read "$SUCCESSOR_SLOT" || return 1
    [ -n "$I_UNIT" ] && [ "$I_PORT" = "$SUCCESSOR_PORT" ] || return 1
    sockets_read "$SUCCESSOR_PORT"
    holders_read
    unit_instance "$I_UNIT" "$SUCCESSOR_PORT" && unit_is_recorded
}

# look_at_successor: answers and ends unless the new instance is alive and has its port.
look_at_successor() {
    [ -n "$SUCCESSOR_PID" ] || return 0
    successor_read || successor_missing "process $SUCCESSOR_PID is not the one that was started"
    listener_read "$SUCCESSOR_PORT" "$N_PID"
    case $LISTENER in
    own) return 0 ;;
    none) successor_missing "nothing listens on port $SUCCESSOR_PORT" ;;
    esac
    # Another user's sockets cannot be looked into: there the socket's user has to do.
    if [ -z "$LISTENER_PID" ] && [ "$N_UID" != "$MY_UID" ] && [ "$LISTENER_UID" = "$N_UID" ]; then
        return 0
    fi
    successor_missing "port $SUCCESSOR_PORT belongs to process ${LISTENER_PID:-of user $LISTENER_UID}"
}

# await_end MILLISECONDS: whether it ended by then.
await_end() {
    deadline_in "$1"
    while victim; do
        time_left || return 1
        nap
    done
}

# end_victim: TERM, and KILL after the grace. Under the flock, with a victim that is there.
end_victim() {
    send TERM
    if [ -n "$ERROR" ] && victim; then
        still_runs
    fi
    state_unlock
    if await_end "$GRACE_MS"; then
        hold_again
        gone terminated
    fi
    # What carries a word may have started more of it meanwhile.
    ENDED=terminated
    for k_wait in 2000 2000 1000; do
        hold_again
        victim || gone "$ENDED"
        send KILL
        state_unlock
        ENDED=killed
        ! await_end "$k_wait" || break
    done
    hold_again
    ! victim || still_runs
    gone killed
}
