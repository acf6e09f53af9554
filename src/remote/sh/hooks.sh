#!/bin/sh
# shellcheck disable=SC2034
# hooks: what became of the playbook's hooks on this host. Needs process and state.
#
# `hooks/RUN.POINT.NUMBER` holds `outcome` (started, done, failed, or ended: by somebody, before it was through), `reason`,
# `digest` of what it is, and of one that runs here pid, start time and boot of the process that leads its group, the uptime
# `until_cs` that whoever waits for it does not let it pass, as whom it runs, and `left` (yes or no): whether others of
# the group are left that did not end. All of that is there before anything of it runs. Beside it lies `.script`, while a
# file of the project runs.
#
# Parameters: none. Prints: what hooks_say prints.

# hook_read FILE: sets H_OUTCOME, H_REASON, H_DIGEST, H_PID, H_START, H_BOOT, H_UNTIL_CS, H_USER and H_LEFT; false if nothing
# is on record.
hook_read() {
    H_OUTCOME='' H_REASON='' H_DIGEST='' H_PID='' H_START='' H_BOOT='' H_UNTIL_CS='' H_USER='' H_LEFT=
    # Who looks without the flock may find that it is removed.
    {
        while IFS= read -r h_line; do
            h_value=${h_line#*=}
            case ${h_line%%=*} in
            outcome) H_OUTCOME=$h_value ;;
            reason) H_REASON=$h_value ;;
            digest) H_DIGEST=$h_value ;;
            pid) H_PID=$h_value ;;
            start_ticks) H_START=$h_value ;;
            boot_id) H_BOOT=$h_value ;;
            until_cs) H_UNTIL_CS=$h_value ;;
            user) H_USER=$h_value ;;
            left) H_LEFT=$h_value ;;
            esac
        done <"$1"
    } 2>/dev/null || return 1
    case $H_OUTCOME in
    started | done | failed | ended) ;;
    *) fail state_folder "$1 is torn" ;;
    esac
}

# hook_write FILE: puts those on record; under the flock.
hook_write() {
    write_file "$1" <<END
outcome=$H_OUTCOME
reason=$H_REASON
digest=$H_DIGEST
pid=$H_PID
start_ticks=$H_START
boot_id=$BOOT_ID
until_cs=$H_UNTIL_CS
user=$H_USER
left=$H_LEFT
END
}

# hook_lives: whether the process that was read leads it still, or what did not end is there.
hook_lives() {
    [ "$H_OUTCOME" = started ] && [ "$H_BOOT" = "$BOOT_ID" ] && is_number "$H_PID" || return 1
    if process_alive "$H_PID"; then
        # shellcheck disable=SC2153
        [ "$P_START" = "$H_START" ]
    else
        [ "$H_LEFT" = yes ] && group_read "$H_PID"
    fi
}

# hook_is_overdue: whether one that lives has passed the time at which somebody would have ended it.
hook_is_overdue() {
    uptime_read
    is_number "$H_UNTIL_CS" && [ "$UPTIME_CS" -gt "$H_UNTIL_CS" ]
}

# hook_split NAME: sets H_RUN and H_NAME; false if that is no record's name.
hook_split() {
    H_NAME=${1##*.} H_RUN=${1%.*}
    is_number "$H_NAME" || return 1
    case ${H_RUN##*.} in
    before_install | after_install | application_start | validate_service) ;;
    before_allow_traffic | after_allow_traffic | before_stop | on_failure) ;;
    *) return 1 ;;
    esac
    H_NAME=${H_RUN##*.}.$H_NAME H_RUN=${H_RUN%.*}
}

# hooks_forget RUN: removes what is on record of hooks of other runs, but for what still runs. Under the flock.
hooks_forget() {
    for h_file in "$STATE"/hooks/*; do
        if ! hook_split "${h_file##*/}" || [ "$H_RUN" = "$1" ] || ! hook_read "$h_file"; then continue; fi
        hook_lives || rm -f -- "$h_file" "$h_file.script"
    done
}

# hooks_say: answers every hook; reads without the flock.
hooks_say() {
    for h_file in "$STATE"/hooks/*; do
        if ! hook_split "${h_file##*/}" || ! hook_read "$h_file"; then continue; fi
        case $H_OUTCOME in
        started | ended) h_state=unknown ;;
        *) h_state=$H_OUTCOME ;;
        esac
        if hook_lives; then
            h_state=running
            ! hook_is_overdue || h_state=overdue
        fi
        text hook "$H_RUN"
        text hook.name "$H_NAME"
        say hook.state "$h_state"
        text hook.digest "$H_DIGEST"
    done
}
