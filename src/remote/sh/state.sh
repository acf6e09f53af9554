#!/bin/sh
# shellcheck disable=SC2034
# state: the state folder, its flock, and what is on record in it. Needs machine.
#
# The folder is what STATE_DIR names; else /var/lib/nonstop/APP, where it is or root can make it; else
# RELEASE_DIR/.nonstop/APP. In it: `lock`, `lease`, `sequence`, `record`, `instance.SLOT`, `home/RUN/`,
# `tokens/`, `audit`. What a power failure must not take is synced before it counts: a file is written
# beside its place, synced and renamed. The folder itself is what is flocked, by descriptor 9: there is
# nothing to make and nothing to leave behind.
#
# Parameters: those of base. Prints: nothing.

SHARED_STATE=${NONSTOP_SHARED_STATE:-/var/lib/nonstop}
STATE='' STATE_STATUS=''

# state_find: sets STATE and STATE_STATUS (ready, absent or foreign_owner).
state_find() {
    if [ -n "$STATE_DIR" ]; then
        STATE=$STATE_DIR
    elif [ -d "$SHARED_STATE/$APP" ]; then
        STATE=$SHARED_STATE/$APP
    elif [ -n "$RELEASE_DIR" ] && { [ -d "$RELEASE_DIR/.nonstop/$APP" ] || ! state_can_share; }; then
        STATE=$RELEASE_DIR/.nonstop/$APP
    else
        STATE=$SHARED_STATE/$APP
    fi
    if [ ! -d "$STATE" ]; then
        STATE_STATUS=absent
    elif [ "$MY_UID" = 0 ] || { [ -O "$STATE" ] && [ -w "$STATE" ]; }; then
        STATE_STATUS=ready
    else
        STATE_STATUS=foreign_owner
    fi
}

# state_can_share: whether the folder below /var/lib can be made.
state_can_share() {
    [ "$MY_UID" != 0 ] || return 0
    [ "$MAY_SUDO" = yes ] || return 1
    sudo -n -l -- install -d -o "$MY_UID" -m 0755 -- "$SHARED_STATE/$APP" >/dev/null 2>&1
}

# state_make: makes the folder where it is absent, and fails where it cannot be used.
state_make() {
    state_find
    if [ "$STATE_STATUS" = absent ]; then
        if ! mkdir -p -- "$STATE" 2>/dev/null; then
            use_root
            root install -d -o "$MY_UID" -m 0755 -- "$STATE" || fail state_folder "$STATE cannot be made"
        fi
        state_find
    fi
    [ "$STATE_STATUS" = ready ] || fail state_folder "$STATE belongs to another user"
}

# How long a script waits for flocks: less than the controller waits for any answer.
LOCK_WAIT_MS=8000

# flocked MILLISECONDS OPTION...: `flock -n OPTION...`, tried for so long: busybox's flock knows no -w.
flocked() {
    deadline_in "$1"
    shift
    until flock -n "$@"; do
        time_left || return 1
        nap
    done
}

# state_lock: takes the flock of the state folder, or fails.
state_lock() {
    need flock
    exec 9<"$STATE"
    flocked "$LOCK_WAIT_MS" 9 || fail busy "$STATE"
}

# state_unlock: gives it back.
state_unlock() {
    exec 9<&-
}

# synced PATH...: what is there survives a power failure. What the login may not read takes its whole file
# system along; a link is in its folder.
synced() {
    for y_path; do
        [ ! -L "$y_path" ] || continue
        sync -- "$y_path" 2>/dev/null || sync -f -- "${y_path%/*}/" 2>/dev/null || sync
    done
}

# write_file FILE: replaces a file of the state folder by what comes on standard input.
write_file() {
    dd of="$1.new.$$" conv=fsync 2>/dev/null || {
        rm -f -- "$1.new.$$"
        fail state_folder "$1 cannot be written"
    }
    # Where the caller asks for the status of this, no error ends it by itself.
    mv -f -- "$1.new.$$" "$1" || fail state_folder "$1 cannot be written"
    synced "${1%/*}"
}

# instance_read SLOT: sets I_PORT, I_RELEASE, I_PID, I_START, I_BOOT, I_UID and I_LOG from what the last start
# left; false if no process is on record. Of a start that did not get that far, I_WORD is the word that its
# processes carry, and I_RUN the run that it belongs to. I_UNIT is the unit of systemd that runs the slot, where
# one does, and I_ENABLED whether it was enabled with it.
instance_read() {
    I_PORT='' I_RELEASE='' I_PID='' I_START='' I_BOOT='' I_UID='' I_LOG='' I_WORD='' I_RUN='' I_UNIT='' I_ENABLED=
    # Who looks without the flock may find that it is removed.
    {
        while IFS= read -r i_line; do
            i_value=${i_line#*=}
            case ${i_line%%=*} in
            port) I_PORT=$i_value ;;
            release) I_RELEASE=$i_value ;;
            pid) I_PID=$i_value ;;
            start_ticks) I_START=$i_value ;;
            boot_id) I_BOOT=$i_value ;;
            uid) I_UID=$i_value ;;
            log) I_LOG=$i_value ;;
            word) I_WORD=$i_value ;;
            run) I_RUN=$i_value ;;
            unit) I_UNIT=$i_value ;;
            enabled) I_ENABLED=$i_value ;;
            esac
        done <"$STATE/instance.$1"
    } 2>/dev/null || return 1
    [ -z "$I_WORD" ] || return 1
    if ! is_number "$I_PID" || ! is_number "$I_START" || ! is_number "$I_UID"; then
        fail state_folder "$STATE/instance.$1 is torn"
    fi
}
