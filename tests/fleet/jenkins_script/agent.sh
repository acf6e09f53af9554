#!/bin/sh
# The build server of the old system, on the bastion: a workspace with the build's jar (/tmp/app.jar), and what the
# script needs of curl, for the fleet has none.
mkdir -p /tmp/agent/bin /tmp/agent/backend/sokdak/build/libs
mv /tmp/app.jar /tmp/agent/backend/sokdak/build/libs/sokdak-0.0.1-SNAPSHOT.jar
cat >/tmp/agent/bin/curl <<'END'
#!/bin/bash
url=${*: -1}
place=${url#http://*/}
server=${url#http://}
server=${server%%/*}
code=000
{ exec 3<>"/dev/tcp/${server%:*}/${server#*:}" && printf 'GET /%s HTTP/1.0\r\n\r\n' "$place" >&3 && read -r _ code _ <&3; } 2>/dev/null
printf %s "$code"
END
chmod +x /tmp/agent/bin/curl
cd /tmp/agent || exit
export PATH=/tmp/agent/bin:"$PATH" my_private_key_file=/fleet/state/id_ed25519
export WAS_1_PRIVATE_IP=was-1 WAS_2_PRIVATE_IP=was-2 NGINX_PRIVATE_IP=nginx-1
