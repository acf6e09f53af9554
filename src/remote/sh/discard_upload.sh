#!/bin/sh
# shellcheck disable=SC2034
# discard_upload: removes what an upload of a release left unfinished. A finished one stays.
#
# Parameters: the fence's, RELEASE. Prints: the fence's answer.
EVENT=discard_upload
fence_or_refuse
parts_of "$RELEASE"
for d_part in $PARTS; do
    rm -rf -- "${RELEASES:?}/$d_part"
    trail removed release "$RELEASE"
done
say fence passed
answered
