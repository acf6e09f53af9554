#!/bin/sh
# log_tail: reads the end of a slot's log: the recorded one, else the newest of that slot.
#
# Parameters: SLOT, LINES. Prints: `log` and `text`; nothing where there is no log.
state_find
LOG=
if instance_read "$SLOT" && [ -f "$I_LOG" ]; then
    LOG=$I_LOG
else
    for l_file in "$LOGS"/*-"$SLOT".log; do
        # POSIX lacks -nt, and every sh here has it.
        # shellcheck disable=SC3013
        if [ -f "$l_file" ] && { [ -z "$LOG" ] || [ "$l_file" -nt "$LOG" ]; }; then
            LOG=$l_file
        fi
    done
fi
if [ -n "$LOG" ]; then
    text log "$LOG"
    tail -n "$LINES" -- "$LOG" | tail -c 262144 | text_from text 262144
fi
answered
