#!/bin/sh
# shellcheck disable=SC2034
# watch: sleeps on an nginx host beside its armed token, and at the token's deadline moves it to fired,
# puts home back, reloads and proves. It leaves at once where its token is no longer armed or the machine
# was booted since. It obeys its token and never the epoch: nobody has to be there for it. What somebody
# else wrote meanwhile it leaves alone. A way home that is not proven is tried again a few times, with
# pauses in which others may act; a token that was armed later ends it.
#
# Parameters: those of revert without the fence's, TOKEN_EPOCH and TOKEN_NUMBER; and as its argument the
# state folder. Prints: nothing; what it did is in the token and in the audit trail.
EVENT=watch
ATTEMPTS=5
STATE_DIR=$1
TOKEN=$HOME_RUN.$TOKEN_EPOCH.$TOKEN_NUMBER
state_find
if [ "$STATE_STATUS" != ready ] || ! token_read "$TOKEN"; then exit 0; fi
SCRATCH=$STATE/tokens/$TOKEN.scratch
TRAIL_RUN=$HOME_RUN TRAIL_EPOCH=$TOKEN_EPOCH TRAIL_WHO=watch
cleanup() { rm -f -- "$STATE/tokens/$TOKEN.pid"; }

# In an attempt these end it, and say how. Shells themselves end with 1 and 2 and above 125: those, and
# whatever else is neither of these two, is tried again.
IS_HOME=80 IS_NOT_OURS=81
proven() { exit "$IS_HOME"; }
ended() {
    printf '%s\n' "$2" >"$SCRATCH/reason"
    exit "$1"
}
unproven() { ended 1 "$1"; }
fail() { ended 1 "$1: $2"; }
drifted() { ended "$IS_NOT_OURS" "$1"; }
no_home() { ended "$IS_NOT_OURS" "nothing was saved for $HOME_RUN"; }

# same_boot: whether the machine is up since the token was armed.
same_boot() {
    machine_read
    [ "$T_BOOT" = "$BOOT_ID" ]
}

# still_armed: whether nobody moved the token in this boot.
still_armed() {
    token_is_armed "$TOKEN" && same_boot
}

# take_locks CONDITION: takes both flocks, and waits with none of them: a confirm must not have to wait for
# it. It waits for as long as the condition holds, and leaves where it does no more.
take_locks() {
    deadline_in 60000
    until both_flocks; do
        "$1" || exit 0
        if time_left; then nap; else sleep 1; fi
    done
    "$1" || exit 0
}

# still_mine: whether it is still this watch that has to bring home.
still_mine() {
    [ -f "$STATE/tokens/$TOKEN.fired" ] && same_boot && token_is_newest "$TOKEN_EPOCH" "$TOKEN_NUMBER"
}

attempt() {
    nginx_find
    use_root "$MASTER_UID"
    go_home
}

# fire: moves the token, unless somebody was faster.
fire() {
    take_locks still_armed
    # From here on it goes to its end.
    trap '' HUP INT PIPE TERM
    # A folder that takes no change now may take one later.
    until (token_move "$TOKEN" fired); do
        exec 8<&- 9<&-
        sleep 1
        take_locks still_armed
    done
    trail fired token "$TOKEN"
}

mkdir -p -- "$SCRATCH"
process_read "$$"
printf '%s %s %s\n' "$$" "$P_START" "$BOOT_ID" >"$STATE/tokens/$TOKEN.pid.new"
mv -f -- "$STATE/tokens/$TOKEN.pid.new" "$STATE/tokens/$TOKEN.pid"
sleep_out still_armed token_left
fire
left=$ATTEMPTS LONGER_MS=$DEADLINE_MS
while :; do
    status=0
    # Not in a list with `||`: an attempt has to end at its first error.
    (attempt) &
    wait "$!" || status=$?
    RESULT=unproven
    [ "$status" -ne "$IS_NOT_OURS" ] || RESULT=drifted
    left=$((left - 1))
    if [ "$status" -eq "$IS_HOME" ]; then
        trail restored token "$TOKEN"
        break
    fi
    words_of "$(cat -- "$SCRATCH/reason" 2>/dev/null || echo "it ended with status $status")"
    rm -f -- "$SCRATCH/reason" 2>/dev/null || :
    trail "$RESULT" token "$TOKEN" attempts_left "$left" reason "$WORDS"
    if [ "$RESULT" = drifted ] || [ "$left" -eq 0 ]; then break; fi
    exec 8<&- 9<&-
    sleep $(((ATTEMPTS - left) * 2))
    # What was only slow is given longer.
    DEADLINE_MS=$((DEADLINE_MS + LONGER_MS))
    take_locks still_mine
done
