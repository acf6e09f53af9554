#!/bin/sh
# shellcheck disable=SC2034,SC2153
# start: starts an instance, puts it on record at once, and waits until it listens.
#
# Before anything is started, a word that no other start has is on record, and it is in the environment of
# whatever this start leaves behind (NONSTOP_START). A start that is cut off at any moment so leaves nothing that
# cannot be told from other processes; the flock is held until the word can be seen.
#
# With the runner `process` the words are the process: it is detached, and it or a process that it
# started must be the listener. With `script` the words start the process by themselves and return:
# the instance is the listener that is younger than this script. The working folder is the release's
# own, or CHDIR; NONSTOP_JAR, NONSTOP_PORT, NONSTOP_SLOT and NONSTOP_RELEASE are in the environment, too; a
# word `{jar}` becomes the jar's path. A process of ours that cannot have its port is ended here.
#
# With `unit` systemd starts UNIT, which finds the release behind `current/PORT`: the instance is its main process,
# or one that this started. What cannot have its port, or ends, is stopped and disabled here, so that systemd does
# not go on trying.
#
# Parameters: the fence's, SLOT, PORT, RELEASE, RUNNER (process, script or unit), CHDIR (may be empty), UNIT and
# UNIT_ENABLE (yes where it is enabled, too), SCRIPT_DEADLINE_MS, DEADLINE_MS; the positional ones are words `NAME=value`, then program and
# arguments.
# Prints: the fence's answer, and `start=listening` with `identity.*` and, without a unit, `log`, `start=exited` with
# `reason` and `tail`, `start=out_of_memory` with `available_kb`, `kills` and `tail` where it was the kernel that
# ended it, `start=not_listening` with `identity.*` and `tail`, or `start=port_taken` with
# `by.*` and `tail`.
EVENT=start
HOME_FOLDER=$RELEASES/$RELEASE
LOG=$LOGS/$RELEASE-$SLOT.log
LOG_SIZE=0
STARTED='' STARTED_AT='' ADOPTED=no

# tail_say: answers what this start added to the log, its last 200 lines.
tail_say() {
    if [ "$RUNNER" = unit ]; then
        journal_of "$UNIT" --since="@$SINCE" --lines=200 | tail -c 65536 | text_from tail 65536
        return
    fi
    { tail -c "+$((LOG_SIZE + 1))" -- "$LOG" 2>/dev/null || :; } | tail -n 200 | tail -c 65536 | text_from tail 65536
}

# killed_for_memory: whether the kernel has killed anybody for want of memory since this script began.
killed_for_memory() {
    memory_kills_read
    [ -n "$KILLS" ] && [ -n "$MEMORY_KILLS" ] && [ "$MEMORY_KILLS" -gt "$KILLS" ]
}

out_of_memory() {
    words_of "killed by the kernel: out of memory"
    trail_late exited slot "$SLOT" release "$RELEASE" reason "$WORDS"
    say fence passed
    say start out_of_memory
    say available_kb "$MEMORY_KB"
    say kills "$((MEMORY_KILLS - KILLS))"
    tail_say
    answered
}

# exited REASON: it ended. Whose end was not seen may have been the one whom the kernel killed.
exited() {
    if killed_for_memory; then
        [ "$1" != 'ended by signal 9' ] || out_of_memory
        set -- "$1; meanwhile the kernel killed a process for want of memory"
    fi
    words_of "$1"
    trail_late exited slot "$SLOT" release "$RELEASE" reason "$WORDS"
    say fence passed
    say start exited
    text reason "$1"
    tail_say
    answered
}

# record_word: puts on record that processes that carry WORD are this start's; under the flock.
record_word() {
    write_file "$STATE/instance.$SLOT" <<END
slot=$SLOT
port=$PORT
release=$RELEASE
run=$FENCE_RUN
word=$WORD
boot_id=$BOOT_ID
$RECORD_REST
END
}

# record_instance PID START UID: puts the process on record; under the flock.
record_instance() {
    write_file "$STATE/instance.$SLOT" <<END
slot=$SLOT
port=$PORT
release=$RELEASE
pid=$1
start_ticks=$2
boot_id=$BOOT_ID
uid=$3
$RECORD_REST
END
}

# run_detached ENVIRONMENT... PROGRAM ARGUMENT...: becomes the words, in a session of its own, with
# the login's own locale, path and mask and none of our descriptors.
run_detached() {
    cd -- "${CHDIR:-$HOME_FOLDER}" || exit
    r_shell=$(command -v sh)
    login_environment
    export NONSTOP_JAR="$HOME_FOLDER/app.jar" NONSTOP_PORT="$PORT" NONSTOP_SLOT="$SLOT" NONSTOP_RELEASE="$RELEASE"
    r_detach=$(command -v setsid || command -v nohup)
    # Not by env(1): everybody who lists processes could read its arguments, and a value may be a secret.
    while :; do
        case ${1-} in
        [A-Za-z_]*=*) ;;
        *) break ;;
        esac
        case ${1%%=*} in
        *[!A-Za-z0-9_]*) break ;;
        esac
        export "${1%%=*}=${1#*=}"
        shift
    done
    export NONSTOP_START="$WORD"
    # The flock is given back by a program that carries the word already: whoever takes it then finds this process.
    # shellcheck disable=SC2016
    exec "$r_detach" "$r_shell" -c 'exec 9<&- && exec "$@"' sh "$@"
}

# launch ENVIRONMENT... PROGRAM ARGUMENT...: starts the words with `{jar}` replaced; sets STARTED and
# STARTED_AT.
launch() {
    l_left=$#
    while [ "$l_left" -gt 0 ]; do
        l_word=$1
        shift
        [ "$l_word" != '{jar}' ] || l_word=$HOME_FOLDER/app.jar
        set -- "$@" "$l_word"
        l_left=$((l_left - 1))
    done
    run_detached "$@" </dev/null >>"$LOG" 2>&1 3>&- &
    STARTED=$!
    process_read "$STARTED" || P_START=0
    STARTED_AT=$P_START
}

# end_started: ends the process that this script started, which cannot have its port.
end_started() {
    same_process "$STARTED" "$STARTED_AT" "$BOOT_ID" "$MY_UID" || return 0
    kill -TERM "$STARTED" 2>/dev/null || :
    deadline_in 2000
    while same_process "$STARTED" "$STARTED_AT" "$BOOT_ID" "$MY_UID" && time_left; do nap; done
    same_process "$STARTED" "$STARTED_AT" "$BOOT_ID" "$MY_UID" || return 0
    kill -KILL "$STARTED" 2>/dev/null || :
}

port_taken() {
    trail_late port_taken slot "$SLOT" release "$RELEASE" port "$PORT" by "${LISTENER_PID:-}"
    say fence passed
    say start port_taken
    listener_say by
    tail_say
    answered
}

# listening PID: the listener is the instance; puts it on record if it is not the started process.
listening() {
    if ! process_read "$1" || ! process_uid "$1"; then exited "the listener ended at once"; fi
    l_start=$P_START l_uid=$P_UID
    if [ "$1" != "$STARTED" ]; then
        fence_again
        record_instance "$1" "$l_start" "$l_uid"
        state_unlock
    fi
    trail_late listening slot "$SLOT" release "$RELEASE" port "$PORT" pid "$1"
    say fence passed
    say start listening
    identity_say identity "$1" "$l_start" "$l_uid"
    [ "$RUNNER" = unit ] || text log "$LOG"
    answered
}

# await_process: waits until the started process, or one that it started, has the port.
await_process() {
    deadline_in "$DEADLINE_MS"
    while :; do
        listener_read "$PORT" "$STARTED"
        if [ "$LISTENER" = own ]; then
            listening "$STARTED"
        elif [ "$LISTENER" = other ]; then
            if [ -n "$LISTENER_PID" ] && descends "$LISTENER_PID" "$STARTED"; then
                listening "$LISTENER_PID"
            fi
            end_started
            port_taken
        fi
        if ! process_alive "$STARTED"; then
            [ "$ADOPTED" = no ] || exited "ended"
            a_status=0
            wait "$STARTED" || a_status=$?
            ended_by "$a_status"
            exited "$REASON"
        fi
        time_left || break
        nap
    done
    trail_late not_listening slot "$SLOT" release "$RELEASE" port "$PORT" pid "$STARTED"
    say fence passed
    say start not_listening
    identity_say identity "$STARTED" "$STARTED_AT" "$MY_UID"
    tail_say
    answered
}

# await_script: waits until the user's script has returned.
await_script() {
    deadline_in "$SCRIPT_DEADLINE_MS"
    while process_alive "$STARTED"; do
        if ! time_left; then
            # The script leads a session, and so a process group.
            kill -KILL "-$STARTED" 2>/dev/null || kill -KILL "$STARTED" 2>/dev/null || :
            exited "the script did not return within $SCRIPT_DEADLINE_MS ms"
        fi
        nap
    done
    a_status=0
    wait "$STARTED" || a_status=$?
    ended_by "$a_status"
    [ "$a_status" -eq 0 ] || exited "the script $REASON"
}

# is_instance PID: whether a listener comes from this start. Not everything that a script starts carries the word:
# another manager of processes may do it in its place.
is_instance() {
    ! carries "$1" "$WORD" || return 0
    [ "$ADOPTED" = no ] && process_read "$1" && [ "$P_START" -ge "$STARTED_AT" ]
}

# await_listener MILLISECONDS: waits for a listener that comes from this start.
await_listener() {
    deadline_in "$1"
    while :; do
        listener_read "$PORT" ''
        if [ "$LISTENER" = other ]; then
            if [ -n "$LISTENER_PID" ] && is_instance "$LISTENER_PID"; then
                listening "$LISTENER_PID"
            fi
            port_taken
        fi
        if [ "$ADOPTED" = yes ]; then
            carriers_read "$WORD"
            [ -n "$CARRIERS" ] || exited "ended"
        fi
        time_left || break
        nap
    done
}

# adopt: whether an earlier try of this very start is on record and runs; its answer got lost.
adopt() {
    instance_read "$SLOT" || return 1
    [ "$I_RELEASE $I_PORT" = "$RELEASE $PORT" ] || return 1
    same_process "$I_PID" "$I_START" "$I_BOOT" "$I_UID" || return 1
    STARTED=$I_PID STARTED_AT=$I_START ADOPTED=yes
}

# adopt_carriers: whether an earlier try of this very start was cut off and left processes. Those of any other
# start would be forgotten with what is on record of it.
adopt_carriers() {
    [ -n "$I_WORD" ] && [ "$I_BOOT" = "$BOOT_ID" ] || return 1
    carriers_read "$I_WORD"
    [ -n "$CARRIERS" ] || return 1
    [ "$I_RUN $I_RELEASE $I_PORT" = "$FENCE_RUN $RELEASE $PORT" ] ||
        exited "an earlier start on this slot was cut off, and left process$CARRIERS"
    WORD=$I_WORD ADOPTED=yes
}

mkdir -p -- "$LOGS"
RECORD_REST=log=$LOG
if [ "$RUNNER" = unit ]; then
    RECORD_REST="unit=$UNIT
enabled=$UNIT_ENABLE"
fi
memory_read
memory_kills_read
KILLS=$MEMORY_KILLS
fence_or_refuse
[ -f "$HOME_FOLDER/app.jar" ] || exited "$HOME_FOLDER/app.jar is not there"
[ "$RUNNER" != unit ] || start_unit
: >>"$LOG"
LOG_SIZE=$(stat -c %s -- "$LOG")
if adopt; then
    state_unlock
    await_process
fi
if adopt_carriers; then
    state_unlock
    await_listener "$((SCRIPT_DEADLINE_MS + DEADLINE_MS))"
    exited "nothing listens on port $PORT"
fi
listener_read "$PORT" ''
[ "$LISTENER" = none ] || port_taken
WORD=$FENCE_RUN.$FENCE_EPOCH.$FENCE_SEQUENCE.$PORT
record_word
launch "$@"
if [ "$RUNNER" = process ]; then
    record_instance "$STARTED" "$STARTED_AT" "$MY_UID"
    trail launched slot "$SLOT" release "$RELEASE" port "$PORT" pid "$STARTED"
    state_unlock
    await_process
else
    trail script_launched slot "$SLOT" release "$RELEASE" port "$PORT" pid "$STARTED"
    state_unlock
    await_script
    await_listener "$DEADLINE_MS"
    exited "the script returned, and nothing listens on port $PORT"
fi
