#!/bin/sh
# shellcheck disable=SC2034,SC2153
# stop: ends a process by its identity, or all that a start left behind by the word that they carry, under the
# flock and the fence; the grace itself runs unlocked. Where a successor is named and is not alive and listening,
# nothing is signalled.
#
# What a unit of systemd runs is ended by systemd, and the unit is then disabled, where it was enabled with it.
#
# Parameters: the fence's and those of stop_unit.
# Prints: the fence's answer, and `stop=terminated|killed|already_gone`, `stop=still_runs` with
# `reason`, or `stop=successor_missing` with `reason`.
EVENT=stop

# gone RESULT: forgets the process where it is the recorded one, and answers. Under the flock.
gone() {
    ! is_on_record || rm -f -- "$STATE/instance.$SLOT"
    trail "$1" slot "$SLOT" pid "$PID" ${BY_UNIT:+unit "$BY_UNIT"}
    say fence passed
    say stop "$1"
    answered
}

still_runs() {
    trail_late still_runs slot "$SLOT" pid "$PID"
    say fence passed
    say stop still_runs
    text reason "${ERROR:-it is there after KILL}"
    answered
}

successor_missing() {
    words_of "$1"
    trail successor_missing slot "$SLOT" pid "$PID" reason "$WORDS"
    say fence passed
    say stop successor_missing
    text reason "$1"
    answered
}

hold_again() { fence_again; }

fence_or_refuse
is_there || ended already_gone
look_at_successor
FOUND=$BY_UNIT
is_there || ended already_gone
if [ "$BY_UNIT" != "$FOUND" ]; then
    ERROR='what runs it changed meanwhile'
    still_runs
fi
end_it
