#!/usr/bin/env bash
# shellcheck disable=all

ABSPATH=$(readlink -f $0)
ABSDIR=$(dirname $ABSPATH)
source ${ABSDIR}/profile.sh
source ${ABSDIR}/switch.sh

IDLE_PORT=$(find_idle_port)

echo "> Health check start"
echo "> IDLE_PORT: $IDLE_PORT"
echo "> curl -s http://localhost:$IDLE_PORT/profile "
sleep 10

for RETRY_COUNT in {1..10}
do
	RESPONSE=$(curl -s http://localhost:$IDLE_PORT/profile)
	UP_COUNT=$(echo ${RESPONSE} | grep 'real' | wc -l)

	if [ ${UP_COUNT} -ge 1 ]
	then # the answer holds "real"
		echo "> Health check passed"
		switch_proxy
		break
	else
		echo "> Health check: no answer that is known, or it does not run"
		echo "> Health check: ${RESPONSE}"
	fi

	if [ ${RETRY_COUNT} -eq 10 ]
	then
		echo "> Health check failed"
		echo "> the deployment ends without nginx"
		exit 1
	fi

	echo "> Health check failed, once more..."
	sleep 10
done
