#!/bin/sh
# shellcheck disable=SC2034
# controller_hook: runs a hook on the controller itself, in the folder where this script begins. What becomes of it the
# hosts keep: `hook` notes it there before and afterwards.
#
# Parameters: those of hook_run without its folder. Prints: as `hook`.
HOOK_FOLDER=.

# Whoever ends this script ends the hook.
cleanup() {
    [ -n "$HOOK_PID" ] || return 0
    trap '' HUP INT PIPE TERM
    hook_end "$HOOK_PID" || :
}

# Nonstop started the process that leads our group, and is its parent for as long as it lives.
process_read "$$"
LEADER=$P_GROUP
process_read "$LEADER"
OWNER=$P_PARENT

abandoned() {
    process_read "$LEADER" || return 0
    [ "$P_PARENT" != "$OWNER" ]
}

hook_launch "$@"
hook_await
say fence passed
hook_say
answered
