#!/bin/sh
# find_jar: looks for the newest jar that somebody else has put on this host; `*-plain.jar` is left out.
# Changes nothing.
#
# Parameters: JAR_FOLDER, JAR_PATTERN (a pattern of a file's name: letters, digits, `._@%+=,-`, `*` and `?`).
# Prints: `jar=none`, `jar=unfit` with `reason`, or `jar=found` with `name`, `sha256` and `size_bytes`.
unfit() {
    say jar unfit
    text reason "$1"
    answered
}

newer() {
    [ -n "$(find -L "$1" -prune -newer "$2")" ]
}

need find
NEWEST='' EQUAL=''
# The shell expands the pattern here and reads nothing else in it: it holds none of the shell's characters, and
# the names that it finds are not looked into again.
# shellcheck disable=SC2086
for f_jar in "$JAR_FOLDER"/$JAR_PATTERN; do
    case $f_jar in *-plain.jar) continue ;; esac
    [ -f "$f_jar" ] || continue
    if [ -z "$NEWEST" ] || newer "$f_jar" "$NEWEST"; then
        NEWEST=$f_jar EQUAL=''
    elif ! newer "$NEWEST" "$f_jar"; then
        EQUAL=$f_jar
    fi
done
if [ -z "$NEWEST" ]; then
    say jar none
    answered
fi
NAME=${NEWEST##*/}
[ -z "$EQUAL" ] || unfit "$NAME and ${EQUAL##*/} are equally new"
case $NAME in
*[!A-Za-z0-9._@%+=:,-]*) unfit "the newest, \`$NAME\`, has other characters in its name than letters, digits and \`._@%+=:,-\`" ;;
esac
[ -r "$NEWEST" ] || unfit "the login user may not read the newest, $NAME"
[ -s "$NEWEST" ] || unfit "the newest, $NAME, is empty"
f_sum=$(sha256sum <"$NEWEST")
say jar found
say name "$NAME"
say sha256 "${f_sum%% *}"
say size_bytes "$(stat -L -c %s -- "$NEWEST")"
answered
