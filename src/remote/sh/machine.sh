#!/bin/sh
# shellcheck disable=SC2034
# machine: boot id, uptime and wall clock, read here and nowhere else, and the waits that count by
# them. A test may set NONSTOP_MACHINE to a folder whose files `boot_id` (used as it is),
# `uptime_offset` (hundredths of a second) and `clock_offset` (seconds) give the host another boot
# or another clock.
#
# Parameters: none. Prints: nothing.

BOOT_ID='' UPTIME_CS=0 CLOCK=0
m_uptime_offset=0 m_clock_offset=0

# machine_read: sets BOOT_ID.
machine_read() {
    read -r BOOT_ID </proc/sys/kernel/random/boot_id
    [ -n "${NONSTOP_MACHINE-}" ] || return 0
    [ ! -f "$NONSTOP_MACHINE/boot_id" ] || read -r BOOT_ID <"$NONSTOP_MACHINE/boot_id"
    [ ! -f "$NONSTOP_MACHINE/uptime_offset" ] || read -r m_uptime_offset <"$NONSTOP_MACHINE/uptime_offset"
    [ ! -f "$NONSTOP_MACHINE/clock_offset" ] || read -r m_clock_offset <"$NONSTOP_MACHINE/clock_offset"
}

# uptime_read: sets UPTIME_CS, the time since boot in hundredths of a second.
uptime_read() {
    read -r m_uptime m_rest </proc/uptime
    m_uptime=${m_uptime%.*}${m_uptime#*.}
    # A leading zero would make it octal.
    while :; do
        case $m_uptime in
        0?*) m_uptime=${m_uptime#0} ;;
        *) break ;;
        esac
    done
    UPTIME_CS=$((m_uptime + m_uptime_offset))
}

# clock_read: sets CLOCK, seconds since 1970.
clock_read() {
    CLOCK=$(($(date +%s) + m_clock_offset))
}

# deadline_in MILLISECONDS: `time_left` is true from now until then.
deadline_in() {
    uptime_read
    DEADLINE_CS=$((UPTIME_CS + ($1 + 9) / 10))
}

# time_left: whether the deadline is still ahead.
time_left() {
    uptime_read
    [ "$UPTIME_CS" -lt "$DEADLINE_CS" ]
}

machine_read
