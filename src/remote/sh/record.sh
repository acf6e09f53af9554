#!/bin/sh
# shellcheck disable=SC2034
# record: writes the run record as it comes.
#
# Parameters: the fence's, RECORD (base64). Prints: the fence's answer.
EVENT=record
fence_or_refuse
printf '%s' "$RECORD" | base64 -d | write_file "$STATE/record" || exit 3
# word_of KEY: the word that the record has there.
word_of() {
    sed -n 's/.*"'"$1"'": *"\([a-z_]*\)".*/\1/p' "$STATE/record" | tail -n 1
}
set -- phase "$(word_of phase)" status "$(word_of status)"
# Whoever goes on with somebody else's run writes that run's record, under a lock of its own.
recorded=$(sed -n 's/.*"run": *"\([A-Za-z0-9._-]*\)".*/\1/p' "$STATE/record" | head -n 1)
[ -z "$recorded" ] || [ "$recorded" = "$FENCE_RUN" ] || set -- "$@" of "$recorded"
trail written "$@"
say fence passed
answered
