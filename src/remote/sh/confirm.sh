#!/bin/sh
# confirm: moves a token from armed to confirmed, so that its watch has nothing left to do. One that is
# confirmed already stays so.
#
# Parameters: the fence's; TOKEN_RUN, TOKEN_EPOCH and TOKEN_NUMBER.
# Prints: the fence's answer, and `confirm=confirmed`, or `confirm=lost` with `token`, what became of it
# (empty where there is none).
fail unsupported "confirm"
