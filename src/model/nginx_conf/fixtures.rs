//! Configurations for tests, dumped as `nginx -T` does.

use super::Dump;

pub(super) const DEBIAN: &str = "user www-data;
worker_processes auto;
include /etc/nginx/modules-enabled/*.conf;
events {
\tworker_connections 768;
}
http {
\tinclude /etc/nginx/mime.types;
\tssl_protocols TLSv1.2 TLSv1.3; # Dropping SSLv3, ref: POODLE
\tinclude /etc/nginx/conf.d/*.conf;
\tinclude /etc/nginx/sites-enabled/*;
}
#mail {
#\tserver { listen localhost:110; }
#}
";

pub(super) const DEFAULT_SITE: &str = "server {
\tlisten 80 default_server;
\tlisten [::]:80 default_server;
\tserver_name _;
\tlocation / { try_files $uri $uri/ =404; }
\t#location ~ \\.php$ {
\t#\tfastcgi_pass 127.0.0.1:9000;
\t#}
}
";

pub(super) const SITES: &str = "/etc/nginx/sites-enabled";

/// What `nginx -T` prints of these files.
pub(super) fn print(files: &[(&str, &str)]) -> String {
    let printed = files.iter();
    let printed: Vec<_> = printed
        .map(|(path, text)| format!("# configuration file {path}:\n{text}\n"))
        .collect();
    printed.concat()
}

/// Debian's main file and these sites.
pub(super) fn debian(sites: &[(&str, &str)]) -> Dump {
    let paths: Vec<String> = sites.iter().map(|(name, _)| format!("{SITES}/{name}")).collect();
    let mut files = vec![("/etc/nginx/nginx.conf", DEBIAN)];
    files.extend(
        paths
            .iter()
            .zip(sites)
            .map(|(path, (_, text))| (path.as_str(), *text)),
    );
    Dump::parse(&print(&files)).expect("a dump")
}
