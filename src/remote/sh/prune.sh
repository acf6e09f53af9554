#!/bin/sh
# shellcheck disable=SC2034
# prune: removes old releases and their logs. What is protected stays, and so does a release that a
# process runs from: one that has its jar open, works in its folder or names it in its command line; and one that a
# unit of systemd is led to.
#
# Parameters: the fence's, KEEP, PROTECTED (words). Prints: the fence's answer, and `pruned` for each.
EVENT=prune
fence_or_refuse
scratch

# in_use_read: notes everything that processes have open, and their command lines.
in_use_read() {
    { ls -ln /proc/[0-9]*/fd /proc/[0-9]*/cwd 2>/dev/null || :; } | grep -F -e " -> $RELEASES/" >"$SCRATCH/open" || :
    for p_process in /proc/[0-9]*; do
        { tr '\0' ' ' <"$p_process/cmdline" && echo; } 2>/dev/null || :
    done | grep -F -e "/releases/" >"$SCRATCH/commands" || :
}

# in_use RELEASE: whether a process runs from it.
in_use() {
    if grep -q -F -e " -> $RELEASES/$1/" "$SCRATCH/open" || grep -q -F -x -e "$RELEASES/$1" "$SCRATCH/folders"; then
        return 0
    fi
    grep -q -F -e "/releases/$1/" "$SCRATCH/commands"
}

is_protected() {
    for p_word in $PROTECTED; do
        [ "$p_word" != "$1" ] || return 0
    done
    return 1
}

# recorded RELEASE: whether a slot's recorded process runs it.
recorded() {
    for p_file in "$STATE"/instance.*; do
        case $p_file in
        *.new.* | *'*') continue ;;
        esac
        if instance_read "${p_file##*/instance.}" && [ "$I_RELEASE" = "$1" ] &&
            same_process "$I_PID" "$I_START" "$I_BOOT" "$I_UID"; then
            return 0
        fi
    done
    return 1
}

# led_to RELEASE: whether a port's link leads to it.
led_to() {
    for p_link in "$RELEASE_DIR"/current/*; do
        [ "$(readlink -- "$p_link" 2>/dev/null || :)" != "../releases/$1" ] || return 0
    done
    return 1
}

# logs_remove RELEASE: its logs, but not those of a release whose id goes on where this one ends.
logs_remove() {
    for p_log in "$LOGS/$1"-*.log; do
        [ -f "$p_log" ] || continue
        p_other=no
        for p_folder in "$RELEASES/$1"-*; do
            case ${p_log##*/} in
            "${p_folder##*/}"-*) [ ! -d "$p_folder" ] || p_other=yes ;;
            esac
        done
        [ "$p_other" = yes ] || rm -f -- "$p_log"
    done
}

in_use_read
sed -n 's/.* -> //p' "$SCRATCH/open" >"$SCRATCH/folders"
OLD='' COUNT=0
for p_folder in "$RELEASES"/*; do
    p_release=${p_folder##*/}
    if ! meta_read "$p_release" || is_protected "$p_release" || recorded "$p_release" ||
        led_to "$p_release" || in_use "$p_release"; then
        continue
    fi
    OLD="$OLD $p_release" COUNT=$((COUNT + 1))
done
passed
for p_release in $OLD; do
    [ "$COUNT" -gt "$KEEP" ] || break
    COUNT=$((COUNT - 1))
    # Out of sight first: nobody finds half of a release.
    mv -T -- "$RELEASES/$p_release" "$RELEASES/.part-0-$p_release"
    rm -rf -- "$RELEASES/.part-0-$p_release"
    logs_remove "$p_release"
    trail removed release "$p_release"
    say pruned "$p_release"
done
answered
