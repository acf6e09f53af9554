#!/bin/sh
# mark_release: marks a release as failed, or takes the mark away. A release that is not there has
# nothing to mark.
#
# Parameters: the fence's, RELEASE, FAILED (yes or no). Prints: the fence's answer.
fence_or_refuse
if [ -d "$RELEASES/$RELEASE" ]; then
    if [ "$FAILED" = yes ]; then
        : >"$RELEASES/$RELEASE/failed"
    else
        rm -f -- "$RELEASES/$RELEASE/failed"
    fi
fi
say fence passed
answered
