#!/usr/bin/env bash
# shellcheck disable=all

ABSPATH=$(readlink -f $0)
ABSDIR=$(dirname $ABSPATH)
source ${ABSDIR}/profile.sh

IDLE_PORT=$(find_idle_port)

echo "> pid of the application that runs on $IDLE_PORT"
IDLE_PID=$(lsof -ti tcp:${IDLE_PORT})

if [ -z ${IDLE_PORT} ]
then
	echo "> no application runs: nothing is ended"
else
	echo "> kill -15 $IDLE_PID"
	kill -15 ${IDLE_PID}
	sleep 5
fi
