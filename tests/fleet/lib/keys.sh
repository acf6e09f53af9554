# shellcheck shell=sh disable=SC2154  # ctl, which sources it, sets what is missing here
# keys.sh: the fleet's keys and addresses in .state. Host keys are made here and mounted, so
# known_hosts is written from the keys themselves and never from what the network answers.

# ssh_port HOST: the port on 127.0.0.1 where its sshd is published; docker-compose.test.yml says it.
ssh_port() {
  case $1 in
    was-1) echo 22201 ;;
    was-2) echo 22202 ;;
    nginx-1) echo 22211 ;;
    nginx-2) echo 22212 ;;
    bastion) echo 22200 ;;
  esac
}

make_keys() {
  "$root/.ci/need" ssh ssh-keygen
  mkdir -p "$state/hostkeys"
  key_pair "$state/id_ed25519" deploy@fleet
  for host in $hosts; do
    key_pair "$state/hostkeys/$host" "root@$host"
  done
}

key_pair() { # FILE COMMENT
  [ -e "$1" ] || ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1"
}

# Writes known_hosts (as published, and by name for those who come through the bastion), an
# ssh_config for people, and fleet.env for the tests.
write_addresses() {
  # Written whole, then renamed: a test may read them at any time.
  for host in $hosts; do
    echo "[127.0.0.1]:$(ssh_port "$host"),$host $(cut -d ' ' -f 1,2 "$state/hostkeys/$host.pub")"
  done >"$state/known_hosts.new"
  mv "$state/known_hosts.new" "$state/known_hosts"

  for host in $hosts; do
    echo "Host $host
  HostName 127.0.0.1
  Port $(ssh_port "$host")"
  done >"$state/ssh_config.new"
  cat >>"$state/ssh_config.new" <<END
Host *
  User deploy
  IdentityFile "$state/id_ed25519"
  IdentitiesOnly yes
  UserKnownHostsFile "$state/known_hosts"
  StrictHostKeyChecking yes
  BatchMode yes
END
  mv "$state/ssh_config.new" "$state/ssh_config"

  {
    echo "FLEET_USER=deploy"
    echo "FLEET_KEY=$state/id_ed25519"
    echo "FLEET_KNOWN_HOSTS=$state/known_hosts"
    echo "FLEET_SSH_CONFIG=$state/ssh_config"
    echo "FLEET_JARS=$state/jars"
    for host in $hosts; do
      echo "FLEET_$(echo "$host" | tr 'a-z-' 'A-Z_')_SSH=127.0.0.1:$(ssh_port "$host")"
    done
    echo "FLEET_NGINX_1_HTTP=127.0.0.1:22281"
    echo "FLEET_NGINX_2_HTTP=127.0.0.1:22282"
  } >"$state/fleet.env.new"
  mv "$state/fleet.env.new" "$state/fleet.env"
}
