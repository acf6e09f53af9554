#!/bin/sh
# shellcheck disable=SC2034
# break_lock: takes the lock away from whoever holds it, by raising the epoch: every script of the
# old owner is refused from now on. The lock is free afterwards.
#
# Parameters: EXPECTED_EPOCH (the one that was shown to the person), EPOCH, and the person's WHO and PLACE.
# Prints: `lock=taken`, or `lock=held` and the lock that is there.
EVENT=break_lock
state_make
state_lock
lock_read
if [ "$LOCK_EPOCH" = "$EPOCH" ] && [ -z "$LOCK_RUN" ]; then
    say lock taken
    answered
fi
if [ "$LOCK_EPOCH" != "$EXPECTED_EPOCH" ] || [ "$EPOCH" -le "$LOCK_EPOCH" ]; then
    say lock held
    lock_say
    answered
fi
l_old=$LOCK_RUN
LOCK_EPOCH=$EPOCH LOCK_RUN='' LOCK_LEASE_MS=
lock_write
# It happened to that run.
TRAIL_RUN=$l_old TRAIL_EPOCH=$EPOCH TRAIL_WHO=$WHO
trail broken place "$PLACE" from "$l_old" from_who "$LOCK_WHO"
say lock taken
answered
