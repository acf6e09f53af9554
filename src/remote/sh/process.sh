#!/bin/sh
# shellcheck disable=SC2034
# process: who a process is, from /proc alone. Needs machine.
#
# Every file of a process is read to its end: bash reads ahead and seeks back, and where the process
# ends in between it cannot, and hands what is left over to the next `read` of another file. A
# `read` that fails since the process ended leaves bash's variable unset, or as it was: it is emptied before each.
#
# Parameters: none. Prints: nothing, except `identity_say`.

# process_read PID: sets P_STATE, P_PARENT, P_GROUP, P_SESSION and P_START; false if there is no such process.
# The command's name may hold spaces, brackets and line ends: fields count after its last bracket.
process_read() {
    p_line=
    {
        while p_part=; IFS= read -r p_part || [ -n "$p_part" ]; do
            p_line="$p_line$p_part "
        done <"/proc/$1/stat"
    } 2>/dev/null || return 1
    case $p_line in
    *') '*) ;;
    *) return 1 ;;
    esac
    # shellcheck disable=SC2086
    set -- ${p_line##*) }
    [ $# -ge 20 ] || return 1
    P_STATE=$1 P_PARENT=$2 P_GROUP=$3 P_SESSION=$4 P_START=${20}
}

# process_uid PID: sets P_UID, the effective user. Read in one piece: bash seeks after each line, the kernel
# writes the file anew then, and a line begins elsewhere where the process woke up in between.
process_uid() {
    P_UID=
    while read -r p_key p_real p_effective p_rest; do
        [ "$p_key" != Uid: ] || P_UID=$p_effective
    done <<END
$(cat "/proc/$1/status" 2>/dev/null || :)
END
    [ -n "$P_UID" ]
}

# process_title PID: sets P_TITLE, the beginning of its command line, or the title that nginx gives itself.
process_title() {
    P_TITLE=
    {
        while p_part=; IFS= read -r p_part || [ -n "$p_part" ]; do
            P_TITLE=${P_TITLE:-$p_part}
        done <"/proc/$1/cmdline"
    } 2>/dev/null || :
}

# process_alive PID: whether it is there and not a zombie; sets what process_read sets.
process_alive() {
    process_read "$1" || return 1
    case $P_STATE in
    Z | X | x) return 1 ;;
    esac
}

# same_process PID START BOOT UID: whether exactly that process is alive.
same_process() {
    [ "$3" = "$BOOT_ID" ] || return 1
    process_alive "$1" || return 1
    [ "$P_START" = "$2" ] || return 1
    process_uid "$1" || return 1
    [ "$P_UID" = "$4" ]
}

# login_environment: gives what is started the login's own locale, path and mask.
login_environment() {
    umask "$LOGIN_UMASK"
    PATH=$LOGIN_PATH
    if [ "$LOGIN_LC_ALL" = unset ]; then
        unset LC_ALL
    else
        LC_ALL=$LOGIN_LC_ALL
    fi
}

# ended_by STATUS: sets REASON.
ended_by() {
    if [ "$1" -gt 128 ]; then
        REASON="ended by signal $(($1 - 128))"
    else
        REASON="ended with exit status $1"
    fi
}

# descends PID ANCESTOR: whether ANCESTOR is PID or one of its parents.
descends() {
    d_pid=$1
    while [ "$d_pid" -gt 1 ]; do
        [ "$d_pid" != "$2" ] || return 0
        process_read "$d_pid" || return 1
        d_pid=$P_PARENT
    done
    return 1
}

# children_read PID: sets CHILDREN, the pids of its children, zombies left out.
children_read() {
    c_found=
    if [ -r "/proc/$1/task/$1/children" ]; then
        { read -r c_found <"/proc/$1/task/$1/children" || :; } 2>/dev/null
    else
        c_found=$(cd /proc && echo [0-9]*)
    fi
    CHILDREN=
    for c_pid in $c_found; do
        if process_alive "$c_pid" && [ "$P_PARENT" = "$1" ]; then
            CHILDREN="$CHILDREN $c_pid"
        fi
    done
}

# group_read "PID...": sets GROUP, the pids of these processes and of all in a group or a session that one of them
# leads or led, zombies left out; false if there are none. It asks nobody's leave, unlike signal 0.
group_read() {
    GROUP=
    for g_folder in /proc/[0-9]*; do
        g_pid=${g_folder#/proc/}
        process_alive "$g_pid" || continue
        case " $1 " in
        *" $g_pid "* | *" $P_GROUP "* | *" $P_SESSION "*) GROUP="$GROUP $g_pid" ;;
        esac
    done
    [ -n "$GROUP" ]
}

# carries PID WORD: whether a process was given the word of a start in its environment, by that start or by a
# process that was. The kernel shows it to the process's own user and to root.
carries() {
    { tr '\n\0' ' \n' <"/proc/$1/environ" | grep -q -x -F -e "NONSTOP_START=$2"; } 2>/dev/null
}

# carriers_read WORD: sets CARRIERS, the pids of the live processes that carry it. A process that becomes another
# program has no environment for a moment: where nobody is found, it looks once more.
carriers_read() {
    CARRIERS=
    for c_look in first second; do
        for c_file in $({ grep -l -z -F -e "NONSTOP_START=$1" /proc/[0-9]*/environ || :; } 2>/dev/null); do
            c_pid=${c_file#/proc/}
            c_pid=${c_pid%/environ}
            ! carries "$c_pid" "$1" || CARRIERS="$CARRIERS $c_pid"
        done
        [ -z "$CARRIERS" ] || return 0
        [ "$c_look" = second ] || nap
    done
}

# identity_say PREFIX PID START UID: answers an identity of this boot.
identity_say() {
    say "$1.pid" "$2"
    say "$1.start_ticks" "$3"
    say "$1.boot_id" "$BOOT_ID"
    say "$1.uid" "$4"
}

# command_say KEY PID: answers the command line, words joined by spaces.
command_say() {
    { tr '\0' ' ' <"/proc/$2/cmdline"; } 2>/dev/null | text_from "$1" 4096
}
