#!/bin/sh
# shellcheck disable=SC2034
# memory: what a new process could get, and how often the kernel had to kill one. Needs machine.
#
# Parameters: none. Prints: nothing.

# memory_read: sets MEMORY_KB, what a new process could get, cgroups' limits included.
memory_read() {
    MEMORY_KB=0
    while read -r y_key y_value y_rest; do
        [ "$y_key" != MemAvailable: ] || MEMORY_KB=$y_value
    done </proc/meminfo
    [ -r /proc/self/cgroup ] || return 0
    while IFS= read -r y_line; do
        case $y_line in
        0::*)
            cgroups_left /sys/fs/cgroup "${y_line#0::}" memory.max memory.current inactive_file
            ;;
        *:memory:*)
            cgroups_left /sys/fs/cgroup/memory "${y_line#*:memory:}" \
                memory.limit_in_bytes memory.usage_in_bytes total_inactive_file
            ;;
        esac
    done </proc/self/cgroup
}

# cgroups_left MOUNT GROUP LIMIT USAGE CACHE: lowers MEMORY_KB to what a cgroup and those above it leave; the last
# three are the names that this version of cgroups has for them. Within a container its own group may be all of
# the tree that is to be seen, and the names above it lead nowhere.
cgroups_left() {
    y_mount=$1
    y_group=$2
    y_limit=$3
    y_usage=$4
    y_pages=$5
    while :; do
        y_folder=$y_mount${y_group%/}
        if [ -r "$y_folder/$y_limit" ] && [ -r "$y_folder/$y_usage" ]; then
            read -r y_max <"$y_folder/$y_limit"
            read -r y_current <"$y_folder/$y_usage"
            # Without a limit there is a word, or a number of more digits than memory has.
            if is_number "$y_max" && is_number "$y_current"; then
                cgroup_left
            fi
        fi
        [ -n "${y_group%/}" ] || break
        y_group=${y_group%/*}
    done
}

# cgroup_left: lowers MEMORY_KB to what one cgroup leaves; file pages can be given up.
cgroup_left() {
    y_cache=0
    while read -r y_key y_value; do
        [ "$y_key" != "$y_pages" ] || y_cache=$y_value
    done <"$y_folder/memory.stat"
    y_left=$(((y_max - y_current + y_cache) / 1024))
    [ "$y_left" -gt 0 ] || y_left=0
    [ "$y_left" -ge "$MEMORY_KB" ] || MEMORY_KB=$y_left
}

# memory_kills_read: sets MEMORY_KILLS, how many processes the kernel has killed for want of memory since it
# booted; empty where it does not say. Within a container its own count is there, and the machine's is of its
# neighbours too. A test may set it, as it sets the boot id.
memory_kills_read() {
    y_counts=/proc/vmstat
    [ ! -r /sys/fs/cgroup/memory.events ] || y_counts=/sys/fs/cgroup/memory.events
    MEMORY_KILLS=$(sed -n 's/^oom_kill //p' "$y_counts" 2>/dev/null || :)
    ! machine_override memory_kills || MEMORY_KILLS=$OVERRIDE
    is_number "$MEMORY_KILLS" || MEMORY_KILLS=
}
