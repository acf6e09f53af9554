#!/bin/sh
# shellcheck disable=SC2034,SC2153
# hook: runs a hook of the playbook, at most once in a run: that it begins is on record before, and how it ended
# afterwards, whoever holds the lock then, for it is what happened. Or notes the same of a hook that the controller
# runs. Or ends one that is left running.
#
# Parameters: the fence's, HOOK_RUN, HOOK (POINT.NUMBER), DIGEST (of what it is; empty where that is all the same), RECALL
# (ask, done or again: what a person says where it began before and did not end well, or nobody knows, or it was another),
# REPEATABLE (yes or no), ACT (run, begins, never, done, failed or end), REASON; to run it those of hook_run without its
# folder and file, HOOK_SCRIPT (base64, may be empty) and RELEASE (whose jar it is told of; may be empty).
# Prints: the fence's answer, and `hook=done` with `output`, `hook=failed` with `reason` and `output`, `hook=was_done`,
# `hook=had_failed` with `reason`, `hook=unknown`, `hook=running` or `hook=noted`.
EVENT=hook
# What became of a hook is put on record however long others have the flock.
LAST_WAIT_MS=60000
ATTEMPT=

known() {
    say fence passed
    say hook "$1"
    answered
}

# begun PID START UNTIL_CS: puts on record that it begins. A reason says that it began before.
begun() {
    hook_read "$FILE" || :
    H_REASON=${H_OUTCOME:+again} H_OUTCOME=started
    H_DIGEST=$DIGEST H_PID=$1 H_START=$2 H_UNTIL_CS=$3 H_USER=${RUN_AS-} H_LEFT=no
    hook_write "$FILE"
    ATTEMPT="$1 $2"
}

# note OUTCOME REASON: puts on record how it ended.
note() {
    H_OUTCOME=$1 H_REASON=$2
    hook_write "$FILE"
}

# once: goes on where the hook has to run, and answers where it need not or must not.
once() {
    hook_read "$FILE" || return 0
    ! hook_lives || known running
    o_is=same
    [ -z "$H_DIGEST" ] || [ "$H_DIGEST" = "$DIGEST" ] || o_is=another
    [ "$o_is $H_OUTCOME" != 'same done' ] || known was_done
    case $RECALL in
    again) return 0 ;;
    done)
        H_DIGEST=$DIGEST
        note 'done' ''
        trail taken_for_done hook "$HOOK"
        known was_done
        ;;
    esac
    if [ "$o_is $H_OUTCOME" = 'same failed' ]; then
        say fence passed
        say hook had_failed
        text reason "$H_REASON"
        answered
    fi
    [ "$o_is $REPEATABLE" = 'same yes' ] || known unknown
}

# ours: whether what is on record is this attempt, and goes on there.
ours() {
    hook_read "$FILE" && [ "$H_OUTCOME $H_PID $H_START" = "started $ATTEMPT" ]
}

# ended OUTCOME REASON: puts on record how it ended, unless somebody ended it.
ended() {
    if ours; then
        rm -f -- "$FILE.script"
        note "$1" "$2"
        trail "$1" hook "$HOOK" reason "$2"
    else
        HOOK_REASON=${H_REASON:-it was ended}
    fi
}

# left: keeps on record that it runs, for not all of it has ended.
left() {
    ours || return 0
    rm -f -- "$FILE.script"
    H_LEFT=yes
    hook_write "$FILE"
    trail still_runs hook "$HOOK"
}

# Whoever ends this script ends the hook.
cleanup() {
    [ -n "$HOOK_PID" ] || return 0
    trap '' HUP INT PIPE TERM
    c_pid=$HOOK_PID HOOK_PID=
    hook_end "$c_pid" || HOOK_LEFT=yes
    exec 9<"$STATE"
    flocked "$LAST_WAIT_MS" 9 || return 0
    if [ "$HOOK_LEFT" = yes ]; then left; else ended ended "it was ended with the script that ran it"; fi
}

# In the process that becomes the hook: it begins only as soon as it is on record, and not where nobody is left to put
# it there.
hook_may_begin() {
    read -r m_pid m_rest </proc/self/stat
    until hook_read "$FILE" && [ "$H_OUTCOME $H_PID $H_BOOT" = "started $m_pid $BOOT_ID" ]; do
        process_read "$m_pid"
        [ "$P_PARENT" = "$$" ] || exit 1
        nap
    done
}

run() {
    once
    hooks_forget "$HOOK_RUN"
    HOOK_FILE='' HOOK_FOLDER=${HOME:-/}
    [ -d "$HOOK_FOLDER" ] && [ -z "$RUN_AS" ] || HOOK_FOLDER=/
    if [ -n "$HOOK_SCRIPT" ]; then
        HOOK_FILE=$FILE.script
        printf '%s' "$HOOK_SCRIPT" | base64 -d | write_file "$HOOK_FILE" || exit 3
        if [ -n "$RUN_AS" ]; then chmod 0755 "$HOOK_FILE"; else chmod 0700 "$HOOK_FILE"; fi
    fi
    [ -z "$RELEASE" ] || set -- "$@" "NONSTOP_JAR=$RELEASES/$RELEASE/app.jar"
    hook_launch "$@"
    uptime_read
    # Ten seconds later than this script ends it.
    begun "$HOOK_PID" "$HOOK_START" "$((UPTIME_CS + TIMEOUT_MS / 10 + 1000))"
    trail started hook "$HOOK"
    state_unlock
    hook_await
    LOCK_WAIT_MS=$LAST_WAIT_MS
    state_lock
    case $HOOK_LEFT$HOOK_REASON in
    no) ended 'done' '' ;;
    no*) ended failed "$HOOK_REASON" ;;
    *) left ;;
    esac
    fence || refuse
    passed
    hook_say
    answered
}

end() {
    if hook_read "$FILE" && hook_lives; then
        RUN_AS=$H_USER ATTEMPT="$H_PID $H_START"
        e_outcome=ended e_reason='it was ended before it was through'
        if hook_is_overdue; then e_outcome=failed e_reason='it did not end in time, and was ended'; fi
        trail ending hook "$HOOK" pid "$H_PID"
        state_unlock
        hook_end "$H_PID" || HOOK_LEFT=yes
        fence_again
        if [ "$HOOK_LEFT" = yes ]; then
            left
            known running
        fi
        ended "$e_outcome" "$e_reason"
    fi
    known noted
}

fence_or_refuse
mkdir -p -- "$STATE/hooks"
synced "$STATE"
FILE=$STATE/hooks/$HOOK_RUN.$HOOK
case $ACT in
run) run "$@" ;;
end) end ;;
begins)
    once
    hooks_forget "$HOOK_RUN"
    begun '' '' ''
    trail started hook "$HOOK" by controller
    known noted
    ;;
never)
    # One that began before stays on record.
    if hook_read "$FILE" && [ "$H_OUTCOME $H_PID$H_REASON" = 'started ' ]; then
        rm -f -- "$FILE"
        trail never_began hook "$HOOK" by controller
    fi
    known noted
    ;;
*)
    hook_read "$FILE" || :
    H_DIGEST=$DIGEST
    note "$ACT" "$REASON"
    trail "$ACT" hook "$HOOK" by controller reason "$REASON"
    known noted
    ;;
esac
