#!/bin/sh
# shellcheck disable=SC2034
# clean_nginx: removes candidate, shadow, saved homes and tokens with their watches' programs: the run is
# over. Where a token is armed it is not, and nothing is removed. What somebody else wrote and the first run replaced
# stays as `before-NAME`, where the login may read it: it may be the only copy.
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
c_kept=$STATE/before-${ENTRY##*/}
for c_file in "$STATE/home"/*/takes_over "$STATE/home"/*/target "$STATE/home"/*/entry; do
    if [ -e "$c_kept" ] || [ -L "$c_file" ] || ! [ -r "$c_file" ] || grep -q '/__nonstop/' "$c_file"; then
        continue
    fi
    { cp -- "$c_file" "$c_kept.new" && mv -f -- "$c_kept.new" "$c_kept"; } 2>/dev/null || rm -f -- "$c_kept.new"
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
