#!/bin/sh
# shellcheck disable=SC2034
# put: receives a jar on standard input. Nothing of it can be seen in `releases/ID` before it is
# whole, synced and has the right digest; whatever goes wrong, the unfinished folder is removed. A
# release that is already there is never touched.
#
# Parameters: the fence's, RELEASE, SHA256, SIZE_BYTES, JAR_NAME (one line).
# Prints: the fence's answer, and `put=stored`, `put=mismatch` with `size_bytes` and `sha256`, or
# `put=write_failed` with `reason`. Fails with `release_exists` if other bytes have that id.
EVENT=put
PART="$RELEASES/.part-$FENCE_SEQUENCE-$RELEASE"
cleanup() { rm -rf -- "$PART" 2>/dev/null || :; }

write_failed() {
    say fence passed
    say put write_failed
    text reason "$1"
    answered
}

already_there() {
    meta_read "$RELEASE" || return 1
    [ "$META_SHA256" = "$SHA256" ] && [ "$META_SIZE" = "$SIZE_BYTES" ]
}

if already_there; then
    # The sender would take a closed pipe for a broken connection.
    cat >/dev/null
    fence_or_refuse
    say fence passed
    say put stored
    answered
fi

scratch
cleanup
mkdir -p -- "$PART" 2>"$SCRATCH/error" || {
    cat >/dev/null
    write_failed "$(head -n 1 "$SCRATCH/error")"
}
# The digest is taken while the bytes come; that all of them reached the file is seen by its size.
p_sum=$(tee -- "$PART/app.jar" 2>"$SCRATCH/error" | sha256sum)
p_sum=${p_sum%% *}
[ ! -s "$SCRATCH/error" ] || write_failed "$(head -n 1 "$SCRATCH/error")"
p_size=$(stat -c %s -- "$PART/app.jar")
if [ "$p_size" != "$SIZE_BYTES" ] || [ "$p_sum" != "$SHA256" ]; then
    say fence passed
    say put mismatch
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
say fence passed
say put stored
answered
