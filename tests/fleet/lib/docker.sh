# shellcheck shell=sh disable=SC2154  # ctl, which sources it, sets what is missing here
# docker.sh: a docker daemon and its two clients, installed and started where they are missing.

project=nonstop-fleet
docker_as=

# Every call of docker goes through here: some users may call it only by sudo.
# shellcheck disable=SC2032  # nobody hands the function to sudo
docker() { command $docker_as docker "$@"; }

# Calls compose, whichever of its two generations is there.
compose() {
  if [ -z "${compose_is:-}" ]; then
    if docker compose version >/dev/null 2>&1; then compose_is=plugin; else compose_is=tool; fi
  fi
  if [ "$compose_is" = plugin ]; then
    docker compose -p "$project" -f "$root/docker-compose.test.yml" "$@"
  else
    # shellcheck disable=SC2086  # empty, or the one word `sudo`
    command $docker_as docker-compose -p "$project" -f "$root/docker-compose.test.yml" "$@"
  fi
}

# container HOST: its name, which differs between the two generations of compose.
container() {
  id=$(docker ps -q --filter "label=com.docker.compose.project=$project" \
    --filter "label=com.docker.compose.service=$1")
  [ -n "$id" ] || fail "$1 is not running; start the fleet with: tests/fleet/ctl up"
  echo "$id"
}

# inside HOST CMD...: runs it there as root.
inside() {
  known "$1"
  id=$(container "$1")
  shift
  docker exec -i "$id" "$@"
}

daemon_answers() {
  docker_as=
  command docker info >/dev/null 2>&1 && return 0
  # shellcheck disable=SC2033
  [ "$(id -u)" != 0 ] && have sudo && sudo -n docker info >/dev/null 2>&1 && docker_as=sudo
}

ensure_docker() {
  "$root/.ci/need" docker
  daemon_answers || "$root/.ci/need" dockerd
  docker compose version >/dev/null 2>&1 || "$root/.ci/need" docker-compose
  daemon_answers || start_daemon
}

# Starts a daemon, by systemd where it runs, and remembers that it was us.
start_daemon() {
  if [ -d /run/systemd/system ]; then
    say "starting docker by systemd"
    as_root systemctl start docker
    echo systemd >"$state/dockerd.started"
  else
    have dockerd || fail "no docker daemon answers: please start Docker"
    say "starting dockerd (log: tests/fleet/.state/dockerd.log)"
    # A pid file or socket of a daemon that was killed would stop the new one.
    # shellcheck disable=SC2016  # expanded by the inner shell
    as_root sh -c '
      pid=$(cat /var/run/docker.pid 2>/dev/null) || pid=
      [ -z "$pid" ] || [ -e "/proc/$pid" ] || rm -f /var/run/docker.pid
      setsid dockerd --storage-driver=overlay2 </dev/null >"$1/dockerd.log" 2>&1 &
      echo $! >"$1/dockerd.started"' sh "$state"
  fi
  tries=0
  until daemon_answers; do
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || { tail -5 "$state/dockerd.log" >&2; fail "the docker daemon does not answer"; }
    sleep 0.2
  done
}

# Stops the daemon only if `start_daemon` started it.
stop_daemon() {
  [ -e "$state/dockerd.started" ] || return 0
  started=$(cat "$state/dockerd.started")
  rm -f "$state/dockerd.started"
  if [ "$started" = systemd ]; then
    as_root systemctl stop docker docker.socket
    return 0
  fi
  # The pid may have gone to somebody else since.
  case $(tr '\0' ' ' 2>/dev/null <"/proc/$started/cmdline") in
    dockerd*) ;;
    *) return 0 ;;
  esac
  say "stopping dockerd"
  as_root kill -TERM "$started"
  tries=0
  while [ -e "/proc/$started" ] && [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
}
