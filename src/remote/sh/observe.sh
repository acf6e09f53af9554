#!/bin/sh
# shellcheck disable=SC2034,SC2153
# observe: reads everything that the planner needs, and changes nothing. A switch that is under way is
# waited for.
#
# Parameters: SLOTS (words `NAME=PORT`), UNITS (words `NAME=UNIT`), FILES (words, what the application reads at its
# start), WAS (yes where the host has a slot), NGINX (empty on a host without nginx), CONF, ENTRY, SLOT_FILES (words `NAME=PATH`).
# Prints: user, clock, missing tools, memory, state folder, lock, record, hooks, then `was=yes` with disk,
# releases, slots and the timer, then `nginx=yes` with master, files, dump, entry, siblings and addresses. The
# parser src/remote/parse/observe.rs names every key.

# disk_say: answers free space where releases are kept, or will be.
disk_say() {
    o_folder=$RELEASE_DIR
    while [ ! -d "$o_folder" ]; do
        o_folder=${o_folder%/*}
        o_folder=${o_folder:-/}
    done
    # shellcheck disable=SC2046
    set -- $(df -Pk -- "$o_folder" | tail -n 1)
    say disk_free_kb "${4-}"
    # shellcheck disable=SC2046
    set -- $(df -Pi -- "$o_folder" 2>/dev/null | tail -n 1)
    say disk_free_inodes "${4-}"
}

# releases_say: answers every whole release, in the order of their ids.
releases_say() {
    for o_folder in "$RELEASES"/*; do
        o_release=${o_folder##*/}
        meta_read "$o_release" || continue
        text release "$o_release"
        say release.sha256 "$META_SHA256"
        say release.size_bytes "$META_SIZE"
        text release.jar_name "$META_JAR"
        o_failed=no
        [ ! -e "$o_folder/failed" ] || o_failed=yes
        say release.failed "$o_failed"
    done
}

# peak_memory PID: sets PEAK_KB, the most memory that it ever had, swap included.
peak_memory() {
    PEAK_KB=0
    {
        while read -r o_key o_value o_rest; do
            case $o_key in
            VmHWM: | VmSwap:) PEAK_KB=$((PEAK_KB + o_value)) ;;
            esac
        done <"/proc/$1/status"
    } 2>/dev/null || :
}

# slot_say NAME PORT: answers one slot, from SOCKETS and HOLDERS.
slot_say() {
    say slot "$1"
    say slot.port "$2"
    o_own='' PEAK_KB=0 o_recorded=no o_unit=no
    ! instance_read "$1" || o_recorded=yes
    unit_of "$1"
    if [ -n "${I_UNIT:-$SLOT_UNIT}" ] && unit_instance "${I_UNIT:-$SLOT_UNIT}" "$2"; then
        o_unit=yes
    fi
    if [ "$o_recorded" = yes ]; then
        o_runs=no
        if [ -n "$I_UNIT" ] && [ "$o_unit" = yes ] && unit_is_recorded; then
            o_runs=yes
            I_PID=$N_PID I_START=$N_START I_BOOT=$BOOT_ID I_UID=$N_UID
        elif same_process "$I_PID" "$I_START" "$I_BOOT" "$I_UID"; then
            o_runs=yes o_own=$I_PID
        fi
        say slot.record "$I_PORT"
        text slot.record.release "$I_RELEASE"
        say slot.record.pid "$I_PID"
        say slot.record.start_ticks "$I_START"
        text slot.record.boot_id "$I_BOOT"
        say slot.record.uid "$I_UID"
        [ -n "$I_UNIT" ] || text slot.record.log "$I_LOG"
        say slot.record.runs "$o_runs"
    elif [ -n "$I_WORD" ] && { [ -n "$I_UNIT" ] || [ "$I_BOOT" = "$BOOT_ID" ]; }; then
        if [ -z "$I_UNIT" ]; then
            carriers_read "$I_WORD"
        else
            CARRIERS=
            [ "$o_unit" = no ] || CARRIERS=" $N_PID"
        fi
        text slot.start "$I_WORD"
        text slot.start.run "$I_RUN"
        text slot.start.release "$I_RELEASE"
        say slot.start.pids "${CARRIERS# }"
    fi
    # Where a unit has the port, unit_instance has found it.
    if [ "$o_unit" = no ] || [ "$LISTENER" != own ]; then
        listener_of "$2" "$o_own"
    fi
    if [ "$LISTENER" != none ]; then
        listener_say slot.listener
        [ -z "$LISTENER_PID" ] || peak_memory "$LISTENER_PID"
    fi
    say slot.peak_memory_kb "$PEAK_KB"
    if [ -n "$SLOT_UNIT" ]; then
        unit_read "$SLOT_UNIT" || :
        unit_state
        say slot.unit "$SLOT_UNIT"
        say slot.unit.state "$U_STATE"
        # One that a start has on record is told by that.
        [ "$o_unit-$LISTENER-$I_UNIT" != yes-own- ] || say slot.unit.listens yes
    fi
    established "$2"
    say slot.connections "$ESTABLISHED"
}

was_say() {
    say was yes
    disk_say
    for o_file in $FILES; do
        [ -r "$o_file" ] || text missing_file "$o_file"
    done
    releases_say
    o_ports=
    for o_slot in $SLOTS; do
        o_ports="$o_ports ${o_slot##*=}"
    done
    # shellcheck disable=SC2086
    sockets_read $o_ports
    holders_read
    for o_slot in $SLOTS; do
        slot_say "${o_slot%=*}" "${o_slot##*=}"
    done
    ! asking_tool || say http_tool "$TOOL"
    timers_say
}

# master_say: answers the running master, where the pid file leads to one.
master_say() {
    master_find || return 0
    say master present
    # shellcheck disable=SC2153
    identity_say master "$FOUND_PID" "$FOUND_START" "$FOUND_UID"
    workers_read "$FOUND_PID"
    workers_say master.
}

# dump_say: answers what nginx thinks of the files on the disk.
dump_say() {
    if nginx_root -T >"$SCRATCH/dump" 2>"$SCRATCH/test"; then
        if [ "$(stat -c %s -- "$SCRATCH/dump")" -gt 1048576 ]; then
            text test_failure "nginx's files are larger than 1 MiB"
            return
        fi
        text_from dump 1048576 <"$SCRATCH/dump"
    else
        text_from test_failure 16384 <"$SCRATCH/test"
    fi
}

# content_say KEY FILE: answers the bytes that are read there.
content_say() {
    if readable "$2"; then
        text_from "$1" 1048576 <"$READABLE"
    fi
}

entry_say() {
    kind_of "$ENTRY"
    say entry "$KIND"
    case $KIND in
    link)
        text entry.target "$LINK"
        text entry.resolved "$RESOLVED"
        ;;
    file) ;;
    *) return 0 ;;
    esac
    content_say entry.content "$ENTRY"
    # shellcheck disable=SC2046
    set -- $(stat -L -c '%u:%g %a' -- "$ENTRY" 2>/dev/null || :)
    say entry.owner "${1-}"
    say entry.mode "${2-}"
}

siblings_say() {
    for o_path in "${ENTRY%/*}"/*; do
        [ "$o_path" != "$ENTRY" ] || continue
        kind_of "$o_path"
        [ "$KIND" != absent ] || continue
        text sibling "${o_path##*/}"
        say sibling.kind "$KIND"
        if [ "$KIND" = link ]; then
            text sibling.target "$LINK"
            text sibling.resolved "$RESOLVED"
        fi
    done
}

addresses_say() {
    awk '
        /\|--/ { address = $2 }
        /32 host LOCAL/ && !seen[address]++ { print "address=" address }' /proc/net/fib_trie >&3 2>/dev/null || :
    [ ! -r /proc/net/if_inet6 ] || awk '{ print "address6=" $1 }' /proc/net/if_inet6 >&3
}

# nginx_quiet: takes a share of nginx's flock, so that nobody switches while it is read. Whoever holds it
# for longer than a switch takes is not waited for.
nginx_quiet() {
    [ -r "${CONF%/*}" ] && command -v flock >/dev/null 2>&1 || return 0
    exec 8<"${CONF%/*}"
    flocked 20000 -s 8 || :
    ROOT_SECONDS=$TEST_SECONDS
}

nginx_say() {
    say nginx yes
    scratch
    nginx_find
    nginx_quiet
    text conf "$CONF"
    master_say
    case ${SETTING_LOG:-$NGINX_ERROR_LOG} in
    /*) text error_log "${SETTING_LOG:-$NGINX_ERROR_LOG}" ;;
    esac
    if [ -n "$FOUND_UID" ]; then
        use_root "$FOUND_UID"
    else
        use_root "$(stat -c %u -- "${ENTRY%/*}" 2>/dev/null || echo 0)"
    fi
    dump_say
    entry_say
    siblings_say
    for o_slot in $SLOT_FILES; do
        say slot_file "${o_slot%%=*}"
        [ ! -f "${o_slot#*=}" ] || content_say slot_file.content "${o_slot#*=}"
    done
    addresses_say
    for o_home in "$STATE"/home/*; do
        [ ! -d "$o_home" ] || text saved_home "${o_home##*/}"
    done
    tokens_say
    exec 8<&-
}

say boot_id "$BOOT_ID"
uptime_read
say uptime_cs "$UPTIME_CS"
clock_read
say clock "$CLOCK"
say uid "$MY_UID"
text user "$(id -un 2>/dev/null || echo "$MY_UID")"
for o_tool in awk base64 dd flock sha256sum setsid stat; do
    command -v "$o_tool" >/dev/null 2>&1 || say missing_tool "$o_tool"
done
watch_keeper
say keeper "$KEEPER"
memory_read
say memory_kb "$MEMORY_KB"
memory_kills_read
[ -z "$MEMORY_KILLS" ] || say memory_kills "$MEMORY_KILLS"
state_find
text state "$STATE"
say state.status "$STATE_STATUS"
lock_read
lock_say
if [ -f "$STATE/record" ]; then
    text_from record 1048576 <"$STATE/record"
fi
hooks_say
[ "$WAS" = no ] || was_say
[ -z "$NGINX" ] || nginx_say
answered
