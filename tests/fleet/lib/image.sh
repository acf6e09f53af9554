# shellcheck shell=sh disable=SC2154  # ctl, which sources it, sets what is missing here
# image.sh: the one image of all hosts, built only when its Dockerfile changed.

base=debian:bookworm-slim

ensure_image() {
  wanted=$(digest "$here/image/Dockerfile" | cut -c 1-12)
  if docker image inspect "$project:$wanted" >/dev/null 2>&1; then
    quiet docker tag "$project:$wanted" "$project:latest"
    return 0
  fi
  ensure_base
  say "building the image of the hosts"
  set --
  for name in http_proxy https_proxy no_proxy; do
    eval "value=\${$name:-}"
    [ -z "$value" ] || set -- "$@" --build-arg "$name=$value"
  done
  # The old builder needs no plugin; a client that has only the new one ignores the variable.
  DOCKER_BUILDKIT=0 quiet docker build -t "$project:$wanted" -t "$project:latest" "$@" "$here/image" ||
    fail "the image did not build"
}

# Pulls the base image; where no registry can be reached, makes the same from Debian's packages.
ensure_base() {
  docker image inspect "$base" >/dev/null 2>&1 && return 0
  say "pulling $base"
  if docker pull -q "$base" >/dev/null 2>&1; then return 0; fi
  say "no registry can be reached: making $base by debootstrap"
  "$root/.ci/need" debootstrap
  tree=$(mktemp -d)
  if as_root debootstrap --variant=minbase bookworm "$tree/root" >"$state/debootstrap.log" 2>&1; then
    as_root rm -rf "$tree/root/var/cache/apt/archives"
    as_root mkdir -p "$tree/root/var/cache/apt/archives/partial"
    as_root tar -C "$tree/root" -c . | quiet_import
  else
    tail -5 "$state/debootstrap.log" >&2
    as_root rm -rf "$tree"
    fail "debootstrap failed"
  fi
  as_root rm -rf "$tree"
}

quiet_import() { docker import -c 'CMD ["/bin/bash"]' - "$base" >/dev/null; }
