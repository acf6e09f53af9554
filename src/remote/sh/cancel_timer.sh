#!/bin/sh
# shellcheck disable=SC2034
# cancel_timer: from now on no timer of this host begins to stop anything. One that has begun goes to its end.
#
# Parameters: the fence's, and TIMER_RUN.
# Prints: the fence's answer, and `timer=none`, or what became of that run's: `cancelled|refused|stopping|stopped`.
EVENT=cancel_timer
fence_or_refuse
timers_cancel
timer_newest "$TIMER_RUN"
say fence passed
if [ -n "$T_NEWEST" ]; then
    timer_split "$T_NEWEST"
    say timer "$T_STATE"
else
    say timer none
fi
answered
