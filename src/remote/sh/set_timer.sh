#!/bin/sh
# shellcheck disable=SC2034
# set_timer: leaves the stop of this host's old instance to the host itself, at an hour. A timer of before is
# cancelled, and what is left of older ones is removed.
#
# Parameters: the fence's; TIMER_RUN, the run whose old instance it is; SLOT; TIMER_MS, how long from now; PROGRAM
# (base64: the timer's program). Prints: the fence's answer, and `left_ms` until the hour.
EVENT=set_timer
fence_or_refuse
need setsid awk
asking_tool || fail missing_tool 'curl, wget, nc or bash'
mkdir -p -- "$STATE/timers"
timers_cancel
TIMER=$TIMER_RUN.$FENCE_EPOCH.$FENCE_SEQUENCE
for s_file in "$STATE/timers"/*; do
    timer_split "${s_file##*/}" || continue
    s_timer=${s_file%.*}
    rm -f -- "$s_file" "$s_timer.program" "$s_timer.reason" "$s_timer.pid"
done
printf '%s' "$PROGRAM" | base64 -d | write_file "$STATE/timers/$TIMER.program" || exit 3
uptime_read
write_file "$STATE/timers/$TIMER.pending" <<END
boot_id=$BOOT_ID
deadline_cs=$((UPTIME_CS + TIMER_MS / 10))
slot=$SLOT
END
if ! program_start "nonstop-$APP-timer-$TIMER" "$STATE/timers/$TIMER.program" "$STATE/timers/$TIMER.pid"; then
    rm -f -- "$STATE/timers/$TIMER.pending" "$STATE/timers/$TIMER.program"
    fail watch "the timer $TIMER did not start"
fi
trail set timer "$TIMER" slot "$SLOT" timer_ms "$TIMER_MS"
timer_read "$TIMER.pending" || fail state_folder "the timer $TIMER is not pending any more"
timer_left
passed
say left_ms "$T_LEFT_MS"
answered
