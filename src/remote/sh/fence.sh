#!/bin/sh
# shellcheck disable=SC2034
# fence: the lock with its lease, and the fence that every change passes. Needs machine, state and trail.
#
# `lock` holds epoch, run, owner and the lease's term, with boot and uptime of the moment at which it
# was taken; `lease` holds `EPOCH BOOT UPTIME_CS` of the last renewal, and counts where the epoch is the
# lock's. A lease is counted by this host's own uptime; after a reboot the term starts anew with the
# boot. `sequence` holds `EPOCH NUMBER`, the last sequence number that was accepted.
#
# Parameters: FENCE_EPOCH, FENCE_RUN and FENCE_SEQUENCE for fence and what calls it.
# Prints: `fence=passed`, or `fence=refused` and the lock that is there, and the answer ends.

# lock_read: sets LOCK_EPOCH, LOCK_RUN, the owner's LOCK_WHO, LOCK_PLACE, LOCK_COMMAND, LOCK_BUILD_URL
# and LOCK_SINCE, LOCK_LEASE_MS (empty for a lock without an end), and LOCK_BOOT and LOCK_UPTIME_CS of
# the last renewal.
lock_read() {
    LOCK_EPOCH=0 LOCK_RUN='' LOCK_WHO='' LOCK_PLACE='' LOCK_COMMAND='' LOCK_BUILD_URL='' LOCK_SINCE=''
    LOCK_LEASE_MS='' LOCK_BOOT='' LOCK_UPTIME_CS=
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
        lease_ms) LOCK_LEASE_MS=$k_value ;;
        taken_boot) LOCK_BOOT=$k_value ;;
        taken_uptime_cs) LOCK_UPTIME_CS=$k_value ;;
        esac
    done <"$STATE/lock"
    is_number "$LOCK_EPOCH" || fail state_folder "$STATE/lock holds no epoch"
    [ -n "$LOCK_LEASE_MS" ] || return 0
    if ! is_number "$LOCK_LEASE_MS" || ! is_number "$LOCK_UPTIME_CS"; then
        fail state_folder "$STATE/lock holds no lease"
    fi
    lease_read
}

# lease_read: sets LOCK_BOOT and LOCK_UPTIME_CS where the lease was renewed since the lock was taken.
lease_read() {
    [ -f "$STATE/lease" ] || return 0
    k_epoch='' k_boot='' k_uptime=
    read -r k_epoch k_boot k_uptime <"$STATE/lease" || :
    if [ "$k_epoch" = "$LOCK_EPOCH" ] && is_number "$k_uptime"; then
        LOCK_BOOT=$k_boot LOCK_UPTIME_CS=$k_uptime
    fi
}

# lock_write: puts those variables on record; a lease's term begins now.
lock_write() {
    uptime_read
    write_file "$STATE/lock" <<END
epoch=$LOCK_EPOCH
run=$LOCK_RUN
who=$LOCK_WHO
place=$LOCK_PLACE
command=$LOCK_COMMAND
build_url=$LOCK_BUILD_URL
since=$LOCK_SINCE
lease_ms=$LOCK_LEASE_MS
taken_boot=$BOOT_ID
taken_uptime_cs=$UPTIME_CS
END
}

# lease_left: sets LEASE_LEFT_MS; empty where the lock is free or has no end.
lease_left() {
    LEASE_LEFT_MS=
    [ -n "$LOCK_RUN" ] && [ -n "$LOCK_LEASE_MS" ] || return 0
    uptime_read
    k_since=$UPTIME_CS
    [ "$LOCK_BOOT" != "$BOOT_ID" ] || k_since=$((UPTIME_CS - LOCK_UPTIME_CS))
    [ "$k_since" -ge 0 ] || k_since=0
    LEASE_LEFT_MS=$((LOCK_LEASE_MS - k_since * 10))
    [ "$LEASE_LEFT_MS" -ge 0 ] || LEASE_LEFT_MS=0
}

# lease_is_over: whether the lock was taken and not given back in its term.
lease_is_over() {
    lease_left
    [ "$LEASE_LEFT_MS" = 0 ]
}

# lease_renew: lets the term begin anew, under the flock, after the fence or by a script that has held
# the flock since. It need not outlive a power failure: with the boot the term starts anew anyway.
lease_renew() {
    [ -n "$LOCK_LEASE_MS" ] || return 0
    uptime_read
    if ! printf '%s %s %s\n' "$LOCK_EPOCH" "$BOOT_ID" "$UPTIME_CS" >"$STATE/lease.new.$$" ||
        ! mv -f -- "$STATE/lease.new.$$" "$STATE/lease"; then
        fail state_folder "$STATE/lease cannot be written"
    fi
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
    lease_left
    [ -z "$LEASE_LEFT_MS" ] || say lock.lease_left_ms "$LEASE_LEFT_MS"
}

# holds EPOCH RUN: whether the lock is theirs and its lease is not over.
holds() {
    [ "$LOCK_EPOCH" = "$1" ] && [ "$LOCK_RUN" = "$2" ] && ! lease_is_over
}

# Whether this script's own sequence number was accepted before.
FENCE_PASSED=no

# fence: whether this script may change the host, asked under the flock. It may if epoch and run are
# those on record, the lease is not over, and its sequence number is above the last that was accepted
# under that epoch; that number is then on record, and the lease begins anew. Asked again by the same
# script, it passes unless a later one came between.
fence() {
    lock_read
    holds "$FENCE_EPOCH" "$FENCE_RUN" || return 1
    TRAIL_RUN=$LOCK_RUN TRAIL_EPOCH=$LOCK_EPOCH TRAIL_WHO=$LOCK_WHO
    f_epoch='' f_sequence=
    [ ! -f "$STATE/sequence" ] || read -r f_epoch f_sequence <"$STATE/sequence" || :
    if [ "$f_epoch" = "$LOCK_EPOCH" ]; then
        is_number "$f_sequence" || fail state_folder "$STATE/sequence holds no number"
        if [ "$FENCE_PASSED" = yes ]; then
            [ "$f_sequence" = "$FENCE_SEQUENCE" ] || return 1
            lease_renew
            return 0
        fi
        [ "$FENCE_SEQUENCE" -gt "$f_sequence" ] || return 1
    fi
    # Nothing is lost with this number in a power failure that a new lock would not bring back.
    printf '%s %s\n' "$LOCK_EPOCH" "$FENCE_SEQUENCE" | write_file "$STATE/sequence" || exit 3
    FENCE_PASSED=yes
    lease_renew
}

# passed: answers that it did. Only for a script that has held the flock since: nobody can have come
# between, and so the lease begins anew once more, however long the work took.
passed() {
    lease_renew
    say fence passed
}

# refuse: answers that the fence did not let the script pass.
refuse() {
    say fence refused
    lock_say
    answered
}

# state_ready_or_refuse: finds the state folder; where it was never made, nobody holds its lock.
state_ready_or_refuse() {
    state_find
    if [ "$STATE_STATUS" = absent ]; then
        lock_read
        refuse
    fi
    [ "$STATE_STATUS" = ready ] || fail state_folder "$STATE belongs to another user"
}

# fence_or_refuse: takes the flock and asks the fence; where it refuses, the script answers and ends.
fence_or_refuse() {
    state_ready_or_refuse
    state_lock
    fence || refuse
}

# fence_again: the same before a second effect, after unlocked work.
fence_again() {
    state_lock
    fence || refuse
}
