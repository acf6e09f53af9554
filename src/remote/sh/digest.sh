#!/bin/sh
# digest: computes the SHA-256 of a release's jar as it lies on the disk.
#
# Parameters: RELEASE. Prints: `sha256`, empty where the jar is not there.
if [ -f "$RELEASES/$RELEASE/app.jar" ]; then
    d_sum=$(sha256sum <"$RELEASES/$RELEASE/app.jar")
    say sha256 "${d_sum%% *}"
else
    say sha256 ''
fi
answered
