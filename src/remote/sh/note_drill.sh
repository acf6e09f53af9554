#!/bin/sh
# shellcheck disable=SC2034
# note_drill: writes one line about a drill into the audit trail. It changes nothing else, and passes no
# fence: the locks are free by then.
#
# Parameters: RUN, the person's WHO and PLACE, RESULT, RELEASE (the live one) and EARLIER, BACK_MS and
# FORWARD_MS (empty where it did not come so far), REQUESTS and FAILED_REQUESTS of its prober. Prints:
# `noted=yes`.
EVENT=drill
state_make
state_lock
TRAIL_RUN=$RUN TRAIL_WHO=$WHO
trail "$RESULT" release "$RELEASE" earlier "$EARLIER" back_ms "$BACK_MS" forward_ms "$FORWARD_MS" \
    requests "$REQUESTS" failed_requests "$FAILED_REQUESTS" place "$PLACE"
say noted yes
answered
