//! The inventories, playbooks and files of nginx with which scenes begin.

pub(crate) const INVENTORY: &str = "
all:
  children:
    was: { hosts: { was-1: { address: 10.0.0.1 }, was-2: { address: 10.0.0.2 } } }
    nginx: { hosts: { nginx-1: { address: 10.0.0.11 }, nginx-2: { address: 10.0.0.12 } } }
";
pub(crate) const ONE_HOST: &str = "
all:
  children:
    was: { hosts: { was-1: { address: 10.0.0.1 } } }
    nginx: { hosts: { was-1: } }
";
pub(crate) const TWO_SETS: &str = "
all:
  children:
    was: { hosts: { was-1: { address: 10.0.0.1 }, was-2: { address: 10.0.0.2 } } }
    others: { hosts: { was-3: { address: 10.0.0.3 }, was-4: { address: 10.0.0.4 }, was-5: { address: 10.0.0.5 } } }
    nginx: { hosts: { nginx-1: { address: 10.0.0.11 }, nginx-2: { address: 10.0.0.12 } } }
";
pub(crate) const THREE_HOSTS: &str = "
all:
  children:
    was: { hosts: { was-1: { address: 10.0.0.1 }, was-2: { address: 10.0.0.2 }, was-3: { address: 10.0.0.3 } } }
    nginx: { hosts: { nginx-1: { address: 10.0.0.11 }, nginx-2: { address: 10.0.0.12 } } }
";
pub(crate) const PLAYBOOK: &str = "
app: sokdak
artifact: build/libs/*.jar
slots: { blue: { group: was, port: 8080 }, green: { group: was, port: 8081 } }
release: { dir: /srv/sokdak }
start: { java: {} }
health: { path: /health, json: { status: UP }, min_healthy_time: 3s, healthy_deadline: 60s }
nginx:
  group: nginx
  site: { file: /etc/nginx/sites-enabled/sokdak.conf, server_name: sokdak.example, listen: 80 }
drain: { deadline: 30s }
";

/// Instead of `java: {}`.
pub(crate) const UNIT: &str = "systemd: { unit: 'sokdak@{{ slot.port }}.service' }";

pub(crate) const INCLUDE: &str = "  include:
    file: /etc/nginx/service-url.inc
    upstream_file: /etc/nginx/sites-enabled/upstreams.conf
    listen: 80
";
pub(crate) const IDENTIFY: &str = "identify: { path: /profile, is: { blue: blue, green: green } }\n";
pub(crate) const SERVICE_URL: &str = "/etc/nginx/service-url.inc";
pub(crate) const SERVER: &str = "upstream old { server 10.0.0.1:8080; server 10.0.0.2:8080; }
server { listen 80; include /etc/nginx/service-url.inc; location / { proxy_pass $service_url; } }
";
