#!/bin/sh
# shellcheck disable=SC2034
# commit: puts the prepared candidate in place, reloads and proves, all under both flocks, so that
# nobody observes a reload in flight. Done again after a commit that went through, it only reloads
# and proves.
#
# Parameters: those of prepare without SHADOW (CANDIDATE: the bytes to place, empty for a link), and
# DEADLINE_MS.
# Prints: the fence's answer and the switch's.
switch_begin
beside "$TARGET" candidate
CANDIDATE_FILE=$BESIDE

no_home() {
    passed
    say switch no_home
    answered
}

# placed: whether the bytes are at the target, nginx reads them at the entry, and nothing else is left.
placed() {
    is_placed "$TARGET" "$PLACED" || return 1
    if [ -n "$TAKES_OVER" ] && { [ -e "$TAKES_OVER" ] || [ -L "$TAKES_OVER" ]; }; then return 1; fi
    [ "$ENTRY" = "$TARGET" ] || { [ -L "$ENTRY" ] && [ "$(readlink -f -- "$ENTRY")" = "$TARGET" ]; }
}

# look_for_drift: answers and ends if something else is there than what was observed. A take-over that
# was cut off between its two renames left the old file's bytes under the new name.
look_for_drift() {
    if [ -n "$TAKES_OVER" ]; then
        if [ -e "$TAKES_OVER" ] || [ -L "$TAKES_OVER" ]; then
            if [ -e "$ENTRY" ] || [ -L "$ENTRY" ]; then drifted "$ENTRY and $TAKES_OVER are both there"; fi
            digest_of "$TAKES_OVER"
        else
            digest_of "$ENTRY"
        fi
    else
        digest_of "$ENTRY"
    fi
    [ "$DIGEST" = "$EXPECTED_SHA256" ] || drifted "$ENTRY has the digest ${DIGEST:-of nothing}"
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
        sync -- "$CANDIDATE_FILE" 2>/dev/null || :
    fi
}

# arm: from here on what nginx runs may differ from home. The place of the token and of the watch.
arm() {
    printf 'committed\n' | write_file "$HOME_DIR/committed" || exit 3
}

# put_in_place: at most two renames, each of which swaps one thing for another in one step.
put_in_place() {
    if [ -n "$TAKES_OVER" ] && { [ -e "$TAKES_OVER" ] || [ -L "$TAKES_OVER" ]; }; then
        root mv -T -- "$TAKES_OVER" "$ENTRY"
    fi
    root mv -T -- "$CANDIDATE_FILE" "$TARGET"
}

home_read "$FENCE_RUN" || no_home
the_master || drifted "the nginx master is not the one that was observed"
if ! placed; then
    look_for_drift
    make_candidate
    arm
    put_in_place
fi
arm
INODE=$(stat -c %i -- "$TARGET")
still_placed() { placed && [ "$(stat -c %i -- "$TARGET")" = "$INODE" ]; }
reload_and_prove still_placed
sync -- "${TARGET%/*}" "${ENTRY%/*}" 2>/dev/null || :
proven
