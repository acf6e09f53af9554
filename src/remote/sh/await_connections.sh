#!/bin/sh
# await_connections: waits until no connection to a local port is established.
#
# Parameters: PORT, DEADLINE_MS. Prints: `connections`, how many are left.
deadline_in "$DEADLINE_MS"
while :; do
    sockets_read "$PORT"
    established "$PORT"
    if [ "$ESTABLISHED" -eq 0 ] || ! time_left; then break; fi
    nap
done
say connections "$ESTABLISHED"
answered
