#!/bin/sh
# record: writes the run record as it comes.
#
# Parameters: the fence's, RECORD (base64). Prints: the fence's answer.
fence_or_refuse
printf '%s' "$RECORD" | base64 -d | write_file "$STATE/record"
say fence passed
answered
