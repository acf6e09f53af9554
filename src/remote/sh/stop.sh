#!/bin/sh
# shellcheck disable=SC2034,SC2153
# stop: ends a process by its identity, TERM first and KILL after the grace. Whether it is still that
# process is asked in the same breath as each signal, under the flock and the fence; the grace itself
# runs unlocked. Where a successor is named and is not alive and listening, nothing is signalled.
#
# Parameters: the fence's, SLOT, PID, START_TICKS, IDENTITY_BOOT, IDENTITY_UID, GRACE_MS, and, or empty, SUCCESSOR_PID,
# SUCCESSOR_START, SUCCESSOR_BOOT, SUCCESSOR_UID, SUCCESSOR_PORT.
# Prints: the fence's answer, and `stop=terminated|killed|already_gone`, `stop=still_runs` with
# `reason`, or `stop=successor_missing` with `reason`.
EVENT=stop
victim() {
    same_process "$PID" "$START_TICKS" "$IDENTITY_BOOT" "$IDENTITY_UID"
}

# send SIGNAL: to the process, by sudo where it is another user's; sets ERROR where that fails.
send() {
    ERROR=
    use_root "$IDENTITY_UID"
    scratch
    # A process that ends by itself in between is no error: the caller looks again.
    root kill "-$1" "$PID" 2>"$SCRATCH/kill" || ERROR=$(head -n 1 "$SCRATCH/kill")
    if [ -z "$ERROR" ]; then
        trail signalled slot "$SLOT" pid "$PID" signal "$1"
    else
        words_of "$ERROR"
        trail not_signalled slot "$SLOT" pid "$PID" signal "$1" reason "$WORDS"
    fi
}

# gone RESULT: forgets the process where it is the recorded one, and answers. Under the flock.
gone() {
    if instance_read "$SLOT" && [ "$I_PID $I_START $I_BOOT $I_UID" = "$PID $START_TICKS $IDENTITY_BOOT $IDENTITY_UID" ]; then
        rm -f -- "$STATE/instance.$SLOT"
    fi
    trail "$1" slot "$SLOT" pid "$PID"
    say fence passed
    say stop "$1"
    answered
}

still_runs() {
    trail_late still_runs slot "$SLOT" pid "$PID"
    say fence passed
    say stop still_runs
    text reason "${ERROR:-it is there after KILL}"
    answered
}

successor_missing() {
    words_of "$1"
    trail successor_missing slot "$SLOT" pid "$PID" reason "$WORDS"
    say fence passed
    say stop successor_missing
    text reason "$1"
    answered
}

# look_at_successor: answers and ends unless the new instance is alive and has its port.
look_at_successor() {
    [ -n "$SUCCESSOR_PID" ] || return 0
    same_process "$SUCCESSOR_PID" "$SUCCESSOR_START" "$SUCCESSOR_BOOT" "$SUCCESSOR_UID" ||
        successor_missing "process $SUCCESSOR_PID is not the one that was started"
    listener_read "$SUCCESSOR_PORT" "$SUCCESSOR_PID"
    case $LISTENER in
    own) return 0 ;;
    none) successor_missing "nothing listens on port $SUCCESSOR_PORT" ;;
    esac
    # Another user's sockets cannot be looked into: there the socket's user has to do.
    if [ -z "$LISTENER_PID" ] && [ "$SUCCESSOR_UID" != "$MY_UID" ] && [ "$LISTENER_UID" = "$SUCCESSOR_UID" ]; then
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

fence_or_refuse
victim || gone already_gone
look_at_successor
victim || gone already_gone
send TERM
if [ -n "$ERROR" ] && victim; then
    still_runs
fi
state_unlock
if await_end "$GRACE_MS"; then
    fence_again
    gone terminated
fi

fence_again
victim || gone terminated
send KILL
state_unlock
if await_end 5000; then
    fence_again
    gone killed
fi
still_runs
