#!/bin/sh
# shellcheck disable=SC2034
# clean_nginx: removes candidate, shadow and saved homes: the run is over.
#
# Parameters: the fence's and nginx's; ENTRY, TARGET. Prints: the fence's answer.
fence_or_refuse
use_root "$(stat -c %u -- "${TARGET%/*}" 2>/dev/null || echo 0)"
for c_file in "${TARGET%/*}/.nonstop-$APP.candidate" "${TARGET%/*}/.nonstop-$APP.home" \
    "${ENTRY%/*}/.nonstop-$APP.home" "${CONF%/*}/.nonstop-$APP.conf"; do
    if [ -e "$c_file" ] || [ -L "$c_file" ]; then
        root rm -f -- "$c_file"
    fi
done
rm -rf -- "${STATE:?}/home"
passed
answered
