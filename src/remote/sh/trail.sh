#!/bin/sh
# shellcheck disable=SC2034
# trail: the audit trail, `audit` in the state folder: a JSON object a line for everything that a script
# changed, with `time` (by the host's wall clock), `event` (the script), `result`, `run`, `epoch`, `who`,
# and whatever names what was touched. Never an argument or a variable of the application: no secret gets
# here. At 1 MiB it becomes `audit.1`.
#
# Parameters: none; a script sets EVENT before its first line. Prints: nothing.

TRAIL_BYTES=1048576
# Whose doing it is; `fence` sets all three.
TRAIL_RUN='' TRAIL_EPOCH=0 TRAIL_WHO=

# json_text TEXT: sets JSON, the text as a JSON string. Control characters become spaces.
json_text() {
    case $1 in
    *[!A-Za-z0-9\ ._:/@,=+-]*)
        JSON=$(printf '%s' "$1" | tr '\001-\037\177' ' ' | sed 's/[\\"]/\\&/g')
        ;;
    *) JSON=$1 ;;
    esac
    JSON=\"$JSON\"
}

# trail RESULT [NAME VALUE]...: appends a line; under the flock. What cannot be written stops nothing.
trail() {
    clock_read
    json_text "$EVENT"
    r_line="\"event\":$JSON"
    json_text "$1"
    r_line="$r_line,\"result\":$JSON"
    shift
    json_text "$TRAIL_RUN"
    r_line="$r_line,\"run\":$JSON,\"epoch\":$TRAIL_EPOCH"
    json_text "$TRAIL_WHO"
    r_line="$r_line,\"who\":$JSON"
    while [ $# -ge 2 ]; do
        json_text "$2"
        r_line="$r_line,\"$1\":$JSON"
        shift 2
    done
    trail_append "{\"time\":\"$(date -u -d "@$CLOCK" +%Y-%m-%dT%H:%M:%SZ)\",$r_line}" 2>/dev/null || :
}

# trail_append LINE: after a line that a power failure tore, too.
trail_append() {
    r_size=$(stat -c %s -- "$STATE/audit" 2>/dev/null) || r_size=0
    if [ "$r_size" -ge "$TRAIL_BYTES" ]; then
        mv -f -- "$STATE/audit" "$STATE/audit.1"
    elif [ "$r_size" -gt 0 ] && [ -n "$(tail -c 1 -- "$STATE/audit")" ]; then
        echo >>"$STATE/audit"
    fi
    printf '%s\n' "$1" >>"$STATE/audit"
}

# words_of TEXT: sets WORDS, what a program said, short and in printable ASCII.
words_of() {
    WORDS=$(printf '%s' "$1" | tr -s '\n\t' '  ' | tr -c '\040-\176' '?' | head -c 500)
}

# trail_late RESULT [NAME VALUE]...: the same after unlocked work; where the flock is not to be had within
# five seconds, nothing is written.
trail_late() {
    exec 9<"$STATE"
    ! flocked 5000 9 || trail "$@"
    exec 9<&-
}
