#!/bin/sh
# shellcheck disable=SC2034
# arm: arms a token and its watch, and touches nothing else: the first step of a way back from a switch
# that was confirmed.
#
# Parameters: the fence's; HOME_RUN (whose home the watch puts back), WATCH (base64: its program) and
# WATCH_MS (its deadline from now).
# Prints: the fence's answer, and `arm=armed` with `watch_left_ms`, or `arm=no_home`.
EVENT=arm
fence_or_refuse
if [ ! -f "$STATE/home/$HOME_RUN/meta" ]; then
    passed
    say arm no_home
    answered
fi
arm
passed
say arm armed
watch_left_say
answered
