#!/bin/sh
# shellcheck disable=SC2034
# mark_release: marks a release as failed, or takes the mark away. A release that is not there has
# nothing to mark.
#
# Parameters: the fence's, RELEASE, FAILED (yes or no). Prints: the fence's answer.
EVENT=mark_release
fence_or_refuse
if [ -d "$RELEASES/$RELEASE" ]; then
    if [ "$FAILED" = yes ]; then
        : >"$RELEASES/$RELEASE/failed"
        trail failed release "$RELEASE"
    else
        rm -f -- "$RELEASES/$RELEASE/failed"
        trail not_failed release "$RELEASE"
    fi
fi
say fence passed
answered
