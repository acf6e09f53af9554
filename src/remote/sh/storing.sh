#!/bin/sh
# shellcheck disable=SC2034
# storing: makes a release of a jar's bytes, wherever they come from. Nothing of it can be seen in
# `releases/ID` before it is whole, synced and has the right digest; whatever goes wrong, the unfinished
# folder is removed. A release that is already there is never touched.
#
# Parameters: the fence's, RELEASE, SHA256, SIZE_BYTES, JAR_NAME (one line). Whoever includes it defines
# `bytes`, which writes the jar to standard output, and `pass_over`, which takes what would else be left unread.
# Prints: the fence's answer, and what was asked for by `store KEY`: `KEY=stored`, `KEY=mismatch` with
# `size_bytes` and `sha256`, or `KEY=write_failed` with `reason`. Fails with `release_exists` if other
# bytes have that id.
PART="$RELEASES/.part-$FENCE_SEQUENCE-$RELEASE"
cleanup() { rm -rf -- "$PART" 2>/dev/null || :; }

write_failed() {
    say fence passed
    say "$STORES" write_failed
    text reason "$1"
    answered
}

already_there() {
    meta_read "$RELEASE" || return 1
    [ "$META_SHA256" = "$SHA256" ] && [ "$META_SIZE" = "$SIZE_BYTES" ]
}

stored() {
    say fence passed
    say "$STORES" stored
    answered
}

# store KEY: does it all, and ends the script.
store() {
    STORES=$1 EVENT=$1
    if already_there; then
        pass_over
        fence_or_refuse
        stored
    fi
    scratch
    cleanup
    mkdir -p -- "$PART" 2>"$SCRATCH/error" || {
        pass_over
        write_failed "$(head -n 1 "$SCRATCH/error")"
    }
    # The digest is taken while the bytes come; that all of them reached the file is seen by its size.
    p_sum=$(bytes | tee -- "$PART/app.jar" 2>"$SCRATCH/error" | sha256sum)
    p_sum=${p_sum%% *}
    [ ! -s "$SCRATCH/error" ] || write_failed "$(head -n 1 "$SCRATCH/error")"
    p_size=$(stat -c %s -- "$PART/app.jar")
    if [ "$p_size" != "$SIZE_BYTES" ] || [ "$p_sum" != "$SHA256" ]; then
        say fence passed
        say "$STORES" mismatch
        say size_bytes "$p_size"
        say sha256 "$p_sum"
        answered
    fi
    {
        printf 'sha256=%s\nsize_bytes=%s\njar_name=%s\n' "$SHA256" "$SIZE_BYTES" "$JAR_NAME" |
            dd of="$PART/meta" conv=fsync &&
            dd if=/dev/null of="$PART/app.jar" conv=notrunc,fsync &&
            chmod 0444 "$PART/app.jar" "$PART/meta"
    } >"$SCRATCH/error" 2>&1 || write_failed "$(head -n 1 "$SCRATCH/error")"

    fence_or_refuse
    if [ -e "$RELEASES/$RELEASE" ]; then
        already_there || fail release_exists "$RELEASES/$RELEASE"
    else
        mv -T -- "$PART" "$RELEASES/$RELEASE"
        sync -- "$RELEASES" 2>/dev/null || :
        trail stored release "$RELEASE" sha256 "$SHA256"
    fi
    stored
}
