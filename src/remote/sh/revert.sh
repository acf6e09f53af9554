#!/bin/sh
# revert: puts home back, each thing by rename, reloads and proves. Safe to repeat, and at any point
# of a commit that was cut off. Where home was never left, nothing is touched.
#
# Parameters: the fence's and nginx's; HOME_RUN (whose home), DEADLINE_MS.
# Prints: the fence's answer and the switch's.
switch_begin

is_there() {
    [ -e "$1" ] || [ -L "$1" ]
}

# target_back: the file that the entry's link leads to.
target_back() {
    [ "$HOME_TARGET" != "$HOME_ENTRY" ] || return 0
    if [ "$HOME_TARGET_KIND" = absent ]; then
        ! is_there "$HOME_TARGET" || root rm -f -- "$HOME_TARGET"
    elif ! same_thing "$HOME_TARGET" "$HOME_DIR/target" "$HOME_TARGET_SHA256"; then
        put_thing "$HOME_DIR/target" "$HOME_TARGET"
    fi
}

# entry_back: the name that nginx includes, and the one that was taken over.
entry_back() {
    if [ -n "$HOME_TAKES_OVER" ]; then
        ! is_there "$HOME_TAKES_OVER" || return 0
        if ! same_thing "$HOME_ENTRY" "$HOME_DIR/takes_over" "$HOME_TAKES_OVER_SHA256"; then
            put_thing "$HOME_DIR/takes_over" "$HOME_ENTRY"
        fi
        root mv -T -- "$HOME_ENTRY" "$HOME_TAKES_OVER"
    elif [ "$HOME_ENTRY_KIND" = absent ]; then
        ! is_there "$HOME_ENTRY" || root rm -f -- "$HOME_ENTRY"
    elif ! same_thing "$HOME_ENTRY" "$HOME_DIR/entry" "$HOME_ENTRY_SHA256"; then
        put_thing "$HOME_DIR/entry" "$HOME_ENTRY"
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

# ours_to_undo: whether what is there is what the commit put, or a step on its way: a file that
# somebody else wrote meanwhile is not overwritten.
ours_to_undo() {
    if [ -n "$HOME_TAKES_OVER" ]; then
        ! is_there "$HOME_TAKES_OVER" || return 1
        is_placed "$HOME_TARGET" "$HOME_PLACED" || same_thing "$HOME_ENTRY" "$HOME_DIR/takes_over" "$HOME_TAKES_OVER_SHA256"
    else
        is_placed "$HOME_TARGET" "$HOME_PLACED"
    fi
}

if ! home_read "$HOME_RUN"; then
    passed
    say switch no_home
    answered
fi
if at_home; then
    if [ ! -f "$HOME_DIR/committed" ]; then
        workers_read "$MASTER_PID"
        proven
    fi
else
    ours_to_undo || drifted "$HOME_ENTRY was changed by somebody else"
    target_back
    entry_back
fi
reload_and_prove at_home
rm -f -- "$HOME_DIR/committed"
sync -- "${HOME_TARGET%/*}" "${HOME_ENTRY%/*}" 2>/dev/null || :
proven
