#!/bin/sh
# log_tail: reads the end of a slot's log: the recorded one, else the newest of that slot; where a unit of systemd
# runs the slot, the journal's.
#
# Parameters: SLOT, LINES, UNIT (may be empty). Prints: `log` or `journal`, and `text`; nothing where there is no log.
state_find
LOG=
if instance_read "$SLOT" && [ -z "$I_UNIT" ] && [ -f "$I_LOG" ]; then
    LOG=$I_LOG
elif [ -n "${I_UNIT:-$UNIT}" ]; then
    say journal "${I_UNIT:-$UNIT}"
    journal_of "${I_UNIT:-$UNIT}" --lines="$LINES" | tail -c 262144 | text_from text 262144
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
