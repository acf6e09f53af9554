#!/bin/sh
# bench_bare: one deploy as a careful person scripts it with nothing but ssh and scp: all hosts at
# once, but without checks, proof or a way back.
#
# Usage: bench_bare.sh SSH_CONFIG JAR NEW_PORT OLD_PORT PROFILE
set -eu
config=$1 jar=$2 new=$3 old=$4 profile=$5
name=$(basename "$jar")

on() { # HOST SCRIPT
  ssh -F "$config" "$1" "$2" </dev/null
}

# all FUNCTION HOST...: for all hosts at once; fails if one fails.
all() {
  action=$1
  shift
  children=
  for host in "$@"; do
    "$action" "$host" &
    children="$children $!"
  done
  for child in $children; do wait "$child"; done
}

upload() {
  on "$1" 'mkdir -p bare'
  scp -q -F "$config" "$jar" "$1:bare/$name.part"
  on "$1" "mv bare/$name.part bare/$name"
}

start() {
  on "$1" "cd bare
    setsid java -Xmx96m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -jar $name --server.port=$new \
      --spring.profiles.active=$profile </dev/null >$new.log 2>&1 &
    echo \$! >$new.pid"
}

# The hosts have no curl; bash can talk to a port.
await_health() {
  # shellcheck disable=SC2016  # expanded over there
  on "$1" "port=$new"' tries=0
    until [ "$tries" -ge 600 ]; do
      tries=$((tries + 1))
      if { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; then
        printf "GET /actuator/health HTTP/1.0\r\n\r\n" >&3
        case $(cat <&3) in *\"UP\"*) exit 0 ;; esac
      fi
      sleep 0.1
    done
    exit 1'
}

switch() {
  on "$1" "sudo -n tee -- /etc/nginx/sites-enabled/bare.conf >/dev/null <<'END'
upstream bare {
    server was-1:$new;
    server was-2:$new;
}
server {
    listen 80;
    server_name bare.test;
    location / {
        proxy_pass http://bare;
        proxy_set_header Host \$http_host;
    }
}
END
    sudo -n nginx -t 2>/dev/null && sudo -n nginx -s reload 2>/dev/null"
}

stop() {
  on "$1" "[ ! -e bare/$old.pid ] || kill -15 \$(cat bare/$old.pid)"
}

all upload was-1 was-2
all start was-1 was-2
all await_health was-1 was-2
all switch nginx-1 nginx-2
all stop was-1 was-2
