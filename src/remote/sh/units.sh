#!/bin/sh
# shellcheck disable=SC2034,SC2153
# units: units of systemd that run slots, and what leads them to their release. Needs process, sockets and state.
#
# A unit keeps no environment of ours, so that no word tells its processes: it is known by its name, which the
# slot's record has, and by systemd's word for its main process. systemd may have started that one anew since,
# after a crash or a boot. It still is the recorded instance while `current/PORT` below RELEASE_DIR leads to the
# recorded release: nobody but a start changes that link.
#
# Parameters: RELEASE_DIR, and UNITS (words `SLOT=UNIT`) where a script asks for a slot's. Prints: nothing.

# unit_read UNIT: sets U_LOAD, U_ACTIVE, U_MAIN (0 where there is none), U_RESULT, U_STATUS, U_FILE and U_JOB (the
# number of what systemd is going to do to it; empty where that is nothing) from what systemd says of it; false where
# it says nothing. It needs no root.
unit_read() {
    U_LOAD='' U_ACTIVE='' U_MAIN=0 U_RESULT='' U_STATUS='' U_FILE='' U_JOB=
    command -v systemctl >/dev/null 2>&1 || return 1
    u_shown=$(within 10 systemctl show -p LoadState -p ActiveState -p MainPID -p Result -p ExecMainStatus \
        -p UnitFileState -p Job -- "$1" 2>/dev/null </dev/null) || return 1
    while IFS= read -r u_line; do
        u_value=${u_line#*=}
        case ${u_line%%=*} in
        LoadState) U_LOAD=$u_value ;;
        ActiveState) U_ACTIVE=$u_value ;;
        MainPID) U_MAIN=$u_value ;;
        Result) U_RESULT=$u_value ;;
        ExecMainStatus) U_STATUS=$u_value ;;
        UnitFileState) U_FILE=$u_value ;;
        Job) [ "$u_value" = 0 ] || U_JOB=$u_value ;;
        esac
    done <<END
$u_shown
END
    is_number "$U_MAIN" || U_MAIN=0
    [ -n "$U_LOAD" ] && [ -n "$U_ACTIVE" ]
}

# unit_up: whether it runs, or systemd is about to start it (again): a job may wait for others.
unit_up() {
    case $U_ACTIVE in
    inactive | failed) [ -n "$U_JOB" ] ;;
    esac
}

# unit_of SLOT: sets SLOT_UNIT from UNITS; empty where the slot has none.
unit_of() {
    SLOT_UNIT=
    for u_word in $UNITS; do
        [ "${u_word%%=*}" != "$1" ] || SLOT_UNIT=${u_word#*=}
    done
}

# unit_state: sets U_STATE, whether the unit that was read can be started.
unit_state() {
    case $U_LOAD in
    loaded)
        U_STATE=ready
        [ "$U_FILE" != static ] || U_STATE=static
        ;;
    not-found) U_STATE=unknown ;;
    masked) U_STATE=masked ;;
    '') U_STATE=no_systemd ;;
    *) U_STATE=broken ;;
    esac
}

# unit_instance UNIT PORT: sets N_PID, N_START and N_UID: its process that has the port, itself or one that it
# started, else its main process; false where it has none. Looks in SOCKETS and HOLDERS, and sets what listener_of
# sets; LISTENER is `own` where the unit has the port. Of another user's process the login cannot see which socket
# it has: there the socket's user has to do.
unit_instance() {
    unit_read "$1" || return 1
    [ "$U_MAIN" -gt 0 ] && process_alive "$U_MAIN" && process_uid "$U_MAIN" || return 1
    N_PID=$U_MAIN N_START=$P_START N_UID=$P_UID
    listener_of "$2" "$U_MAIN"
    [ "$LISTENER" = other ] || return 0
    if [ -z "$LISTENER_PID" ]; then
        [ "$LISTENER_UID" != "$N_UID" ] || LISTENER=own LISTENER_PID=$U_MAIN
    elif descends "$LISTENER_PID" "$U_MAIN" && process_alive "$LISTENER_PID" && process_uid "$LISTENER_PID"; then
        LISTENER=own N_PID=$LISTENER_PID N_START=$P_START N_UID=$P_UID
    fi
}

# unit_is_recorded: whether what unit_instance found is the instance that instance_read read, systemd having
# started it anew or not.
unit_is_recorded() {
    [ "$I_PID $I_START $I_BOOT $I_UID" != "$N_PID $N_START $BOOT_ID $N_UID" ] || return 0
    link_is_recorded
}

# link_is_recorded: whether what systemd starts now is the release that instance_read read.
link_is_recorded() {
    [ "$(readlink -- "$RELEASE_DIR/current/$I_PORT" 2>/dev/null || :)" = "../releases/$I_RELEASE" ]
}

# journal_of UNIT ARGUMENT...: prints what a unit wrote, as far as the login may read it, and why it may not.
journal_of() {
    j_unit=$1
    shift
    within 10 journalctl --no-pager --output=cat --unit="$j_unit" "$@" 2>&1 </dev/null || :
}
