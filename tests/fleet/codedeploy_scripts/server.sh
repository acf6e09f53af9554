#!/bin/sh
# The one machine of the old system: its user, who may do everything by sudo, the application's own properties, and an
# nginx whose server reads the live port from a file. What the scripts need of curl and lsof lies in that user's home,
# for the fleet has none.
id ec2-user >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --password '*' ec2-user
echo 'ec2-user ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/90-cloud-init-users
chmod 0440 /etc/sudoers.d/90-cloud-init-users

mkdir -p /home/ec2-user/bin /home/ec2-user/app/step3/zip
cat >/home/ec2-user/bin/lsof <<'END'
#!/bin/sh
sh /fleet/repo/tests/fleet/host/listeners | awk -v port="${2#tcp:}" '$1 == port { print $2 }'
END
cat >/home/ec2-user/bin/curl <<'END'
#!/bin/bash
url=${*: -1}
server=${url#http://}
place=${server#*/}
server=${server%%/*}
case $server in
*:*) ;;
*) server=$server:80 ;;
esac
code='' body=
if { exec 3<>"/dev/tcp/${server%:*}/${server#*:}"; } 2>/dev/null; then
  printf 'GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n' "$place" "${server%:*}" >&3
  read -r _ code _ <&3
  while IFS= read -r line <&3 && [ -n "${line%$'\r'}" ]; do :; done
  body=$(cat <&3)
fi
case $* in
*http_code*) printf %s "${code:-000}" ;;
*) printf %s "$body" ;;
esac
[ -n "$code" ]
END
chmod +x /home/ec2-user/bin/*

: >/home/ec2-user/app/application-oauth.properties
cat >/home/ec2-user/app/application-real-db.properties <<'END'
spring.config.activate.on-profile=real1
server.port=8081
#---
spring.config.activate.on-profile=real2
server.port=8082
END
chown -R ec2-user: /home/ec2-user

# shellcheck disable=SC2016  # nginx reads it
echo 'set $service_url http://127.0.0.1:8080;' >/etc/nginx/conf.d/service-url.inc
rm /etc/nginx/sites-enabled/default
cat >/tmp/server <<'END'
	server {
		listen 80 default_server;
		listen [::]:80 default_server;
		server_name localhost;
		root /usr/share/nginx/html;

		include /etc/nginx/default.d/*.conf;
		include /etc/nginx/conf.d/service-url.inc;

		location / {
			proxy_pass $service_url;
			proxy_set_header X-Real-IP $remote_addr;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header Host $http_host;
		}

		error_page 404 /404.html;
			location = /40x.html {
		}
	}
END
sed -i '/include \/etc\/nginx\/conf.d\/\*.conf;/r /tmp/server' /etc/nginx/nginx.conf
nginx -s reload
