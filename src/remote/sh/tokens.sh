#!/bin/sh
# shellcheck disable=SC2034
# tokens: what became of each switch on this host. Needs state; tokens_say needs process.
#
# A token is one file, `tokens/RUN.EPOCH.NUMBER.STATE`: the run whose home its watch would put back, and
# epoch and sequence number of the script that armed it. It is made `armed`, and moved once, by a rename
# under the flock: to confirmed, reverted, fired or superseded. In it are the boot and the uptime of its
# deadline. Beside it lie `.watch`, the program that sleeps; `.pid`, pid, start time and boot of its process
# while that is there; and `.restored`, once home is proven after a watch fired.
#
# Parameters: none. Prints: what tokens_say prints.

# token_split NAME: sets T_RUN, T_EPOCH, T_NUMBER and T_STATE; false if that is no token's name.
token_split() {
    T_STATE=${1##*.} T_RUN=${1%.*}
    case $T_STATE in
    armed | confirmed | reverted | fired | superseded) ;;
    *) return 1 ;;
    esac
    T_NUMBER=${T_RUN##*.} T_RUN=${T_RUN%.*}
    T_EPOCH=${T_RUN##*.} T_RUN=${T_RUN%.*}
    is_number "$T_NUMBER" && is_number "$T_EPOCH"
}

# token_read TOKEN: sets T_BOOT and T_DEADLINE_CS of an armed token; false if it is not.
token_read() {
    T_BOOT='' T_DEADLINE_CS=
    {
        while IFS= read -r t_line; do
            case ${t_line%%=*} in
            boot_id) T_BOOT=${t_line#*=} ;;
            deadline_cs) T_DEADLINE_CS=${t_line#*=} ;;
            esac
        done <"$STATE/tokens/$1.armed"
    } 2>/dev/null || return 1
    is_number "$T_DEADLINE_CS"
}

# token_left: sets T_LEFT_MS, what is left until the deadline that was read.
token_left() {
    uptime_read
    T_LEFT_MS=$(((T_DEADLINE_CS - UPTIME_CS) * 10))
    [ "$T_LEFT_MS" -ge 0 ] || T_LEFT_MS=0
}

# token_is_armed TOKEN: whether nobody moved it.
token_is_armed() {
    [ -f "$STATE/tokens/$1.armed" ]
}

# token_state TOKEN: sets T_STATE; empty if there is no such token.
token_state() {
    for T_STATE in armed confirmed reverted fired superseded; do
        [ ! -f "$STATE/tokens/$1.$T_STATE" ] || return 0
    done
    T_STATE=
}

# token_move TOKEN STATE: moves an armed token. Under the flock.
token_move() {
    mv -f -- "$STATE/tokens/$1.armed" "$STATE/tokens/$1.$2" || fail state_folder "the token $1 cannot be moved"
    synced "$STATE/tokens"
}

# tokens_retire RUN STATE [EXCEPT]: moves every armed token of the run to STATE, and those of other runs,
# whose switch is nobody's concern any more, to superseded. Under the flock.
tokens_retire() {
    for t_file in "$STATE/tokens"/*.armed; do
        t_name=${t_file##*/}
        t_token=${t_name%.armed}
        if ! token_split "$t_name" || [ "$t_token" = "${3-}" ]; then continue; fi
        if [ "$T_RUN" = "$1" ]; then
            token_move "$t_token" "$2"
        else
            token_move "$t_token" superseded
        fi
    done
}

# tokens_restored RUN: notes beside every fired token of the run that home is proven. Under the flock.
tokens_restored() {
    for t_file in "$STATE/tokens"/*.fired; do
        t_name=${t_file##*/}
        if ! token_split "$t_name" || [ "$T_RUN" != "$1" ]; then continue; fi
        [ -f "${t_file%.fired}.restored" ] || write_file "${t_file%.fired}.restored" </dev/null
    done
}

# token_is_newest EPOCH NUMBER: whether no token was armed later.
token_is_newest() {
    for t_file in "$STATE/tokens"/*; do
        token_split "${t_file##*/}" || continue
        if [ "$T_EPOCH" -gt "$1" ] || { [ "$T_EPOCH" -eq "$1" ] && [ "$T_NUMBER" -gt "$2" ]; }; then
            return 1
        fi
    done
}

# tokens_list: sets T_NAMES, the names of the files, as they are between two renames.
tokens_list() {
    T_NAMES='' t_before=none
    until [ "$T_NAMES" = "$t_before" ]; do
        t_before=$T_NAMES
        T_NAMES=$(ls -- "$STATE/tokens" 2>/dev/null) || :
    done
}

# watch_lives TOKEN: whether its watch is the process that it was.
watch_lives() {
    t_pid='' t_start='' t_boot=
    { read -r t_pid t_start t_boot <"$STATE/tokens/$1.pid"; } 2>/dev/null || return 1
    [ "$t_boot" = "$BOOT_ID" ] && is_number "$t_pid" && process_alive "$t_pid" && [ "$P_START" = "$t_start" ]
}

# tokens_say: answers every token; reads without the flock.
tokens_say() {
    tokens_list
    for t_name in $T_NAMES; do
        token_split "$t_name" || continue
        t_token=${t_name%.*} t_watch=gone
        ! watch_lives "$t_token" || t_watch=alive
        # Who moved it since, or brought home, did so before its watch left.
        if [ "$T_STATE" = armed ] && ! token_is_armed "$t_token"; then
            token_state "$t_token"
            [ -n "$T_STATE" ] || continue
        fi
        say token "$T_RUN"
        say token.epoch "$T_EPOCH"
        say token.number "$T_NUMBER"
        say token.state "$T_STATE"
        say token.watch "$t_watch"
        if [ "$T_STATE $t_watch" = 'armed alive' ] && token_read "$t_token"; then
            token_left
            say token.left_ms "$T_LEFT_MS"
        fi
        t_restored=no
        [ ! -f "$STATE/tokens/$t_token.restored" ] || t_restored=yes
        say token.restored "$t_restored"
    done
}
