#!/bin/sh
# shellcheck disable=SC2034
# clean_nginx: removes candidate, shadow, saved homes and tokens with their watches' programs: the run is
# over. Where a token is armed it is not, and nothing is removed. What somebody else wrote and a run replaced stays as
# `before-NAME`, another text as `before-NAME.2` and so on: it may be the only copy.
#
# Parameters: the fence's and nginx's; ENTRY, TARGET. Prints: the fence's answer.
EVENT=clean_nginx
fence_or_refuse
for c_file in "$STATE/tokens"/*.armed; do
    if [ -f "$c_file" ]; then
        trail kept token "${c_file##*/}"
        passed
        answered
    fi
done

# keep FILE: keeps it, unless one of those kept is the same. Of what the login cannot read, and what may be our own work,
# the first is kept. It needs no room: the disk may be full.
keep() {
    c_kept=$STATE/before-${ENTRY##*/} c_number=1
    while [ -e "$c_kept" ]; do
        [ -r "$1" ] || return 0
        [ "$(sha256sum <"$1")" != "$(sha256sum 2>/dev/null <"$c_kept")" ] || return 0
        c_number=$((c_number + 1))
        c_kept=$STATE/before-${ENTRY##*/}.$c_number
    done
    mv -f -- "$1" "$c_kept" || fail state_folder "what nginx read before cannot be kept as $c_kept"
}

for c_file in "$STATE/home"/*/takes_over "$STATE/home"/*/target "$STATE/home"/*/entry; do
    if [ -e "$c_file" ] && ! [ -L "$c_file" ] && ! grep -q '/__nonstop/' "$c_file" 2>/dev/null; then
        keep "$c_file"
    fi
done
use_root "$(stat -c %u -- "${TARGET%/*}" 2>/dev/null || echo 0)"
for c_file in "${TARGET%/*}/.nonstop-$APP.candidate" "${TARGET%/*}/.nonstop-$APP.home" \
    "${ENTRY%/*}/.nonstop-$APP.home" "${CONF%/*}/.nonstop-$APP.conf"; do
    if [ -e "$c_file" ] || [ -L "$c_file" ]; then
        root rm -f -- "$c_file"
    fi
done
rm -rf -- "${STATE:?}/home" "${STATE:?}/tokens"
trail cleaned entry "$ENTRY"
passed
answered
