#!/bin/sh
# shellcheck disable=SC2034
# sockets: who listens where and who is connected, from /proc alone: neither ss nor lsof is needed.
# Needs process.
#
# Parameters: none. Prints: nothing.

# sockets_read PORT...: sets SOCKETS, lines of `listen PORT UID INODE` and `established PORT COUNT`.
sockets_read() {
    SOCKETS=$({ cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || :; } | awk -v ports="$*" '
        BEGIN {
            count = split(ports, list, " ")
            for (i = 1; i <= count; i++) port[sprintf("%04X", list[i])] = list[i]
        }
        {
            hex = $2
            sub(/.*:/, "", hex)
            if (!(hex in port)) next
            if ($4 == "0A") print "listen", port[hex], $8, $10
            if ($4 == "01") established[hex]++
        }
        END { for (hex in established) print "established", port[hex], established[hex] }')
}

# established PORT: sets ESTABLISHED, how many connections SOCKETS has on that local port.
established() {
    ESTABLISHED=0
    while read -r e_kind e_port e_count e_rest; do
        if [ "$e_kind" = established ] && [ "$e_port" = "$1" ]; then
            ESTABLISHED=$e_count
        fi
    done <<END
$SOCKETS
END
}

# holders_read: sets HOLDERS, lines of `INODE PID` of the listening sockets in SOCKETS, as far as
# the login may look.
holders_read() {
    h_inodes=
    while read -r h_kind h_port h_uid h_inode; do
        [ "$h_kind" != listen ] || h_inodes="$h_inodes $h_inode"
    done <<END
$SOCKETS
END
    HOLDERS=
    [ -n "$h_inodes" ] || return 0
    # A process may end while it is listed: what ls could not read is not of interest.
    HOLDERS=$({ ls -ln /proc/[0-9]*/fd 2>/dev/null || :; } | awk -v inodes="$h_inodes" '
        BEGIN {
            count = split(inodes, list, " ")
            for (i = 1; i <= count; i++) wanted["socket:[" list[i] "]"] = list[i]
        }
        /^\/proc\/[0-9]+\/fd:$/ { split($0, part, "/"); pid = part[3]; next }
        $NF in wanted && !((wanted[$NF], pid) in seen) { seen[wanted[$NF], pid] = 1; print wanted[$NF], pid }')
}

# holder_of INODE OWN: sets HOLDER to OWN if that process has the socket, else to the oldest
# process that has it; empty where the login cannot see any.
holder_of() {
    HOLDER='' h_oldest=
    while read -r h_inode h_pid; do
        [ "$h_inode" = "$1" ] || continue
        if [ "$h_pid" = "$2" ]; then
            HOLDER=$2
            return 0
        fi
        process_alive "$h_pid" || continue
        if [ -z "$h_oldest" ] || [ "$P_START" -lt "$h_oldest" ]; then
            HOLDER=$h_pid h_oldest=$P_START
        fi
    done <<END
$HOLDERS
END
}

# listener_of PORT OWN: looks in SOCKETS and HOLDERS. Sets LISTENER to `none`; to `own` if every
# listening socket on that port belongs to the process OWN (which may be empty); else to `other`
# with LISTENER_PID (empty where the login cannot see it) and LISTENER_UID, the socket's user.
listener_of() {
    LISTENER=none LISTENER_PID='' LISTENER_UID=
    while read -r l_kind l_port l_uid l_inode; do
        [ "$l_kind $l_port" = "listen $1" ] || continue
        holder_of "$l_inode" "$2"
        LISTENER_PID=$HOLDER LISTENER_UID=$l_uid
        if [ -z "$HOLDER" ] || [ "$HOLDER" != "$2" ]; then
            LISTENER=other
            return 0
        fi
        LISTENER=own
    done <<END
$SOCKETS
END
}

# listener_read PORT OWN: as listener_of, from a fresh look.
listener_read() {
    sockets_read "$1"
    holders_read
    listener_of "$1" "$2"
}

# listener_say PREFIX: answers the listener that listener_of found.
listener_say() {
    say "$1" present
    say "$1.uid" "$LISTENER_UID"
    if [ -n "$LISTENER_PID" ] && process_alive "$LISTENER_PID" && process_uid "$LISTENER_PID"; then
        identity_say "$1" "$LISTENER_PID" "$P_START" "$P_UID"
        command_say "$1.command" "$LISTENER_PID"
    fi
}
