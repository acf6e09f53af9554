#!/bin/sh
# shellcheck disable=SC2034
# confirm: moves a token from armed to confirmed, so that its watch has nothing left to do. One that is
# confirmed already stays so.
#
# Parameters: the fence's; TOKEN_RUN, TOKEN_EPOCH and TOKEN_NUMBER.
# Prints: the fence's answer, and `confirm=confirmed`, or `confirm=lost` with `token`, what became of it
# (empty where there is none).
EVENT=confirm
fence_or_refuse
TOKEN=$TOKEN_RUN.$TOKEN_EPOCH.$TOKEN_NUMBER
token_state "$TOKEN"
if [ "$T_STATE" = armed ]; then
    token_move "$TOKEN" confirmed
    trail confirmed token "$TOKEN"
    T_STATE=confirmed
fi
passed
if [ "$T_STATE" = confirmed ]; then
    say confirm confirmed
else
    trail lost token "$TOKEN" state "$T_STATE"
    say confirm lost
    say token "$T_STATE"
fi
answered
