#!/bin/sh
# shellcheck disable=SC2034
# timers: what became of each hour at which this host stops its old instance by itself. Needs state; timers_say
# needs process.
#
# A timer is one file, `timers/RUN.EPOCH.NUMBER.STATE`: the run whose old instance ends, and epoch and sequence
# number of the script that set it. It is made `pending`, and moved by a rename under the flock: to cancelled; to
# refused, with the reason in `.reason`; or to stopping, before anything is signalled, and then to stopped. In it
# are boot and uptime of its hour, and the slot. Beside it lie `.program`, which sleeps, and `.pid`, pid, start time
# and boot of its process while that is there. With a boot it is over: whatever it would have ended is gone, but for
# a unit of systemd, which a boot starts again.
#
# Parameters: none. Prints: what timers_say prints.

# timer_split NAME: sets T_RUN, T_EPOCH, T_NUMBER and T_STATE; false if that is no timer's name.
timer_split() {
    T_STATE=${1##*.} T_RUN=${1%.*}
    case $T_STATE in
    pending | cancelled | refused | stopping | stopped) ;;
    *) return 1 ;;
    esac
    T_NUMBER=${T_RUN##*.} T_RUN=${T_RUN%.*}
    T_EPOCH=${T_RUN##*.} T_RUN=${T_RUN%.*}
    is_number "$T_NUMBER" && is_number "$T_EPOCH"
}

# timer_read FILE: sets T_BOOT, T_DEADLINE_CS and T_SLOT; false if it is not there.
timer_read() {
    T_BOOT='' T_DEADLINE_CS='' T_SLOT=
    {
        while IFS= read -r t_line; do
            case ${t_line%%=*} in
            boot_id) T_BOOT=${t_line#*=} ;;
            deadline_cs) T_DEADLINE_CS=${t_line#*=} ;;
            slot) T_SLOT=${t_line#*=} ;;
            esac
        done <"$STATE/timers/$1"
    } 2>/dev/null || return 1
    is_number "$T_DEADLINE_CS"
}

# timer_left: sets T_LEFT_MS, what is left until the hour that was read.
timer_left() {
    uptime_read
    T_LEFT_MS=$(((T_DEADLINE_CS - UPTIME_CS) * 10))
    [ "$T_LEFT_MS" -ge 0 ] || T_LEFT_MS=0
}

# timer_move TIMER FROM TO: under the flock.
timer_move() {
    mv -f -- "$STATE/timers/$1.$2" "$STATE/timers/$1.$3" || fail state_folder "the timer $1 cannot be moved"
    synced "$STATE/timers"
}

# timers_cancel: moves every timer that is pending to cancelled. Under the flock.
timers_cancel() {
    for t_file in "$STATE/timers"/*.pending; do
        t_name=${t_file##*/}
        timer_split "$t_name" || continue
        timer_move "${t_name%.pending}" pending cancelled
        trail cancelled timer "${t_name%.pending}"
    done
}

# timer_newest RUN: sets T_NEWEST, the name of the newest timer's file, of any run where RUN is empty; empty if
# there is none.
timer_newest() {
    T_NEWEST='' n_epoch=0 n_number=0
    for t_name in $(ls -- "$STATE/timers" 2>/dev/null || :); do
        timer_split "$t_name" || continue
        [ -z "$1" ] || [ "$T_RUN" = "$1" ] || continue
        if [ "$T_EPOCH" -gt "$n_epoch" ] || { [ "$T_EPOCH" -eq "$n_epoch" ] && [ "$T_NUMBER" -ge "$n_number" ]; }; then
            T_NEWEST=$t_name n_epoch=$T_EPOCH n_number=$T_NUMBER
        fi
    done
}

# timer_program TIMER: sets T_PROGRAM: alive, gone, or rebooted where the machine is another than it was set on.
timer_program() {
    T_PROGRAM=gone
    [ "$T_BOOT" = "$BOOT_ID" ] || T_PROGRAM=rebooted
    t_pid='' t_start='' t_boot=
    { read -r t_pid t_start t_boot <"$STATE/timers/$1.pid"; } 2>/dev/null || return 0
    if [ "$t_boot" = "$BOOT_ID" ] && is_number "$t_pid" && process_alive "$t_pid" && [ "$P_START" = "$t_start" ]; then
        T_PROGRAM=alive
    fi
}

# timers_say: answers the newest timer; reads without the flock.
timers_say() {
    [ -d "$STATE/timers" ] || return 0
    # One that is moved just now has another name, or is seen under neither: it is looked for again.
    for t_look in first second third; do
        timer_newest ''
        if [ -n "$T_NEWEST" ] && timer_read "$T_NEWEST"; then break; fi
    done
    [ -n "$T_NEWEST" ] || return 0
    timer_split "$T_NEWEST"
    t_timer=${T_NEWEST%.*}
    timer_program "$t_timer"
    say timer "$T_RUN"
    say timer.epoch "$T_EPOCH"
    say timer.number "$T_NUMBER"
    say timer.slot "$T_SLOT"
    say timer.state "$T_STATE"
    say timer.program "$T_PROGRAM"
    instance_read "$T_SLOT" || :
    [ -z "$I_UNIT" ] || text timer.unit "$I_UNIT"
    if [ "$T_STATE $T_PROGRAM" = 'pending alive' ]; then
        timer_left
        say timer.left_ms "$T_LEFT_MS"
    fi
    [ ! -f "$STATE/timers/$t_timer.reason" ] || text timer.reason "$(head -c 500 "$STATE/timers/$t_timer.reason")"
}
