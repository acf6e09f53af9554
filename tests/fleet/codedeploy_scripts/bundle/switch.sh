#!/usr/bin/env bash
# shellcheck disable=all

ABSPATH=$(readlink -f $0)
ABSDIR=$(dirname $ABSPATH)
source ${ABSDIR}/profile.sh

function switch_proxy() {
	IDLE_PORT=$(find_idle_port)

	echo "> port to switch to: $IDLE_PORT"
	echo "> switch the port"
	echo "set \$service_url http://127.0.0.1:${IDLE_PORT};" | sudo tee /etc/nginx/conf.d/service-url.inc

	echo "> Nginx reload"
	sudo service nginx reload
}
