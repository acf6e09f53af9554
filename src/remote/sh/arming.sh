#!/bin/sh
# shellcheck disable=SC2034
# arming: arms a token and starts the watch that sleeps beside it. Needs tokens where one is armed.
#
# The watch, like a timer, is a session of its own with none of our descriptors, so that it outlives this script and
# the SSH connection. Where logind kills what a login leaves behind, systemd runs it instead: the
# system's manager for root, the user's own where the login lingers. A test may set NONSTOP_SYSTEMD to
# another folder than the one that is there where systemd runs.
#
# Parameters: HOME_RUN, FENCE_EPOCH and FENCE_SEQUENCE, which name the token; WATCH (base64: the watch's
# program) and WATCH_MS, its deadline from now.
# Prints: what watch_left_say prints.

SYSTEMD_FOLDER=${NONSTOP_SYSTEMD:-/run/systemd/system}
TOKEN=

# logind_kills: whether logind ends this login's processes with its last session.
logind_kills() {
    [ -d "$SYSTEMD_FOLDER" ] && command -v busctl >/dev/null 2>&1 || return 1
    a_kills='' a_only='' a_exclude=
    {
        read -r a_kills || :
        read -r a_only || :
        read -r a_exclude || :
    } <<END
$(within 5 busctl get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager \
        KillUserProcesses KillOnlyUsers KillExcludeUsers 2>/dev/null || :)
END
    a_user=$(id -un 2>/dev/null) || a_user=$MY_UID
    case $a_exclude in
    *"\"$a_user\""*) return 1 ;;
    esac
    case $a_only in
    *"\"$a_user\""*) return 0 ;;
    *\"*) return 1 ;;
    esac
    [ "$a_kills" = 'b true' ]
}

# watch_keeper: sets KEEPER, who keeps a watch alive after the logout: session (nothing is needed, and an
# instance is as safe), systemd, user (the user's manager) or nobody.
watch_keeper() {
    KEEPER=session
    logind_kills || return 0
    KEEPER=nobody
    command -v systemd-run >/dev/null 2>&1 || return 0
    if [ "$MY_UID" = 0 ]; then
        KEEPER=systemd
    elif [ "$(within 5 loginctl show-user -p Linger "$MY_UID" 2>/dev/null)" = Linger=yes ]; then
        KEEPER=user
    fi
}

# detached COMMAND...: becomes the command, in a session of its own.
detached() {
    trap - HUP INT PIPE TERM
    cd /
    exec setsid "$@"
}

# program_start UNIT PROGRAM PID_FILE: starts a program that outlives us; false if it does not say in PID_FILE
# within five seconds that it is there.
program_start() {
    a_unit=$1 a_pid_file=$3
    set -- "$2" "$STATE"
    [ -z "${NONSTOP_MACHINE-}" ] || set -- "NONSTOP_MACHINE=$NONSTOP_MACHINE" sh "$@"
    [ -n "${NONSTOP_MACHINE-}" ] || set -- sh "$@"
    set -- env "HOME=${HOME-/}" "PATH=$LOGIN_PATH" "$@"
    watch_keeper
    case $KEEPER in
    systemd) within 5 systemd-run --quiet --unit "$a_unit" "$@" || return 1 ;;
    user)
        export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$MY_UID}"
        within 5 systemd-run --user --quiet --unit "$a_unit" "$@" || return 1
        ;;
    *) (detached "$@") </dev/null >/dev/null 2>&1 3>&- 8<&- 9<&- & ;;
    esac
    deadline_in 5000
    until [ -f "$a_pid_file" ]; do
        time_left || return 1
        nap
    done
}

# arm: arms the token TOKEN, and then moves every one that was armed before to superseded. Under the
# flock, and before anything is changed: without a watch there is no switch.
arm() {
    need setsid
    mkdir -p -- "$STATE/tokens"
    TOKEN=$HOME_RUN.$FENCE_EPOCH.$FENCE_SEQUENCE
    printf '%s' "$WATCH" | base64 -d | write_file "$STATE/tokens/$TOKEN.watch" || exit 3
    uptime_read
    write_file "$STATE/tokens/$TOKEN.armed" <<END
boot_id=$BOOT_ID
deadline_cs=$((UPTIME_CS + WATCH_MS / 10))
END
    if ! program_start "nonstop-$APP-$TOKEN" "$STATE/tokens/$TOKEN.watch" "$STATE/tokens/$TOKEN.pid"; then
        rm -f -- "$STATE/tokens/$TOKEN.armed" "$STATE/tokens/$TOKEN.watch"
        fail watch "the watch of $TOKEN did not start"
    fi
    tokens_retire "$HOME_RUN" superseded "$TOKEN"
    trail armed token "$TOKEN" watch_ms "$WATCH_MS"
}

# watch_left_say: answers how long until the watch's deadline.
watch_left_say() {
    token_read "$TOKEN" || fail state_folder "the token $TOKEN is not armed any more"
    token_left
    say watch_left_ms "$T_LEFT_MS"
}
