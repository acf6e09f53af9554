#!/bin/sh
# shellcheck disable=SC2034
# revert: takes the run's switch back: the armed token becomes `reverted`, so that its watch has nothing
# left to do, and home is put back, reloaded and proven. Home is put back whatever the tokens say.
#
# Parameters: the fence's and nginx's; HOME_RUN (whose home), DEADLINE_MS.
# Prints: the fence's answer and the switch's.
EVENT=revert
switch_begin
home_read "$HOME_RUN" || no_home
tokens_retire "$HOME_RUN" reverted
go_home
