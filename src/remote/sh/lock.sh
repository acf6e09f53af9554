#!/bin/sh
# shellcheck disable=SC2034
# lock: takes the lock by compare-and-swap of its epoch, where it is free or its lease is over; makes the
# state folder where it is absent. From then on the fence refuses every script of an earlier owner.
# Taken again by the same run with the same epoch, it is simply there, and its lease begins anew.
#
# Parameters: EXPECTED_EPOCH, EPOCH, RUN, the owner's WHO, PLACE, OWNER_COMMAND, BUILD_URL, SINCE (one
# line each), and LEASE_MS, the lease's term (empty: without an end).
# Prints: `lock=taken`, or `lock=held` and the lock that is there.
EVENT=lock
state_make
state_lock
lock_read
if holds "$EPOCH" "$RUN"; then
    lease_renew
    say lock taken
    answered
fi
if [ "$LOCK_EPOCH" != "$EXPECTED_EPOCH" ] || [ "$EPOCH" -le "$LOCK_EPOCH" ] ||
    { [ -n "$LOCK_RUN" ] && ! lease_is_over; }; then
    say lock held
    lock_say
    answered
fi
l_old=$LOCK_RUN
LOCK_EPOCH=$EPOCH LOCK_RUN=$RUN LOCK_WHO=$WHO LOCK_PLACE=$PLACE LOCK_COMMAND=$OWNER_COMMAND
LOCK_BUILD_URL=$BUILD_URL LOCK_SINCE=$SINCE LOCK_LEASE_MS=$LEASE_MS
lock_write
TRAIL_RUN=$RUN TRAIL_EPOCH=$EPOCH TRAIL_WHO=$WHO
if [ -n "$l_old" ]; then
    trail taken_over place "$PLACE" command "$OWNER_COMMAND" from "$l_old"
else
    trail taken place "$PLACE" command "$OWNER_COMMAND"
fi
say lock taken
answered
