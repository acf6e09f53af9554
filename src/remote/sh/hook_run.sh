#!/bin/sh
# shellcheck disable=SC2034
# hook_run: runs a hook as a process group of its own, waits for it, and ends it at its deadline: TERM, and KILL
# five seconds later. Needs process.
#
# Its input is at its end, and what it prints goes to a file of which the end is kept. Another user's hook is run by
# `sudo -n -u USER -- env NAME=VALUE... sh -c COMMAND`, and ended by `sudo -n -u USER -- env sh -c 'kill ...'`.
#
# Parameters: HOOK_COMMAND, HOOK_FILE (its $0; may be empty), HOOK_FOLDER (where it begins), RUN_AS (may be empty),
# TIMEOUT_MS; the positional ones are words `NAME=value`. Prints: what output_say prints.

HOOK_PID='' HOOK_REASON=
OUTPUT_LIMIT=65536 OUTPUT_MOST=1048576

# hook_become NAME=VALUE...: becomes the hook.
hook_become() {
    trap - HUP INT PIPE TERM
    cd -- "$HOOK_FOLDER" || exit
    login_environment
    if [ -n "$RUN_AS" ]; then
        exec setsid sudo -n -u "$RUN_AS" -- env "$@" sh -c "$HOOK_COMMAND" "${HOOK_FILE:-sh}"
    fi
    for b_word; do
        export "${b_word%%=*}=${b_word#*=}"
    done
    exec setsid sh -c "$HOOK_COMMAND" "${HOOK_FILE:-sh}"
}

# hook_launch NAME=VALUE...: starts it; sets HOOK_PID and HOOK_START.
hook_launch() {
    need setsid
    scratch
    OUTPUT=$SCRATCH/output
    : >"$OUTPUT"
    hook_become "$@" </dev/null >>"$OUTPUT" 2>&1 3>&- 8<&- 9<&- &
    HOOK_PID=$!
    process_read "$HOOK_PID" || P_START=0
    HOOK_START=$P_START
}

# hook_signal SIGNAL PID: to the group that the process leads; false if nobody is there. What sudo runs may lead
# another group, and takes signals of its own user only.
hook_signal() {
    if [ -z "$RUN_AS" ]; then
        kill "-$1" "-$2" 2>/dev/null
        return
    fi
    children_read "$2"
    # shellcheck disable=SC2016,SC2086
    sudo -n -u "$RUN_AS" -- env sh -c \
        'signal=$1 && shift && for pid; do kill "-$signal" "-$pid" && found=yes; done 2>/dev/null; [ "${found-}" ]' \
        sh "$1" "$2" $CHILDREN 2>/dev/null
}

# hook_group_lives PID: whether anybody is left of the group. The leader is taken leave of where it is our child.
hook_group_lives() {
    ! process_alive "$1" || return 0
    wait "$1" 2>/dev/null || :
    hook_signal 0 "$1"
}

# hook_end PID: ends the group.
hook_end() {
    hook_signal TERM "$1" || :
    [ -n "$RUN_AS" ] || hook_signal CONT "$1" || :
    deadline_in 5000
    while hook_group_lives "$1" && time_left; do nap; done
    ! hook_group_lives "$1" || hook_signal KILL "$1" || :
}

# output_trim: keeps the end of what it printed where that is much. It stands still meanwhile, or what it prints just
# then would be lost; but never another user's: sudo stops with its command, and only root lets it go on.
output_trim() {
    o_size=$(stat -c %s -- "$OUTPUT" 2>/dev/null) || return 0
    [ "$o_size" -gt "$OUTPUT_MOST" ] || return 0
    if [ -z "$RUN_AS" ]; then
        hook_signal STOP "$HOOK_PID" || :
        nap
    fi
    tail -c "$OUTPUT_LIMIT" -- "$OUTPUT" >"$OUTPUT.kept"
    : >"$OUTPUT"
    [ -n "$RUN_AS" ] || hook_signal CONT "$HOOK_PID" || :
}

# output_say: answers the end of what it printed.
output_say() {
    { cat -- "$OUTPUT.kept" "$OUTPUT" 2>/dev/null || :; } | tail -c "$OUTPUT_LIMIT" | text_from output "$OUTPUT_LIMIT"
}

# hook_await: waits for it; sets HOOK_REASON, empty where it ended well.
hook_await() {
    deadline_in "$TIMEOUT_MS"
    while process_alive "$HOOK_PID"; do
        output_trim
        if ! time_left; then
            hook_end "$HOOK_PID"
            HOOK_PID='' HOOK_REASON="it did not end within $((TIMEOUT_MS / 1000)) s, and was ended"
            return
        fi
        nap
    done
    a_status=0
    wait "$HOOK_PID" || a_status=$?
    HOOK_PID='' HOOK_REASON=
    [ "$a_status" -eq 0 ] || ended_by "$a_status"
    [ "$a_status" -eq 0 ] || HOOK_REASON=$REASON
}
