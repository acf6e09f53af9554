#!/bin/sh
# fetch: asks an HTTP endpoint, and says what it answered.
#
# Parameters: those of asking.
# Prints: `fetch=response` with `status` and `body`, `fetch=failed` with `reason`, or `fetch=no_tool`.
if ! ask; then
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
