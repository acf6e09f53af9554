#!/bin/sh
# shellcheck disable=SC2034
# releases: the jars on a WAS host. A release is a folder `releases/ID` with `app.jar` (read-only),
# `meta` (sha256, size_bytes, jar_name) and, where a deploy of it failed, `failed`. An upload lies in
# `releases/.part-SEQUENCE-ID` until it is whole, and becomes a release by one rename.
#
# Parameters: RELEASE_DIR. Prints: nothing.

RELEASES=$RELEASE_DIR/releases
LOGS=$RELEASE_DIR/logs

# meta_read RELEASE: sets META_SHA256, META_SIZE and META_JAR; false if it is not a whole release.
meta_read() {
    META_SHA256='' META_SIZE='' META_JAR=
    [ -f "$RELEASES/$1/app.jar" ] || return 1
    # Who looks without the flock may find that it is removed.
    {
        while IFS= read -r r_line; do
            r_value=${r_line#*=}
            case ${r_line%%=*} in
            sha256) META_SHA256=$r_value ;;
            size_bytes) META_SIZE=$r_value ;;
            jar_name) META_JAR=$r_value ;;
            esac
        done <"$RELEASES/$1/meta"
    } 2>/dev/null || return 1
    [ -n "$META_SHA256" ] && is_number "$META_SIZE"
}

# parts_of RELEASE: sets PARTS, the unfinished uploads of that release.
parts_of() {
    PARTS=
    for r_part in "$RELEASES"/.part-*; do
        r_name=${r_part##*/.part-}
        if [ -d "$r_part" ] && [ "${r_name#*-}" = "$1" ]; then
            PARTS="$PARTS ${r_part##*/}"
        fi
    done
}
