#!/bin/sh
# shellcheck disable=SC2034,SC2153
# hook: runs a hook of the playbook, at most once in a run: that it begins is on record before, and how it ended
# afterwards, whoever holds the lock then, for it is what happened. Or notes the same of a hook that the controller
# runs. Or ends one that is left running.
#
# Parameters: the fence's, HOOK_RUN, HOOK (POINT.NUMBER), RECALL (ask, done or again: what a person says where it began
# before and did not end well, or nobody knows), REPEATABLE (yes or no), ACT (run, begins, done, failed or end), REASON; to run it those of
# hook_run without its folder and file, HOOK_SCRIPT (base64, may be empty) and RELEASE (whose jar it is told of; may be
# empty).
# Prints: the fence's answer, and `hook=done` with `output`, `hook=failed` with `reason` and `output`, `hook=was_done`,
# `hook=had_failed` with `reason`, `hook=unknown`, `hook=running` or `hook=noted`.
EVENT=hook

known() {
    say fence passed
    say hook "$1"
    answered
}

# once: goes on where the hook has to run, and answers where it need not or must not.
once() {
    hook_read "$FILE" || return 0
    [ "$H_OUTCOME" != "done" ] || known was_done
    ! hook_lives || known running
    case $RECALL in
    again) return 0 ;;
    done)
        hook_write "$FILE" 'done' ''
        trail taken_for_done hook "$HOOK"
        known was_done
        ;;
    esac
    if [ "$H_OUTCOME" = failed ]; then
        say fence passed
        say hook had_failed
        text reason "$H_REASON"
        answered
    fi
    [ "$REPEATABLE" = yes ] || known unknown
}

# ended OUTCOME REASON: puts on record how it ended, unless somebody ended it.
ended() {
    rm -f -- "$FILE.script"
    if hook_read "$FILE" && [ "$H_OUTCOME" = started ]; then
        hook_write "$FILE" "$1" "$2"
        trail "$1" hook "$HOOK" reason "$2"
    else
        HOOK_REASON=$H_REASON
    fi
}

# left: keeps on record that it runs, for not all of it has ended.
left() {
    rm -f -- "$FILE.script"
    if hook_read "$FILE" && [ "$H_OUTCOME" = started ]; then
        hook_write "$FILE" started '' "$H_PID" "$H_START" "$H_USER" yes
        trail still_runs hook "$HOOK"
    fi
}

# Whoever ends this script ends the hook.
cleanup() {
    [ -n "$HOOK_PID" ] || return 0
    trap '' HUP INT PIPE TERM
    c_pid=$HOOK_PID HOOK_PID=
    hook_end "$c_pid" || HOOK_LEFT=yes
    exec 9<"$STATE"
    flocked 5000 9 || return 0
    if [ "$HOOK_LEFT" = yes ]; then left; else ended failed "it was ended with the script that ran it"; fi
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
    hook_write "$FILE" started ''
    trail started hook "$HOOK"
    hook_launch "$@"
    hook_write "$FILE" started '' "$HOOK_PID" "$HOOK_START" "$RUN_AS"
    state_unlock
    hook_await
    state_lock
    case $HOOK_LEFT$HOOK_REASON in
    no) ended 'done' '' ;;
    no*) ended failed "$HOOK_REASON" ;;
    *) left ;;
    esac
    fence || refuse
    passed
    if [ -z "$HOOK_REASON" ]; then
        say hook 'done'
    else
        say hook failed
        text reason "$HOOK_REASON"
    fi
    output_say
    answered
}

end() {
    if hook_read "$FILE" && hook_lives; then
        RUN_AS=$H_USER
        trail ending hook "$HOOK" pid "$H_PID"
        state_unlock
        hook_end "$H_PID" || HOOK_LEFT=yes
        fence_again
        if [ "$HOOK_LEFT" = yes ]; then
            left
            known running
        fi
        ended failed "it was ended, for the run goes back"
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
    hook_write "$FILE" started ''
    trail started hook "$HOOK" by controller
    known noted
    ;;
*)
    hook_write "$FILE" "$ACT" "$REASON"
    trail "$ACT" hook "$HOOK" by controller reason "$REASON"
    known noted
    ;;
esac
