#!/bin/sh
# renew: lets the lease's term begin anew, unless it is over. It asks for no sequence number and leaves
# the accepted one as it is: it may pass by a script that works for long.
#
# Parameters: EPOCH, RUN. Prints: the fence's answer.
state_ready_or_refuse
state_lock
lock_read
holds "$EPOCH" "$RUN" || refuse
lease_renew
say fence passed
answered
