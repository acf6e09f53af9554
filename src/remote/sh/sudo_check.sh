#!/bin/sh
# sudo_check: asks sudo, for every root command that the vocabulary needs, whether it would run it
# without a password; runs none of them. Where root's work needs no sudo, all are allowed.
#
# Parameters: NGINX (empty on a host without nginx), CONF, ENTRY, SLOT_FILES, UNITS (words `SLOT=UNIT`), UNIT_ENABLE,
# USERS (words).
# Prints: `sudo=allowed|denied` and `sudo.command` for each.

# check COMMAND...: answers one.
check() {
    k_allowed=allowed
    if [ "$ROOT_WAY" = sudo ]; then
        sudo -n -l -- "$@" >/dev/null 2>&1 || k_allowed=denied
    elif [ "$NEEDS_ROOT" = yes ]; then
        k_allowed=denied
    fi
    say sudo "$k_allowed"
    text sudo.command "$*"
}

# with_conf COMMAND...: as nginx is called where its main file is not the one it was built with.
with_conf() {
    if [ -n "$CONF_OPTION" ]; then
        check "$@" -c "$CONF_OPTION"
    else
        check "$@"
    fi
}

nginx_check() {
    nginx_find
    if master_find; then
        k_owner=$FOUND_UID
    else
        k_owner=$(stat -c %u -- "${ENTRY%/*}" 2>/dev/null || echo 0)
    fi
    use_root "$k_owner"
    NEEDS_ROOT=no
    [ "$MY_UID" = 0 ] || [ "$MY_UID" = "$k_owner" ] || NEEDS_ROOT=yes
    kind_of "$ENTRY"
    k_target=${RESOLVED:-$ENTRY}
    k_candidate=${k_target%/*}/.nonstop-$APP.candidate
    k_home=${k_target%/*}/.nonstop-$APP.home
    k_shadow=${CONF%/*}/.nonstop-$APP.conf
    k_saved=$STATE/home/RUN/entry
    with_conf "$NGINX" -T
    with_conf "$NGINX" -t
    with_conf "$NGINX" -s reload
    check "$NGINX" -T -c "$k_shadow"
    if [ -d /run/systemd/system ]; then check systemctl reload nginx; fi
    check tee -- "$k_shadow"
    check tee -- "$k_candidate"
    check rm -f -- "$k_shadow"
    check rm -f -- "$k_candidate"
    check cp -a -T -- "$k_target" "$k_saved"
    check cp -a -T -- "$k_target" "$k_candidate"
    check cp -a -T -- "$k_saved" "$k_home"
    check mv -T -- "$k_candidate" "$k_target"
    check mv -T -- "$k_home" "$k_target"
    if [ -n "$UPSTREAM_FILE" ]; then
        k_upstreams=${UPSTREAM_FILE%/*}/.nonstop-$APP.upstreams
        check rm -f -- "$k_upstreams"
        check cp -a -T -- "$UPSTREAM_FILE" "$k_upstreams"
        check tee -- "$k_upstreams"
        check mv -T -- "$k_upstreams" "$UPSTREAM_FILE"
    fi
    if [ -n "$SLOT_FILES" ]; then check ln -s -- "${SLOT_FILES#*=}" "$k_candidate"; fi
    k_log=${SETTING_LOG:-$NGINX_ERROR_LOG}
    case $k_log in
    /*) [ -r "$k_log" ] || check tail -c +1 -- "$k_log" ;;
    esac
}

# users_check: whether hooks may run as the users that the playbook names.
users_check() {
    for k_user in $USERS; do
        k_allowed=denied
        if [ "$MAY_SUDO" = yes ] && sudo -n -l -u "$k_user" -- env sh -c true >/dev/null 2>&1; then
            k_allowed=allowed
        fi
        say sudo "$k_allowed"
        text sudo.command "-u $k_user env"
    done
}

# unit_check UNIT: what a start and a stop of it call.
unit_check() {
    check systemctl start --no-block "$1"
    check systemctl stop --no-block "$1"
    check systemctl reset-failed "$1"
    check systemctl kill --signal=KILL "$1"
    [ "$UNIT_ENABLE" = yes ] || return 0
    check systemctl enable "$1"
    check systemctl disable "$1"
}

ROOT_WAY=direct NEEDS_ROOT=no
users_check
state_find
if [ "$STATE_STATUS" != ready ] && [ "$STATE" = "$SHARED_STATE/$APP" ]; then
    use_root
    [ "$MY_UID" = 0 ] || NEEDS_ROOT=yes
    check install -d -o "$MY_UID" -m 0755 -- "$STATE"
fi
[ -z "$NGINX" ] || nginx_check
if [ -n "$UNITS" ]; then
    NEEDS_ROOT=no
    use_root
    [ "$MY_UID" = 0 ] || NEEDS_ROOT=yes
    for k_unit in $UNITS; do
        unit_check "${k_unit#*=}"
    done
fi
answered
