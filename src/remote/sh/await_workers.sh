#!/bin/sh
# await_workers: waits until no worker of a master is shutting down any more.
#
# Parameters: MASTER_PID, MASTER_START, MASTER_BOOT, MASTER_UID, DEADLINE_MS.
# Prints: `leaving`, the pids that are left.
LEAVING=
deadline_in "$DEADLINE_MS"
while the_master; do
    workers_read "$MASTER_PID"
    if [ -z "$LEAVING" ] || ! time_left; then break; fi
    nap
done
say leaving "${LEAVING# }"
answered
