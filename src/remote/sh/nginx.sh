#!/bin/sh
# shellcheck disable=SC2034
# nginx: where nginx's files are, who its master is, and how it is asked. Needs process.
#
# Parameters: NGINX (the program), CONF (may be empty in observe).
# Prints: nothing, except workers_say.

# How nginx is told its main file; empty where that is the one it was built with.
CONF_OPTION=

# How long nginx may test its files under its flock: longer than a resolver that is down is asked.
TEST_SECONDS=15

# nginx_find: sets CONF where it is empty, CONF_OPTION, and as it was built NGINX_PREFIX, NGINX_PID_FILE
# and NGINX_ERROR_LOG.
nginx_find() {
    command -v "$NGINX" >/dev/null 2>&1 || fail missing_tool "$NGINX"
    NGINX_PREFIX='' NGINX_PID_FILE='' NGINX_ERROR_LOG='' g_conf=
    for g_word in $("$NGINX" -V 2>&1); do
        case $g_word in
        --conf-path=*) g_conf=${g_word#*=} ;;
        --prefix=*) NGINX_PREFIX=${g_word#*=} ;;
        --pid-path=*) NGINX_PID_FILE=${g_word#*=} ;;
        --error-log-path=*) NGINX_ERROR_LOG=${g_word#*=} ;;
        esac
    done
    NGINX_PREFIX=${NGINX_PREFIX:-/usr/local/nginx}
    g_conf=${g_conf:-$NGINX_PREFIX/conf/nginx.conf}
    NGINX_PID_FILE=${NGINX_PID_FILE:-$NGINX_PREFIX/logs/nginx.pid}
    NGINX_ERROR_LOG=${NGINX_ERROR_LOG:-$NGINX_PREFIX/logs/error.log}
    CONF=${CONF:-$g_conf}
    if [ "$CONF" = "$g_conf" ]; then
        CONF_OPTION=
    else
        CONF_OPTION=$CONF
    fi
}

# nginx_root OPTION...: runs nginx with its main file, as root where that is needed.
nginx_root() {
    if [ -n "$CONF_OPTION" ]; then
        root "$NGINX" "$@" -c "$CONF_OPTION"
    else
        root "$NGINX" "$@"
    fi
}

# nginx_settings FILE: sets SETTING_PID and SETTING_LOG, what the main file says outside of every block
# about its pid file and its error log.
nginx_settings() {
    g_settings=$(awk '
        {
            gsub(/"[^"]*"|\047[^\047]*\047/, "x")
            sub(/(^|[ \t;])#.*/, "")
            line = $0
            while (match(line, /[{};]/)) {
                statement = statement " " substr(line, 1, RSTART - 1)
                mark = substr(line, RSTART, 1)
                line = substr(line, RSTART + 1)
                if (mark == ";" && depth == 0) {
                    split(statement, word, " ")
                    if (word[1] == "pid" || word[1] == "error_log") print word[1], word[2]
                }
                if (mark == "{") depth++
                if (mark == "}") depth--
                statement = ""
            }
            statement = statement " " line
        }' "$1" 2>/dev/null) || g_settings=
    SETTING_PID='' SETTING_LOG=
    while read -r g_name g_value; do
        case $g_name in
        pid) SETTING_PID=$g_value ;;
        error_log) SETTING_LOG=${SETTING_LOG:-$g_value} ;;
        esac
    done <<END
$g_settings
END
    case $SETTING_PID in
    '' | /*) ;;
    *) SETTING_PID=$NGINX_PREFIX/$SETTING_PID ;;
    esac
    case $SETTING_LOG in
    '' | /* | stderr | syslog:* | memory:*) ;;
    *) SETTING_LOG=$NGINX_PREFIX/$SETTING_LOG ;;
    esac
}

# is_master PID: whether that process calls itself an nginx master.
is_master() {
    process_alive "$1" || return 1
    process_title "$1"
    case $P_TITLE in
    'nginx: master process'*) return 0 ;;
    esac
    return 1
}

# master_find: sets FOUND_PID, FOUND_START and FOUND_UID of the master that the pid file leads to; false
# if it leads to none.
master_find() {
    FOUND_PID='' FOUND_START='' FOUND_UID=''
    nginx_settings "$CONF"
    [ ! -r "${SETTING_PID:-$NGINX_PID_FILE}" ] || read -r FOUND_PID <"${SETTING_PID:-$NGINX_PID_FILE}" || :
    is_number "$FOUND_PID" && is_master "$FOUND_PID" && process_uid "$FOUND_PID" || return 1
    FOUND_START=$P_START FOUND_UID=$P_UID
}

# the_master: whether the master of the command is alive.
the_master() {
    same_process "$MASTER_PID" "$MASTER_START" "$MASTER_BOOT" "$MASTER_UID" && is_master "$MASTER_PID"
}

# workers_read MASTER: sets SERVING and LEAVING, pids of its workers. Cache helpers are neither.
workers_read() {
    SERVING='' LEAVING=
    children_read "$1"
    for w_pid in $CHILDREN; do
        process_title "$w_pid"
        case $P_TITLE in
        *'worker process is shutting down'*) LEAVING="$LEAVING $w_pid" ;;
        *'worker process'*) SERVING="$SERVING $w_pid" ;;
        esac
    done
}

# workers_say PREFIX: answers them.
workers_say() {
    say "$1serving" "${SERVING# }"
    say "$1leaving" "${LEAVING# }"
}

# readable FILE: sets READABLE to a file with the same bytes that the login may read. Needs scratch.
readable() {
    READABLE=$1
    if [ ! -r "$1" ]; then
        root cat -- "$1" >"$SCRATCH/readable" || return 1
        READABLE=$SCRATCH/readable
    fi
}

# digest_of FILE: sets DIGEST, the SHA-256 of what is read there; empty where nothing is.
digest_of() {
    DIGEST=
    [ -e "$1" ] || return 0
    readable "$1" || fail unreadable "$1"
    DIGEST=$(sha256sum <"$READABLE")
    DIGEST=${DIGEST%% *}
}

# kind_of PATH: sets KIND (absent, file, link or other), and for a link LINK, its text, and RESOLVED.
kind_of() {
    KIND=other LINK='' RESOLVED=
    if [ -L "$1" ]; then
        LINK=$(readlink -- "$1" && printf .) || return 0
        LINK=${LINK%?.}
        if [ -f "$1" ]; then
            KIND="link"
            RESOLVED=$(readlink -f -- "$1")
        fi
    elif [ -f "$1" ]; then
        KIND="file"
    elif [ ! -e "$1" ]; then
        KIND=absent
    fi
}
