#!/bin/sh
# shellcheck disable=SC2034
# state: the state folder, its lock and the fence that every change passes. Needs machine.
#
# The folder is what STATE_DIR names; else /var/lib/nonstop/APP, where it is or root can make it; else
# RELEASE_DIR/.nonstop/APP. In it: `lock`, `sequence`, `record`, `instance.SLOT`, `home/RUN/`. Every
# file is written beside its place, synced and renamed. The folder itself is what is flocked, by
# descriptor 9: there is nothing to make and nothing to leave behind.
#
# Parameters: those of base; FENCE_EPOCH, FENCE_RUN and FENCE_SEQUENCE for fence_or_refuse.
# Prints: `fence=passed`, or `fence=refused` and the lock that is there, and the answer ends.

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

# state_lock SECONDS: takes the flock of the state folder, or fails. busybox's flock knows no -w.
state_lock() {
    need flock
    exec 9<"$STATE"
    deadline_in "$(($1 * 1000))"
    until flock -n 9; do
        time_left || fail busy "$STATE"
        nap
    done
}

# state_unlock: gives it back.
state_unlock() {
    exec 9<&-
}

# write_file FILE: replaces a file of the state folder by what comes on standard input.
write_file() {
    dd of="$1.new.$$" conv=fsync 2>/dev/null || {
        rm -f -- "$1.new.$$"
        fail state_folder "$1 cannot be written"
    }
    mv -f -- "$1.new.$$" "$1"
    sync -- "$STATE" 2>/dev/null || sync "$STATE" 2>/dev/null || :
}

# lock_read: sets LOCK_EPOCH, LOCK_RUN and the owner's LOCK_WHO, LOCK_PLACE, LOCK_COMMAND,
# LOCK_BUILD_URL and LOCK_SINCE.
lock_read() {
    LOCK_EPOCH=0 LOCK_RUN='' LOCK_WHO='' LOCK_PLACE='' LOCK_COMMAND='' LOCK_BUILD_URL='' LOCK_SINCE=''
    [ -f "$STATE/lock" ] || return 0
    LOCK_EPOCH=
    while IFS= read -r k_line; do
        k_value=${k_line#*=}
        case ${k_line%%=*} in
        epoch) LOCK_EPOCH=$k_value ;;
        run) LOCK_RUN=$k_value ;;
        who) LOCK_WHO=$k_value ;;
        place) LOCK_PLACE=$k_value ;;
        command) LOCK_COMMAND=$k_value ;;
        build_url) LOCK_BUILD_URL=$k_value ;;
        since) LOCK_SINCE=$k_value ;;
        esac
    done <"$STATE/lock"
    is_number "$LOCK_EPOCH" || fail state_folder "$STATE/lock holds no epoch"
}

# lock_write: puts those variables on record.
lock_write() {
    write_file "$STATE/lock" <<END
epoch=$LOCK_EPOCH
run=$LOCK_RUN
who=$LOCK_WHO
place=$LOCK_PLACE
command=$LOCK_COMMAND
build_url=$LOCK_BUILD_URL
since=$LOCK_SINCE
END
}

# lock_say: answers them.
lock_say() {
    say lock.epoch "$LOCK_EPOCH"
    text lock.run "$LOCK_RUN"
    text lock.who "$LOCK_WHO"
    text lock.place "$LOCK_PLACE"
    text lock.command "$LOCK_COMMAND"
    text lock.build_url "$LOCK_BUILD_URL"
    text lock.since "$LOCK_SINCE"
}

# Whether this script's own sequence number was accepted before.
FENCE_PASSED=no

# fence: whether this script may change the host, asked under the flock. It may if epoch and run are
# those on record and its sequence number is above the last that was accepted under that epoch; that
# number is then on record. Asked again by the same script, it passes unless a later one came between.
fence() {
    lock_read
    [ "$LOCK_EPOCH" = "$FENCE_EPOCH" ] && [ "$LOCK_RUN" = "$FENCE_RUN" ] || return 1
    f_epoch='' f_sequence=
    [ ! -f "$STATE/sequence" ] || read -r f_epoch f_sequence <"$STATE/sequence" || :
    if [ "$f_epoch" = "$LOCK_EPOCH" ]; then
        is_number "$f_sequence" || fail state_folder "$STATE/sequence holds no number"
        if [ "$FENCE_PASSED" = yes ]; then
            [ "$f_sequence" = "$FENCE_SEQUENCE" ]
            return
        fi
        [ "$FENCE_SEQUENCE" -gt "$f_sequence" ] || return 1
    fi
    # Nothing is lost with this number in a power failure that a new lock would not bring back.
    printf '%s %s\n' "$LOCK_EPOCH" "$FENCE_SEQUENCE" | write_file "$STATE/sequence" || exit 3
    FENCE_PASSED=yes
}

# refuse: answers that the fence did not let the script pass.
refuse() {
    say fence refused
    lock_say
    answered
}

# fence_or_refuse: takes the flock and asks the fence; where it refuses, the script answers and ends.
fence_or_refuse() {
    state_find
    if [ "$STATE_STATUS" = absent ]; then
        lock_read
        refuse
    fi
    [ "$STATE_STATUS" = ready ] || fail state_folder "$STATE belongs to another user"
    state_lock 20
    fence || refuse
}

# fence_again: the same before a second effect, after unlocked work.
fence_again() {
    state_lock 20
    fence || refuse
}

# instance_read SLOT: sets I_PORT, I_RELEASE, I_PID, I_START, I_BOOT, I_UID and I_LOG from what the
# last start left; false if there is nothing.
instance_read() {
    I_PORT='' I_RELEASE='' I_PID='' I_START='' I_BOOT='' I_UID='' I_LOG=
    [ -f "$STATE/instance.$1" ] || return 1
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
        esac
    done <"$STATE/instance.$1"
    if ! is_number "$I_PID" || ! is_number "$I_START" || ! is_number "$I_UID"; then
        fail state_folder "$STATE/instance.$1 is torn"
    fi
}
