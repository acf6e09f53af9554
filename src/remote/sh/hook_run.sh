#!/bin/sh
# shellcheck disable=SC2034
# hook_run: runs a hook as a process group of its own, waits for it, and ends it at its deadline: TERM, and KILL
# five seconds later. Needs process.
#
# Its input is at its end, and what it prints goes to a file of which the end is kept. Another user's hook is run by
# `sudo -n -u USER -- env NAME=VALUE... sh -c COMMAND`, and ended by `sudo -n -u USER -- env sh -c 'kill ...'`.
#
# Parameters: HOOK_COMMAND, HOOK_FILE (its $0; may be empty), HOOK_FOLDER (where it begins), RUN_AS (may be empty),
# TIMEOUT_MS; the positional ones are words `NAME=value`. Prints: what hook_say prints.

HOOK_PID='' HOOK_REASON='' HOOK_LEFT=no
OUTPUT_LIMIT=65536 OUTPUT_MOST=16777216

# hook_may_begin: returns as soon as the process that becomes the hook may; a script that keeps a record redefines this.
hook_may_begin() { :; }

# hook_become NAME=VALUE...: becomes the hook.
hook_become() {
    trap - HUP INT PIPE TERM
    hook_may_begin
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

# hook_signal SIGNAL: to all of it. Another user's processes take signals of that user only.
hook_signal() {
    s_signal=$1
    set --
    for s_pid in $HOOK_GROUPS; do set -- "$@" "-$s_pid"; done
    for s_pid in $GROUP; do set -- "$@" "$s_pid"; done
    if [ -z "$RUN_AS" ]; then
        for s_pid; do kill "-$s_signal" "$s_pid" 2>/dev/null || :; done
        return
    fi
    # shellcheck disable=SC2016
    sudo -n -u "$RUN_AS" -- env sh -c \
        'signal=$1 && shift && for pid; do kill "-$signal" "$pid"; done' sh "$s_signal" "$@" 2>/dev/null || :
}

# hook_gone MILLISECONDS: waits for the end of all of it; false, and GROUP says what is left, where it does not come.
hook_gone() {
    deadline_in "$1"
    while group_read "$HOOK_GROUPS"; do
        time_left || return 1
        nap
    done
}

# hook_end PID: ends the group; false where something of it does not end, such as what it runs as a third user. What
# sudo runs may lead another group.
hook_end() {
    CHILDREN=
    [ -z "$RUN_AS" ] || children_read "$1"
    HOOK_GROUPS=$1$CHILDREN
    group_read "$HOOK_GROUPS" || return 0
    hook_signal TERM
    hook_signal CONT
    ! hook_gone 5000 || return 0
    hook_signal KILL
    hook_gone 1000
}

# output_trim: keeps the end of what it printed where that is much. What it prints just then is lost: it is not made
# to stand still, for sudo does so by itself then, and nobody but root makes it go on.
output_trim() {
    o_size=$(stat -c %s -- "$OUTPUT" 2>/dev/null) || return 0
    [ "$o_size" -gt "$OUTPUT_MOST" ] || return 0
    tail -c "$OUTPUT_LIMIT" -- "$OUTPUT" >"$OUTPUT.kept"
    : >"$OUTPUT"
}

# hook_say: answers how it ended and the end of what it printed.
hook_say() {
    if [ -z "$HOOK_REASON" ]; then
        say hook 'done'
    else
        say hook failed
        text reason "$HOOK_REASON"
    fi
    { cat -- "$OUTPUT.kept" "$OUTPUT" 2>/dev/null || :; } | tail -c "$OUTPUT_LIMIT" | text_from output "$OUTPUT_LIMIT"
}

# abandoned: whether it has to end with whoever wants it. A script that runs one for somebody here redefines this.
abandoned() { return 1; }

# hook_await: waits for it; sets HOOK_REASON, empty where it ended well, and HOOK_LEFT where its end was not reached.
hook_await() {
    deadline_in "$TIMEOUT_MS"
    while process_alive "$HOOK_PID"; do
        output_trim
        ! abandoned || exit 143
        if ! time_left; then
            HOOK_REASON="it did not end within $((TIMEOUT_MS / 1000)) s, and"
            if hook_end "$HOOK_PID"; then
                HOOK_REASON="$HOOK_REASON was ended"
            else
                HOOK_REASON="$HOOK_REASON what it runs does not end:$GROUP" HOOK_LEFT=yes
            fi
            HOOK_PID=
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
