#!/bin/sh
# smoke: asks the new instance on this host before anybody else does, and more of it without --quick.
set -eu
curl -fsS "http://127.0.0.1:$NONSTOP_PORT/" >/dev/null
[ "${1-}" = --quick ] || curl -fsS "http://127.0.0.1:$NONSTOP_PORT/actuator/info" >/dev/null
echo "$NONSTOP_RELEASE answers on $NONSTOP_HOST:$NONSTOP_PORT"
