# shellcheck shell=sh disable=SC2154  # ctl, which sources it, sets what is missing here
# base.sh: what every part of ctl uses. Sourced by ctl, which sets `here`, `root`, `state`, `hosts`.

say() { echo "fleet: $*" >&2; }

fail() {
  echo "fleet: $*" >&2
  exit 1
}

# need COUNT ARGS...: ends with the usage unless there are at least COUNT arguments.
need() {
  wanted=$1
  shift
  [ $# -ge "$wanted" ] || { usage; exit 2; }
}

# known HOST: ends unless it is one of the fleet's hosts.
known() {
  case " $hosts " in
    *" $1 "*) ;;
    *) echo "fleet: no host $1; the hosts are: $hosts" >&2; exit 2 ;;
  esac
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root CMD...: directly for root, else by sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# quiet CMD...: shows what it printed only when it failed.
quiet() {
  output=$("$@" 2>&1 </dev/null) && return 0 || code=$?
  printf '%s\n' "$output" >&2
  return "$code"
}

# digest FILE...: one sha256 over the names and bytes of all files.
digest() {
  if have sha256sum; then
    sha256sum "$@" | sha256sum | cut -d ' ' -f 1
  else
    shasum -a 256 "$@" | shasum -a 256 | cut -d ' ' -f 1
  fi
}

# each_host FUNCTION HOST...: runs it for all hosts at once; fails if one of them failed.
each_host() {
  action=$1
  shift
  children=
  for host in "$@"; do
    "$action" "$host" &
    children="$children $!"
  done
  failed=0
  for child in $children; do
    wait "$child" || failed=1
  done
  return "$failed"
}
