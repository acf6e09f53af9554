#!/bin/sh
# shellcheck disable=SC2034
# prepare: saves home, once for each run, and lets nginx test the candidate through a shadow of its
# main file, in the main file's own folder because includes may be relative. The candidate lies beside
# its place under a dotfile's name, where no include finds it, until the commit renames it.
#
# Parameters: the fence's and nginx's; HOME_RUN (whose home is saved), ENTRY, TARGET, TAKES_OVER (may be
# empty), EXPECTED_SHA256 (empty where nothing is), CANDIDATE and SHADOW (base64; the shadow names the
# candidate); UPSTREAM_FILE (empty where there is none), UPSTREAM_SHA256 (what was observed there) and
# UPSTREAMS (base64), which are put in place once the test is passed: nothing names the new one yet.
# Prints: the fence's answer, and `prepare=accepted` with `warnings`, `prepare=refused` with `output`,
# or `prepare=drifted`.
EVENT=prepare
switch_begin
beside "$TARGET" candidate
CANDIDATE_FILE=$BESIDE
SHADOW_FILE=${CONF%/*}/.nonstop-$APP.conf
HOME_MADE=no

# drift: whether what nginx reads is something else than what was observed.
drift() {
    if [ -n "$TAKES_OVER" ]; then
        if is_there "$ENTRY"; then return 0; fi
        digest_of "$TAKES_OVER"
    else
        digest_of "$ENTRY"
    fi
    [ "$DIGEST" != "$EXPECTED_SHA256" ]
}

# upstreams_find: follows the file's link, and writes what it will hold to $SCRATCH/upstreams.
upstreams_find() {
    [ -n "$UPSTREAM_FILE" ] || return 0
    if [ -L "$UPSTREAM_FILE" ]; then UPSTREAM_FILE=$(readlink -f -- "$UPSTREAM_FILE"); fi
    printf '%s' "$UPSTREAMS" | base64 -d >"$SCRATCH/upstreams"
}

# upstreams_there: whether they are in place already.
upstreams_there() {
    digest_of "$SCRATCH/upstreams"
    u_wanted=$DIGEST
    digest_of "$UPSTREAM_FILE"
    [ "$DIGEST" = "$u_wanted" ]
}

# upstreams_drift: whether something else is there than what was observed, or than what this puts there.
upstreams_drift() {
    [ -n "$UPSTREAM_FILE" ] || return 1
    ! upstreams_there && [ "$DIGEST" != "$UPSTREAM_SHA256" ]
}

# put_upstreams: those that nginx runs stay in the file as they are, so that a reload by anybody is no switch.
put_upstreams() {
    if [ -z "$UPSTREAM_FILE" ] || upstreams_there; then return 0; fi
    beside "$UPSTREAM_FILE" upstreams
    root rm -f -- "$BESIDE"
    if [ -f "$UPSTREAM_FILE" ]; then root cp -a -T -- "$UPSTREAM_FILE" "$BESIDE"; fi
    root tee -- "$BESIDE" <"$SCRATCH/upstreams" >/dev/null
    sync -- "$BESIDE" 2>/dev/null || :
    root mv -T -- "$BESIDE" "$UPSTREAM_FILE"
    sync -- "${UPSTREAM_FILE%/*}" 2>/dev/null || :
    trail upstreams file "$UPSTREAM_FILE"
}

# save PATH NAME: copies a thing as it is into home; sets DIGEST, of the bytes that are read there.
save() {
    digest_of "$1"
    if [ -r "$1" ] && [ "$MY_UID" = "$(stat -c %u -- "$1")" ]; then
        cp -a -T -- "$1" "$HOME_NEW/$2"
    else
        root cp -a -T -- "$1" "$HOME_NEW/$2"
    fi
}

# save_home: saves what is there, unless that was done before for the run.
save_home() {
    ! home_read "$HOME_RUN" || return 0
    HOME_NEW=$STATE/home/.new-$HOME_RUN
    rm -rf -- "$HOME_NEW"
    mkdir -p -- "$HOME_NEW"
    kind_of "$ENTRY"
    s_entry=$KIND
    kind_of "$TARGET"
    s_target=$KIND
    DIGEST=
    if [ "$s_entry" != absent ]; then save "$ENTRY" entry; fi
    s_entry_sha256=$DIGEST DIGEST=
    if [ "$TARGET" != "$ENTRY" ] && [ "$s_target" != absent ]; then save "$TARGET" target; fi
    s_target_sha256=$DIGEST DIGEST=
    if [ -n "$TAKES_OVER" ]; then save "$TAKES_OVER" takes_over; fi
    dd of="$HOME_NEW/meta" conv=fsync 2>/dev/null <<END
entry=$ENTRY
target=$TARGET
takes_over=$TAKES_OVER
entry_kind=$s_entry
target_kind=$s_target
entry_sha256=$s_entry_sha256
target_sha256=$s_target_sha256
takes_over_sha256=$DIGEST
END
    # `meta` under its place says that the copies are whole.
    synced "$HOME_NEW"/* "$HOME_NEW"
    mv -T -- "$HOME_NEW" "$HOME_DIR"
    synced "$STATE/home"
    HOME_MADE=yes
}

# write_candidate: the bytes that nginx would read, with owner and mode of the file that they replace.
write_candidate() {
    root rm -f -- "$CANDIDATE_FILE"
    if [ -f "$TARGET" ] && [ ! -L "$TARGET" ]; then
        root cp -a -T -- "$TARGET" "$CANDIDATE_FILE"
    fi
    printf '%s' "$CANDIDATE" | base64 -d >"$SCRATCH/candidate"
    root tee -- "$CANDIDATE_FILE" <"$SCRATCH/candidate" >/dev/null
    synced "$CANDIDATE_FILE"
}

refused() {
    root rm -f -- "$CANDIDATE_FILE"
    [ "$HOME_MADE" = no ] || rm -rf -- "$HOME_DIR"
    words_of "$1"
    trail refused entry "$ENTRY" reason "$WORDS"
    passed
    say prepare refused
    text output "$1"
    answered
}

# conflicts FILE: the warnings of names that two sites want, of which one is ignored; without times.
conflicts() {
    sed -n 's/.*\(conflicting server name .*\)/\1/p' "$1" | sort -u
}

# look_for_conflicts: refuses a candidate that adds such a warning.
look_for_conflicts() {
    conflicts "$SCRATCH/test" >"$SCRATCH/conflicts"
    [ -s "$SCRATCH/conflicts" ] || return 0
    nginx_root -t >/dev/null 2>"$SCRATCH/baseline" || :
    conflicts "$SCRATCH/baseline" >"$SCRATCH/known"
    n_new=$(awk -v known="$SCRATCH/known" '
        BEGIN { while ((getline line < known) > 0) seen[line] = 1 }
        !($0 in seen)' "$SCRATCH/conflicts" | head -n 10)
    [ -z "$n_new" ] || refused "$n_new"
}

upstreams_find
if drift || upstreams_drift; then
    trail drifted entry "$ENTRY"
    passed
    say prepare drifted
    answered
fi
save_home
write_candidate
printf '%s' "$SHADOW" | base64 -d >"$SCRATCH/shadow"
root tee -- "$SHADOW_FILE" <"$SCRATCH/shadow" >/dev/null
ROOT_SECONDS=$TEST_SECONDS
t_status=0
root "$NGINX" -T -c "$SHADOW_FILE" >"$SCRATCH/dump" 2>"$SCRATCH/test" || t_status=$?
root rm -f -- "$SHADOW_FILE"
[ "$t_status" -eq 0 ] || refused "$(tail -c 16384 "$SCRATCH/test")"
[ "$(grep -c -x -F "# configuration file $CANDIDATE_FILE:" "$SCRATCH/dump")" = 1 ] ||
    refused "nginx does not read the candidate through the shadow of $CONF"
look_for_conflicts
put_upstreams
trail accepted entry "$ENTRY"
passed
say prepare accepted
text warnings "$(grep -F '[warn]' "$SCRATCH/test" | tail -c 8192)"
answered
