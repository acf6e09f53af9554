#!/bin/sh
# shellcheck disable=SC2034
# base: what every script stands on. It makes the shell strict, keeps the answer apart from what
# children print, and holds the helpers for answers, failures, waiting and root.
#
# Parameters: APP, STATE_DIR, RELEASE_DIR (either may be empty), MAY_SUDO (yes or no).
# Prints: `nonstop-answer 1 begin`, lines of `key=value` (or `key:=base64`), `nonstop-answer 1 end`.
# Exit codes of every script: 0 it answered; 3 it could not, and `failure` and `detail` in the answer
# say why; anything else: it broke, and standard error says how.
set -eu

# What a started application gets back: it must not inherit our own locale, path or mask.
LOGIN_LC_ALL=${LC_ALL-unset} LOGIN_PATH=${PATH:-/usr/local/bin:/usr/bin:/bin} LOGIN_UMASK=$(umask)
LC_ALL=C
export LC_ALL
umask 022
# A login without a shell profile often lacks the folders where nginx is.
PATH=$LOGIN_PATH:/usr/local/sbin:/usr/sbin:/sbin
IFS=$(printf ' \t\n.')
IFS=${IFS%.}

# The answer has a descriptor of its own, so that no child can write into it.
exec 3>&1 1>&2
printf 'nonstop-answer 1 begin\n' >&3

# say KEY VALUE: answers a value that cannot hold anything but plain characters.
say() {
    printf '%s=%s\n' "$1" "$2" >&3
}

# text KEY VALUE: answers any value; in base64 where it holds more than printable ASCII.
text() {
    case $2 in
    *[!\ -~]*) printf '%s:=%s\n' "$1" "$(printf '%s' "$2" | base64 | tr -d '\n')" >&3 ;;
    *) printf '%s=%s\n' "$1" "$2" >&3 ;;
    esac
}

# text_from KEY LIMIT: answers what comes on standard input, up to LIMIT bytes.
text_from() {
    printf '%s:=%s\n' "$1" "$(head -c "$2" | base64 | tr -d '\n')" >&3
}

# answered: ends the answer and the script.
answered() {
    printf 'nonstop-answer 1 end\n' >&3
    exit 0
}

# unanswered STATUS: says that the script broke. The first descriptor is standard error too; the second may lead to
# /dev/null, for where a shell ends in the middle of a command, bash leaves it as that command has it. Where nobody is
# there any more to read it, what is to be ended and removed is so all the same.
unanswered() {
    case $1 in
    0 | 3) return 0 ;;
    esac
    trap '' PIPE
    echo "the script broke off with status $1" || :
}

# fail KIND DETAIL: ends the script without an answer. Never call it in a subshell.
fail() {
    say failure "$1"
    text detail "$2"
    printf 'nonstop-answer 1 end\n' >&3
    exit 3
}

# need PROGRAM...: fails unless the host has them all.
need() {
    for n_program; do
        command -v "$n_program" >/dev/null 2>&1 || fail missing_tool "$n_program"
    done
}

# scratch: makes a folder for this script alone, removed when it ends.
SCRATCH=
scratch() {
    [ -n "$SCRATCH" ] || SCRATCH=$(mktemp -d)
}

# A script that has something of its own to remove at the end redefines this.
cleanup() { :; }
trap 'unanswered "$?"; cleanup; [ -z "$SCRATCH" ] || rm -rf "$SCRATCH"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

# nap: a short pause; a whole second where `sleep` knows no fractions.
nap() {
    sleep 0.05 2>/dev/null || sleep 1
}

# is_number TEXT: whether it is a decimal number that the shell can count with.
is_number() {
    case $1 in
    '' | *[!0-9]* | ???????????????????*) return 1 ;;
    esac
}

MY_UID=$(id -u)
# How root's work is done: directly, or by `sudo -n`. `use_root` decides.
ROOT_WAY=direct

# within SECONDS COMMAND...: runs it, and waits no longer than that. Whatever becomes of it, it holds none of
# the flocks: what sudo runs cannot be ended by the login.
within() {
    w_seconds=$1 w_status=0
    shift
    if ! command -v timeout >/dev/null 2>&1; then
        "$@" 8<&- 9<&-
        return
    fi
    # TERM may be ignored here, and then by every child.
    timeout -s KILL "$w_seconds" "$@" 8<&- 9<&- || w_status=$?
    [ "$w_status" -ne 137 ] || echo "it did not end within $w_seconds s" >&2
    return "$w_status"
}

# How many seconds a command of root's may take; empty where there is no limit.
ROOT_SECONDS=

# use_root OWNER...: root's work is done directly by root, or where one of the numeric OWNERs is the
# login itself; by sudo elsewhere, where that is allowed.
use_root() {
    ROOT_WAY=direct
    [ "$MY_UID" != 0 ] && [ "$MAY_SUDO" = yes ] || return 0
    for u_owner; do
        [ "$u_owner" != "$MY_UID" ] || return 0
    done
    ROOT_WAY=sudo
    scratch
}

# root COMMAND...: runs what needs root; the script fails where sudo refuses. Never call it in a
# subshell: the failure has to end the script.
root() {
    if [ "$ROOT_WAY" = direct ]; then
        ${ROOT_SECONDS:+within "$ROOT_SECONDS"} "$@"
        return
    fi
    r_status=0
    ${ROOT_SECONDS:+within "$ROOT_SECONDS"} sudo -n -- "$@" 2>"$SCRATCH/sudo" || r_status=$?
    # Nobody may be there any more to read it: that must not stop what is half done.
    cat "$SCRATCH/sudo" >&2 || :
    if [ "$r_status" -ne 0 ] && sudo_refused "$@"; then
        fail sudo_refused "$*"
    fi
    return "$r_status"
}

# sudo_refused COMMAND...: whether it was sudo that said no, and not the command.
sudo_refused() {
    grep -q -e '^sudo:.* is required' -e '^sudo:.* not found' -e '^Sorry, user' -e 'is not in the sudoers' \
        -e 'may not run sudo' "$SCRATCH/sudo" && return 0
    ! sudo -n -l -- "$@" >/dev/null 2>&1
}
