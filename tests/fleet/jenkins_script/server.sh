#!/bin/sh
# A server of the old system: the user that every host of that cloud has, who may do everything by sudo. What the
# script needs of lsof lies in that user's home, for the fleet has none.
id ubuntu >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --password '*' ubuntu
echo 'ubuntu ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/90-cloud-init-users
chmod 0440 /etc/sudoers.d/90-cloud-init-users
install -d -m 0700 -o ubuntu -g ubuntu /home/ubuntu/.ssh
install -m 0600 -o ubuntu -g ubuntu /home/deploy/.ssh/authorized_keys /home/ubuntu/.ssh/authorized_keys
mkdir -p /home/ubuntu/bin
cat >/home/ubuntu/bin/lsof <<'END'
#!/bin/sh
sh /fleet/repo/tests/fleet/host/listeners | awk -v port="${2#tcp:}" '$1 == port { print $2 }'
END
chmod +x /home/ubuntu/bin/lsof
# shellcheck disable=SC2016  # that user's shell reads it
echo 'PATH=$HOME/bin:$PATH' >/home/ubuntu/.bashrc

was() {
  mkdir -p /home/ubuntu/sokdak
  for port in 8080 8081; do
    cat >"/home/ubuntu/sokdak/deploy-$port.sh" <<END
#!/bin/bash
nohup /usr/local/bin/nonstop-app demo-app -jar *.jar --server.port=$port >~/sokdak/$port.log 2>&1 &
END
    chmod +x "/home/ubuntu/sokdak/deploy-$port.sh"
  done
}

nginx() {
  mkdir -p /home/ubuntu/zero-down-confs
  for port in 8080 8081; do
    cat >"/home/ubuntu/zero-down-confs/sokdak-$port.conf" <<END
upstream sokdak {
    server was-1:$port;
    server was-2:$port;
}
server {
    listen 80;
    server_name sokdak.test;
    location / {
        proxy_pass http://sokdak;
        proxy_set_header Host \$http_host;
    }
}
END
  done
}

case $(cat /proc/sys/kernel/hostname) in
  was-*) was ;;
  nginx-*) nginx ;;
esac
chown -R ubuntu: /home/ubuntu
