#!/bin/sh
# peers: lists the peers of a local port's connections in any state, those in TIME_WAIT included.
#
# Parameters: PORT. Prints: `peer` for each, address and port in hex as the kernel writes them.
{ cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || :; } | awk -v port="$PORT" '
    BEGIN { suffix = sprintf(":%04X", port) }
    $4 != "0A" && substr($2, length($2) - 4) == suffix && !seen[$3]++ && ++count <= 4096 { print "peer=" $3 }' >&3
answered
