# shellcheck shell=sh disable=SC2154  # ctl, which sources it, sets what is missing here
# verbs.sh: what ctl does with a fleet that is there.

fleet_up() {
  mkdir -p "$state"
  ensure_docker
  make_keys
  # Maven and the image do not need each other.
  (make_jars) &
  jars=$!
  ensure_image
  # shellcheck disable=SC2086  # a list of hosts
  quiet compose up -d --no-build --remove-orphans || fail "compose could not start the fleet"
  write_addresses
  # shellcheck disable=SC2086  # a list of hosts
  each_host await_sshd $hosts || fail "not every host answers; see: tests/fleet/ctl status"
  wait "$jars" || fail "the jars were not built"
  say "up: $(echo "$hosts" | wc -w) hosts; log in with: tests/fleet/ctl ssh was-1"
}

# Waits until a login by key works, the way the tests come.
await_sshd() {
  tries=0
  until ssh -F "$state/ssh_config" -o ConnectTimeout=2 "$1" true </dev/null >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 100 ]; then
      ssh -F "$state/ssh_config" -o ConnectTimeout=2 "$1" true </dev/null >&2
      say "$1 does not let us in"
      return 1
    fi
    sleep 0.1
  done
}

fleet_down() {
  if daemon_answers; then
    quiet compose down --remove-orphans -t 2 || fail "compose could not stop the fleet"
    say "down"
  fi
  stop_daemon
}

fleet_reset() {
  for host in "$@"; do known "$host"; done
  # shellcheck disable=SC2086  # a list of hosts
  [ $# -gt 0 ] || set -- $hosts
  # Asked once for all of them.
  running=$(docker ps --filter "label=com.docker.compose.project=$project" \
    --format '{{.Label "com.docker.compose.service"}} {{.ID}} {{.Status}}')
  each_host reset_host "$@" || fail "reset failed"
}

reset_host() {
  line=$(echo "$running" | grep "^$1 ") || fail "$1 is not running; start the fleet with: tests/fleet/ctl up"
  id=$(echo "$line" | cut -d ' ' -f 2)
  # A frozen host cannot be reset.
  case $line in *'(Paused)'*) quiet docker unpause "$id" ;; esac
  [ ! -e "$state/memory.$1" ] || limit_memory "$1" none
  quiet docker exec "$id" sh /fleet/repo/tests/fleet/host/reset || { say "$1 was not reset"; return 1; }
}

fleet_status() {
  daemon_answers || fail "no docker daemon answers"
  docker ps --filter "label=com.docker.compose.project=$project" \
    --format '{{.Label "com.docker.compose.service"}} {{.Status}} {{.Ports}}' | sort
}

add_key() {
  for host in $hosts; do
    inside "$host" sh -c 'cat >>/home/deploy/.ssh/authorized_keys' <"$1"
  done
}

kill_app() { # HOST PORT [SIGNAL]
  pids=$(inside "$1" sh /fleet/repo/tests/fleet/host/listeners | while read -r port pid _; do
    [ "$port" != "$2" ] || echo "$pid"
  done)
  [ -n "$pids" ] || fail "nothing listens on port $2 of $1"
  # shellcheck disable=SC2086  # a list of pids
  inside "$1" kill "-${3:-KILL}" $pids
}

# A process that nonstop did not start: plain sshd on another port, answering nothing that is HTTP.
squat() { # HOST PORT
  inside "$1" /usr/sbin/sshd -p "$2" -o PidFile=none
}

crash_nginx() {
  # shellcheck disable=SC2016  # expanded over there
  inside "$1" sh -c 'for entry in /proc/[0-9]*; do
    [ "$(cat "$entry/comm" 2>/dev/null)" != nginx ] || kill -KILL "${entry#/proc/}"
  done'
}

fill() { # HOST [LEAVE_KIB]
  # shellcheck disable=SC2016  # expanded over there
  inside "$1" sh -c 'free=$(df --output=avail -k /srv/small | tail -n 1)
    take=$((free - $1))
    [ "$take" -le 0 ] || fallocate -l "${take}KiB" "/srv/small/.filler-$$"' sh "${2:-0}"
}

# A limit that docker has set it cannot take away again: without one means one that nobody comes to.
limit_memory() { # HOST MIB|none
  mebibytes=$2
  [ "$mebibytes" != none ] || mebibytes=$((1024 * 1024))
  quiet docker update --memory "${mebibytes}m" --memory-swap "${mebibytes}m" "$(container "$1")" ||
    fail "$1 gets no limit of its memory: does this kernel let docker set one?"
  if [ "$2" = none ]; then rm -f "$state/memory.$1"; else : >"$state/memory.$1"; fi
}

cut_link() { # HOST PEER
  if [ "$2" = ssh ]; then
    inside "$1" sh -c 'iptables -I INPUT -p tcp --dport 22 -j DROP &&
      iptables -I OUTPUT -p tcp --sport 22 -j DROP'
    return
  fi
  [ "$2" = controller ] || known "$2"
  # The controller is on the gateway's side: it comes through the published port.
  # shellcheck disable=SC2016  # expanded over there
  inside "$1" sh -c 'if [ "$1" = controller ]; then
      hex=$(awk "\$2 == \"00000000\" { print \$3 }" /proc/net/route)
      peer=$(printf "%d.%d.%d.%d" "0x${hex#??????}" "0x$(echo "$hex" | cut -c 5-6)" \
        "0x$(echo "$hex" | cut -c 3-4)" "0x$(echo "$hex" | cut -c 1-2)")
    else
      peer=$(getent ahostsv4 "$1" | awk "NR == 1 { print \$1 }")
    fi
    [ -n "$peer" ] || exit 1
    iptables -C INPUT -s "$peer" -j DROP 2>/dev/null || iptables -I INPUT -s "$peer" -j DROP
    iptables -C OUTPUT -d "$peer" -j DROP 2>/dev/null || iptables -I OUTPUT -d "$peer" -j DROP
  ' sh "$2"
}

frozen() { # CONTAINER
  [ "$(docker inspect -f '{{.State.Paused}}' "$1")" = true ]
}

freeze() {
  known "$1"
  id=$(container "$1")
  frozen "$id" || quiet docker pause "$id"
}

thaw() {
  known "$1"
  id=$(container "$1")
  ! frozen "$id" || quiet docker unpause "$id"
}

power() { # HOST on|off
  inside "$1" sh /fleet/repo/tests/fleet/host/power "$2"
  [ "$2" = off ] || await_sshd "$1"
}

hangup() {
  # Every sshd but the listener; the session's own process too, which holds the connection.
  # shellcheck disable=SC2016  # expanded over there
  inside "$1" sh -c 'listener=$(cat /run/sshd.pid)
  for entry in /proc/[0-9]*; do
    [ "$(cat "$entry/comm" 2>/dev/null)" = sshd ] || continue
    [ "${entry#/proc/}" = "$listener" ] || kill -KILL "${entry#/proc/}" 2>/dev/null
  done
  true'
}

sshd_line() { # HOST [LINE]
  # shellcheck disable=SC2016  # expanded over there
  inside "$1" sh -c 'file=/etc/ssh/sshd_config.d/fleet.conf
    if [ -n "$1" ]; then printf "%b\n" "$1" >"$file"; else rm -f "$file"; fi
    /usr/sbin/sshd -t && kill -HUP "$(cat /run/sshd.pid)"' sh "${2:-}"
  # HUP closes the listener for a moment.
  await_sshd "$1"
}

use_sudoers() { # HOST FILE|none
  if [ "$2" = none ]; then
    inside "$1" rm -f /etc/sudoers.d/nonstop
  else
    inside "$1" sh -c 'cat >/run/sudoers.new && visudo -qcf /run/sudoers.new &&
      install -m 0440 /run/sudoers.new /etc/sudoers.d/nonstop' <"$2"
  fi
}
