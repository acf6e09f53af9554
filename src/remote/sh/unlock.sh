#!/bin/sh
# shellcheck disable=SC2034
# unlock: gives the lock back. The epoch stays, and who held it last.
#
# Parameters: the fence's. Prints: the fence's answer.
EVENT=unlock
fence_or_refuse
LOCK_RUN=
lock_write
trail given_back
say fence passed
answered
