#!/bin/sh
# agent: what CodeDeploy's agent does with a bundle, on its machine: the events in their order, the hooks of appspec.yml as
# their user, with its variables and no terminal, TERM at their timeout; it waits until nobody holds a hook's output any more.
#
# Parameters: the deployment's id, the folder of the bundle. Prints what the hooks say. Exit codes: 0 it succeeded, 1 a
# hook failed, after the line `FAILED EVENT SCRIPT STATUS`.
set -eu
archive=/opt/codedeploy-agent/deployment-root/$1/deployment-archive
mkdir -p "$archive"
cp -r "$2/." "$archive"
chmod -R a+rX /opt/codedeploy-agent
chmod +x "$archive"/*.sh

# hooks EVENT: its scripts, each with timeout and user.
hooks() {
  awk -v event="$1:" '
    $1 == "hooks:" { within = 1; next }
    within && $1 ~ /:$/ && $1 != "timeout:" && $1 != "runas:" && NF == 1 { mine = $1 == event }
    within && mine && $2 == "location:" { script = $3 }
    within && mine && $1 == "timeout:" { time = $2 }
    within && mine && $1 == "runas:" { print script, time, $2 }' "$archive/appspec.yml"
}

for event in BeforeInstall Install AfterInstall ApplicationStart ValidateService; do
  if [ "$event" = Install ]; then
    destination=$(awk '$1 == "destination:" { print $2 }' "$archive/appspec.yml")
    cp -r "$archive/." "$destination"
    continue
  fi
  hooks "$event" | while read -r script time user; do
    status=0
    # shellcheck disable=SC2030
    said=$(cd / && timeout -s TERM "$time" env -i \
      PATH=/home/ec2-user/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      LIFECYCLE_EVENT="$event" DEPLOYMENT_ID="$1" APPLICATION_NAME=segansig \
      su "$user" -c "$archive/$script" </dev/null 2>&1) || status=$?
    printf '%s\n' "--- $event $script" "$said"
    [ "$status" -eq 0 ] || { echo "FAILED $event $script $status"; exit 1; }
  done
done
