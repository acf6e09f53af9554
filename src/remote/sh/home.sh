#!/bin/sh
# shellcheck disable=SC2034
# home: what nginx's files were before a run, and the way back to it. Needs switch.
#
# A run that switches more than once has one for each switch, `home/RUN`, `home/RUN.2` and so on: what was there
# before it. `home/RUN/meta` holds entry, target, takes_over, their kinds and digests; beside it lie copies of the
# things themselves, `entry`, `target` and `takes_over`, made by `cp -a` with owner, mode and label: it
# may take root to read them. `home/RUN/placed` names, a line each, what commits of the run put at the
# target: the digest of the bytes, or `link:TEXT`. `home/RUN/committed` is there from before the first
# rename of a commit until a way back is proven: while it is there, what nginx runs may differ from home.
#
# Parameters: those of switch; HOME_RUN, the run whose home it is. Prints: what switch prints.

# is_there PATH: whether anything is, a dangling link included.
is_there() {
    [ -e "$1" ] || [ -L "$1" ]
}

# beside PATH NAME: sets BESIDE, our own dotfile in the folder of PATH: no include's glob matches it.
beside() {
    BESIDE=${1%/*}/.nonstop-$APP.$2
}

# home_read RUN: sets HOME_DIR, HOME_ENTRY, HOME_TARGET, HOME_TAKES_OVER, HOME_ENTRY_KIND,
# HOME_TARGET_KIND and the saved bytes' HOME_ENTRY_SHA256, HOME_TARGET_SHA256 and
# HOME_TAKES_OVER_SHA256; false if nothing was saved.
home_read() {
    HOME_DIR=$STATE/home/$1
    HOME_ENTRY='' HOME_TARGET='' HOME_TAKES_OVER='' HOME_ENTRY_KIND='' HOME_TARGET_KIND=''
    HOME_ENTRY_SHA256='' HOME_TARGET_SHA256='' HOME_TAKES_OVER_SHA256=
    [ -f "$HOME_DIR/meta" ] || return 1
    while IFS= read -r h_line; do
        h_value=${h_line#*=}
        case ${h_line%%=*} in
        entry) HOME_ENTRY=$h_value ;;
        target) HOME_TARGET=$h_value ;;
        takes_over) HOME_TAKES_OVER=$h_value ;;
        entry_kind) HOME_ENTRY_KIND=$h_value ;;
        target_kind) HOME_TARGET_KIND=$h_value ;;
        entry_sha256) HOME_ENTRY_SHA256=$h_value ;;
        target_sha256) HOME_TARGET_SHA256=$h_value ;;
        takes_over_sha256) HOME_TAKES_OVER_SHA256=$h_value ;;
        esac
    done <"$HOME_DIR/meta"
}

# same_thing PATH SAVED SHA256: whether what is at PATH is what was saved: kind, link or bytes, owner
# and mode.
same_thing() {
    if [ -L "$2" ]; then
        [ -L "$1" ] && [ "$(readlink -- "$1")" = "$(readlink -- "$2")" ]
        return
    fi
    [ -f "$1" ] && [ ! -L "$1" ] || return 1
    [ "$(stat -c '%u:%g %a' -- "$1")" = "$(stat -c '%u:%g %a' -- "$2")" ] || return 1
    digest_of "$1"
    [ "$DIGEST" = "$3" ]
}

# is_placed PATH PLACED: whether what is at PATH is what a commit put there.
is_placed() {
    case $2 in
    link:*) [ -L "$1" ] && [ "$(readlink -- "$1")" = "${2#link:}" ] ;;
    *)
        [ -f "$1" ] && [ ! -L "$1" ] || return 1
        digest_of "$1"
        [ "$DIGEST" = "$2" ]
        ;;
    esac
}

# put_thing SAVED PATH SHA256: puts a copy of a saved thing at PATH, by one rename in its folder; ends where
# the copy is not what was saved.
put_thing() {
    beside "$2" home
    root rm -f -- "$BESIDE"
    root cp -a -T -- "$1" "$BESIDE" || unproven "the saved copy of $2 cannot be read"
    if [ ! -L "$BESIDE" ]; then
        digest_of "$BESIDE"
        [ "$DIGEST" = "$3" ] || unproven "the saved copy of $2 is damaged: nothing was put in its place"
        synced "$BESIDE"
    fi
    root mv -T -- "$BESIDE" "$2"
}

# placed_add PLACED: remembers that a commit of the run puts this at the target.
placed_add() {
    [ -f "$HOME_DIR/placed" ] || : >"$HOME_DIR/placed"
    ! grep -q -x -F -e "$1" "$HOME_DIR/placed" || return 0
    { cat -- "$HOME_DIR/placed" && printf '%s\n' "$1"; } | write_file "$HOME_DIR/placed" || exit 3
}

# run_of_home: sets HOME_OF, the run whose home HOME_RUN is: a run that switches more than once has a home for
# each switch, `RUN`, `RUN.2` and so on.
run_of_home() {
    HOME_OF=${HOME_RUN%.*}
    if ! is_number "${HOME_RUN##*.}" || [ ! -d "$STATE/home/$HOME_OF" ]; then
        HOME_OF=$HOME_RUN
    fi
}

# was_placed PATH: whether what is at PATH is what some commit of the run put there, whichever of its switches
# it was.
was_placed() {
    run_of_home
    for h_file in "$STATE/home/$HOME_OF/placed" "$STATE/home/$HOME_OF".*/placed; do
        [ -f "$h_file" ] || continue
        while IFS= read -r h_placed <&4; do
            if is_placed "$1" "$h_placed"; then return 0; fi
        done 4<"$h_file"
    done
    return 1
}

# target_back: the file that the entry's link leads to.
target_back() {
    [ "$HOME_TARGET" != "$HOME_ENTRY" ] || return 0
    if [ "$HOME_TARGET_KIND" = absent ]; then
        ! is_there "$HOME_TARGET" || root rm -f -- "$HOME_TARGET"
    elif ! same_thing "$HOME_TARGET" "$HOME_DIR/target" "$HOME_TARGET_SHA256"; then
        put_thing "$HOME_DIR/target" "$HOME_TARGET" "$HOME_TARGET_SHA256"
    fi
}

# entry_back: the name that nginx includes, and the one that was taken over.
entry_back() {
    if [ -n "$HOME_TAKES_OVER" ]; then
        ! is_there "$HOME_TAKES_OVER" || return 0
        if ! same_thing "$HOME_ENTRY" "$HOME_DIR/takes_over" "$HOME_TAKES_OVER_SHA256"; then
            put_thing "$HOME_DIR/takes_over" "$HOME_ENTRY" "$HOME_TAKES_OVER_SHA256"
        fi
        root mv -T -- "$HOME_ENTRY" "$HOME_TAKES_OVER"
    elif [ "$HOME_ENTRY_KIND" = absent ]; then
        ! is_there "$HOME_ENTRY" || root rm -f -- "$HOME_ENTRY"
    elif ! same_thing "$HOME_ENTRY" "$HOME_DIR/entry" "$HOME_ENTRY_SHA256"; then
        put_thing "$HOME_DIR/entry" "$HOME_ENTRY" "$HOME_ENTRY_SHA256"
    fi
}

# at_home: whether everything is as it was saved.
at_home() {
    if [ "$HOME_TARGET" != "$HOME_ENTRY" ]; then
        if [ "$HOME_TARGET_KIND" = absent ]; then
            ! is_there "$HOME_TARGET" || return 1
        else
            same_thing "$HOME_TARGET" "$HOME_DIR/target" "$HOME_TARGET_SHA256" || return 1
        fi
    fi
    if [ -n "$HOME_TAKES_OVER" ]; then
        ! is_there "$HOME_ENTRY" && same_thing "$HOME_TAKES_OVER" "$HOME_DIR/takes_over" "$HOME_TAKES_OVER_SHA256"
    elif [ "$HOME_ENTRY_KIND" = absent ]; then
        ! is_there "$HOME_ENTRY"
    else
        same_thing "$HOME_ENTRY" "$HOME_DIR/entry" "$HOME_ENTRY_SHA256"
    fi
}

# ours_to_undo: whether what is there is what a commit of the run put, or a step on its way: a file that
# somebody else wrote meanwhile is not overwritten.
ours_to_undo() {
    if [ -n "$HOME_TAKES_OVER" ]; then
        ! is_there "$HOME_TAKES_OVER" || return 1
        if same_thing "$HOME_ENTRY" "$HOME_DIR/takes_over" "$HOME_TAKES_OVER_SHA256"; then return 0; fi
    fi
    was_placed "$HOME_TARGET"
}

# master_again: adopts the master that was started meanwhile; false if there is none.
master_again() {
    master_find || return 1
    MASTER_PID=$FOUND_PID MASTER_START=$FOUND_START MASTER_BOOT=$BOOT_ID MASTER_UID=$FOUND_UID
    use_root "$MASTER_UID"
}

# go_home: puts home back, each thing by rename, reloads and proves; ends by proven, unproven, drifted or
# no_home. Safe to repeat, and at any point of a commit that was cut off. Where home was never left,
# nothing is touched.
go_home() {
    home_read "$HOME_RUN" || no_home
    if at_home; then
        if [ ! -f "$HOME_DIR/committed" ]; then
            workers_read "$MASTER_PID"
            tokens_restored "$HOME_RUN"
            proven
        fi
    else
        ours_to_undo || drifted "$HOME_ENTRY was changed by somebody else"
        target_back
        entry_back
    fi
    # Home is home under a master that was started meanwhile, too.
    the_master || master_again || unproven "nginx does not run"
    reload_and_prove at_home
    rm -f -- "$HOME_DIR/committed"
    synced "${HOME_TARGET%/*}" "${HOME_ENTRY%/*}"
    tokens_restored "$HOME_RUN"
    proven
}
