#!/bin/sh
# audit: reads the end of the audit trail.
#
# Parameters: LINES. Prints: `audit`, its last lines, at most 1 MB.
state_find
scratch
for a_file in "$STATE/audit.1" "$STATE/audit"; do
    [ ! -r "$a_file" ] || cat -- "$a_file"
done | tail -n "$LINES" | tail -c 1000001 >"$SCRATCH/audit"
# Of more than that the first line is cut, and says nothing.
a_first=1
[ "$(stat -c %s -- "$SCRATCH/audit")" -le 1000000 ] || a_first=2
tail -n "+$a_first" -- "$SCRATCH/audit" | text_from audit 1000000
answered
