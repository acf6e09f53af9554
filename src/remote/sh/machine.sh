#!/bin/sh
# shellcheck disable=SC2034
# machine: boot id, uptime and wall clock, read here and nowhere else, and the waits that count by
# them. A test may set NONSTOP_MACHINE to a folder whose files `boot_id` and `memory_kills` (used as they are),
# `uptime_offset` (hundredths of a second) and `clock_offset` (seconds) give the host another boot
# or another clock; they are read anew each time, so that both can change under a running script.
#
# Parameters: none. Prints: nothing.

BOOT_ID='' UPTIME_CS=0 CLOCK=0

# machine_override NAME: sets OVERRIDE to what a test gives; false where it gives nothing.
machine_override() {
    [ -n "${NONSTOP_MACHINE-}" ] && [ -f "$NONSTOP_MACHINE/$1" ] && read -r OVERRIDE <"$NONSTOP_MACHINE/$1"
}

# machine_read: sets BOOT_ID.
machine_read() {
    read -r BOOT_ID </proc/sys/kernel/random/boot_id
    ! machine_override boot_id || BOOT_ID=$OVERRIDE
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
    UPTIME_CS=$m_uptime
    ! machine_override uptime_offset || UPTIME_CS=$((UPTIME_CS + OVERRIDE))
}

# clock_read: sets CLOCK, seconds since 1970.
clock_read() {
    CLOCK=$(date +%s)
    ! machine_override clock_offset || CLOCK=$((CLOCK + OVERRIDE))
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

# sleep_out CONDITION LEFT: sleeps until LEFT, which sets T_LEFT_MS, says that nothing is left, and ends the script
# where CONDITION holds no more.
sleep_out() {
    while "$1"; do
        "$2"
        if [ "$T_LEFT_MS" -gt 300000 ]; then
            sleep 10
        elif [ "$T_LEFT_MS" -ge 1000 ]; then
            sleep 1
        elif [ "$T_LEFT_MS" -gt 0 ]; then
            nap
        else
            return 0
        fi
    done
    exit 0
}

machine_read
