#!/bin/sh
# fetch: asks an HTTP endpoint with curl, wget or nc, whichever the host has.
#
# Parameters: ADDRESS (IPv6 without brackets), PORT, REQUEST_PATH, HOST_HEADER, TIMEOUT_MS.
# Prints: `fetch=response` with `status` and `body`, `fetch=failed` with `reason`, or `fetch=no_tool`.
scratch
SECONDS_UP=$(((TIMEOUT_MS + 999) / 1000))
case $ADDRESS in
*:*) URL="http://[$ADDRESS]:$PORT$REQUEST_PATH" ;;
*) URL="http://$ADDRESS:$PORT$REQUEST_PATH" ;;
esac

by_curl() {
    STATUS=$(curl -sS -g -m "$SECONDS_UP" -o "$SCRATCH/body" -w '%{http_code}' -H "Host: $HOST_HEADER" -- "$URL" 2>"$SCRATCH/error") || STATUS=
    [ "$STATUS" != 000 ] || STATUS=
}

# GNU's wget shows an error's body only if asked to, and busybox's cannot be asked. The time limit is
# kept from outside: busybox's wget 1.35 dies of its own `-T`.
by_wget() {
    f_option=
    if wget --help 2>&1 | grep -q -e --content-on-error; then f_option=--content-on-error; fi
    # shellcheck disable=SC2086
    timeout "$SECONDS_UP" wget -q -S $f_option --header "Host: $HOST_HEADER" -O "$SCRATCH/body" "$URL" 2>"$SCRATCH/error" || :
    STATUS=$(sed -n 's/.*HTTP\/1\.[01] \([0-9][0-9][0-9]\).*/\1/p' "$SCRATCH/error" | tail -n 1)
    # busybox's wget shows the status line of an error alone.
    if [ -z "$STATUS" ] && [ -s "$SCRATCH/body" ]; then STATUS=200; fi
}

by_nc() {
    # A line end would end the request early; a carriage return belongs to each line.
    printf 'GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n' "$REQUEST_PATH" "$HOST_HEADER" >"$SCRATCH/request"
    # The request's end is not the connection's: some nc hang up when their input ends.
    { cat "$SCRATCH/request" && await_answer; } | nc -w "$SECONDS_UP" "$ADDRESS" "$PORT" >"$SCRATCH/answer" 2>"$SCRATCH/error" || :
    : >"$SCRATCH/done"
    STATUS=$(sed -n '1s/^HTTP\/1\.[01] \([0-9][0-9][0-9]\).*/\1/p' "$SCRATCH/answer")
    sed '1,/^\r*$/d' "$SCRATCH/answer" >"$SCRATCH/body"
}

await_answer() {
    deadline_in "$TIMEOUT_MS"
    while [ ! -s "$SCRATCH/answer" ] && time_left; do nap; done
}

: >"$SCRATCH/body"
if command -v curl >/dev/null 2>&1; then
    by_curl
elif command -v wget >/dev/null 2>&1; then
    by_wget
elif command -v nc >/dev/null 2>&1; then
    by_nc
else
    say fetch no_tool
    answered
fi
if [ -n "$STATUS" ]; then
    say fetch response
    say status "$STATUS"
    text_from body 65536 <"$SCRATCH/body"
else
    say fetch failed
    text reason "$(head -c 1024 "$SCRATCH/error")"
fi
answered
