#!/bin/sh
# shellcheck disable=SC2034
# commit: arms a token and its watch, puts the prepared candidate in place, reloads and proves, all under
# both flocks, so that nobody observes a reload in flight. Done again, after a commit that went through,
# was cut off or was taken back by its watch, it arms a new token and works from whatever is there.
#
# Parameters: those of prepare without SHADOW (CANDIDATE: the bytes to place, empty for a link); PLACED
# (the digest of the bytes, or `link:TEXT`), LINK (empty for a file), WATCH (base64: the watch's
# program), WATCH_MS (its deadline from now) and DEADLINE_MS.
# Prints: the fence's answer and the switch's, with `watch_left_ms` where it is proven.
EVENT=commit
switch_begin
beside "$TARGET" candidate
CANDIDATE_FILE=$BESIDE

# placed: whether the bytes are at the target, nginx reads them at the entry, and nothing else is left.
placed() {
    is_placed "$TARGET" "$PLACED" || return 1
    if [ -n "$TAKES_OVER" ] && is_there "$TAKES_OVER"; then return 1; fi
    [ "$ENTRY" = "$TARGET" ] || { [ -L "$ENTRY" ] && [ "$(readlink -f -- "$ENTRY")" = "$TARGET" ]; }
}

# look_for_drift: answers and ends if something else is there than what was observed, than home, or than
# what a commit of this run put. A take-over that was cut off between its two renames left the old file's
# bytes under the new name.
look_for_drift() {
    l_home=$HOME_ENTRY_SHA256
    [ -z "$HOME_TAKES_OVER" ] || l_home=$HOME_TAKES_OVER_SHA256
    if [ -n "$TAKES_OVER" ] && is_there "$TAKES_OVER"; then
        if is_there "$ENTRY"; then drifted "$ENTRY and $TAKES_OVER are both there"; fi
        digest_of "$TAKES_OVER"
    else
        digest_of "$ENTRY"
    fi
    [ "$DIGEST" != "$EXPECTED_SHA256" ] && [ "$DIGEST" != "$l_home" ] || return 0
    l_digest=$DIGEST
    was_placed "$TARGET" || drifted "$ENTRY has the digest ${l_digest:-of nothing}"
}

# make_candidate: what is renamed into place; prepare left the file, and only a link is made here.
make_candidate() {
    if [ -n "$LINK" ]; then
        root rm -f -- "$CANDIDATE_FILE"
        root ln -s -- "$LINK" "$CANDIDATE_FILE"
    else
        is_placed "$CANDIDATE_FILE" "$PLACED" && return 0
        if [ ! -f "$CANDIDATE_FILE" ] && [ -f "$TARGET" ] && [ ! -L "$TARGET" ]; then
            root cp -a -T -- "$TARGET" "$CANDIDATE_FILE"
        fi
        printf '%s' "$CANDIDATE" | base64 -d >"$SCRATCH/candidate"
        root tee -- "$CANDIDATE_FILE" <"$SCRATCH/candidate" >/dev/null
        synced "$CANDIDATE_FILE"
    fi
}

# put_in_place: at most two renames, each of which swaps one thing for another in one step.
put_in_place() {
    if [ -n "$TAKES_OVER" ] && is_there "$TAKES_OVER"; then
        root mv -T -- "$TAKES_OVER" "$ENTRY"
    fi
    root mv -T -- "$CANDIDATE_FILE" "$TARGET"
}

home_read "$HOME_RUN" || no_home
# A commit that is done again may have been planned when nothing was there to take over any more.
TAKES_OVER=${TAKES_OVER:-$HOME_TAKES_OVER}
the_master || restarted
if ! placed; then
    look_for_drift
    make_candidate
fi
# From here on what nginx runs may differ from home.
: | write_file "$HOME_DIR/committed" || exit 3
placed_add "$PLACED"
arm
placed || put_in_place
INODE=$(stat -c %i -- "$TARGET")
still_placed() { placed && [ "$(stat -c %i -- "$TARGET")" = "$INODE" ]; }
reload_and_prove still_placed
synced "${TARGET%/*}" "${ENTRY%/*}"
proven
