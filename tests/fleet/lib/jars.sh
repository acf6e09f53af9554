# shellcheck shell=sh disable=SC2154  # ctl, which sources it, sets what is missing here
# jars.sh: the Spring Boot application, built once by Maven and stamped into the releases of the
# tests. A release differs from another only in its release.properties.

# Name of the jar, then what its release.properties says beside the version.
releases() {
  cat <<'END'
v1
v2
v3
crash fleet.crash-at-start=true
crash-was-2 fleet.crash-at-start=true fleet.only-on=was-2
unhealthy fleet.health=down
unhealthy-was-2 fleet.health=down fleet.only-on=was-2
unknown fleet.health=unknown
slow-start fleet.start-delay-ms=5000
stubborn fleet.ignore-term=true
END
}

make_jars() {
  app=$here/app
  # shellcheck disable=SC2046  # our own file names hold no spaces
  wanted=$(cd "$here" && digest $(find app/src app/pom.xml lib/jars.sh -type f | sort))
  [ "$(cat "$state/jars/.made-from" 2>/dev/null)" != "$wanted" ] || return 0
  "$root/.ci/need" javac mvn
  say "building the Spring Boot application by Maven"
  quiet mvn -B -q -f "$app/pom.xml" -DskipTests clean package || fail "Maven could not build tests/fleet/app"
  rm -rf "$state/jars.new"
  mkdir -p "$state/jars.new"
  releases | while read -r name faults; do
    stamp "$name" "$faults"
  done
  echo "$wanted" >"$state/jars.new/.made-from"
  rm -rf "$state/jars"
  mv "$state/jars.new" "$state/jars"
}

stamp() { # NAME "KEY=VALUE ..."
  jar_file=$state/jars.new/app-$1.jar
  place=$state/jars.new/stamp
  mkdir -p "$place/BOOT-INF/classes"
  {
    echo "fleet.version=$1"
    for fault in $2; do echo "$fault"; done
  } >"$place/BOOT-INF/classes/release.properties"
  cp "$app/target/fleet-app.jar" "$jar_file"
  jar --update --file "$jar_file" -C "$place" BOOT-INF/classes/release.properties
  rm -rf "$place"
}
