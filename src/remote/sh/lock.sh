#!/bin/sh
# shellcheck disable=SC2034
# lock: takes the lock by compare-and-swap of its epoch; makes the state folder where it is absent.
# Taken again by the same run with the same epoch, it is simply there.
#
# Parameters: EXPECTED_EPOCH, EPOCH, RUN, and the owner's WHO, PLACE, OWNER_COMMAND, BUILD_URL, SINCE
# (one line each).
# Prints: `lock=taken`, or `lock=held` and the lock that is there.
state_make
state_lock 20
lock_read
if [ "$LOCK_EPOCH" = "$EPOCH" ] && [ "$LOCK_RUN" = "$RUN" ]; then
    say lock taken
    answered
fi
if [ "$LOCK_EPOCH" != "$EXPECTED_EPOCH" ] || [ -n "$LOCK_RUN" ] || [ "$EPOCH" -le "$LOCK_EPOCH" ]; then
    say lock held
    lock_say
    answered
fi
LOCK_EPOCH=$EPOCH LOCK_RUN=$RUN LOCK_WHO=$WHO LOCK_PLACE=$PLACE LOCK_COMMAND=$OWNER_COMMAND
LOCK_BUILD_URL=$BUILD_URL LOCK_SINCE=$SINCE
lock_write
say lock taken
answered
