//! Inventory and playbook from file to topology, and what a person sees when something is wrong.

#[path = "config/documents.rs"]
mod documents;
#[path = "config/helped.rs"]
mod helped;
#[path = "config/hooks.rs"]
mod hooks;
#[path = "config/notify.rs"]
mod notify;
#[path = "config/strategies.rs"]
mod strategies;

use std::path::Path;

use nonstop::config::{self, Source};

#[test]
fn every_example_passes_with_an_inventory_of_its_name_or_the_example() {
    let mut count = 0;
    for entry in std::fs::read_dir("playbooks").unwrap() {
        let path = entry.unwrap().path();
        let own = Path::new("inventory").join(path.file_name().unwrap());
        let inventory = if own.exists() {
            own
        } else {
            "inventory/example.yml".into()
        };
        let config = config::load(&inventory, &path).unwrap_or_else(|report| panic!("{report}"));
        assert!(!config.topology.was.is_empty() && !config.topology.nginx.is_empty());
        count += 1;
    }
    assert!(count >= 2);
}

#[test]
fn the_example_resolves_to_what_its_comments_say() {
    let config = config::load(
        Path::new("inventory/example.yml"),
        Path::new("playbooks/sokdak.yml"),
    )
    .unwrap();
    let shown = config::check_json(&config.inventory, &config.topology);
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_json_snapshot!(shown);
    });
}

const INVENTORY: &str = "\
all:
  children:
    was: { hosts: { w1: { base: 8080 }, w2: { base: 9080 } } }
    nginx: { hosts: { n1: { ansible_port: 70000 } } }
    empty: {}
";

fn report(playbook: &str) -> String {
    let inventory = Source::new("inventory.yml", INVENTORY);
    let playbook = Source::new("playbook.yml", playbook);
    config::load_sources(&inventory, &playbook)
        .expect_err("the report was asked for")
        .to_string()
}

#[test]
fn all_mistakes_of_a_playbook_are_shown_at_once_with_their_lines() {
    let shown = report(
        "\
app: so kdak
artifact: build/libs/*.war
slots:
  blue: { group: was, port: 8080, vars: { profile: a } }
  green: { grup: was, port: 8080 }
release: { dir: relative/dir, keep: many }
start:
  java: { opt: -Xmx1g, args: ['--p={{ slot.port'] }
health:
  path: no-slash
  healty_deadline: 10
  interval: 5
  min_healthy_time: 200s
watch: { deadline: 3s }
lock: { lease: 1 }
nginx:
  group: nginx
  site:
    file: /etc/nginx/sites-enabled/x.conf
    listen: 80; evil
    server_name: 'a b;c'
    tls: { certificate: /a.pem }
    template: no-such-file.j2
    client_max_body_size: lots
update: { strategy: canary, auto_promote: false }
drain: { on_deadline: kill }
hooks:
  before_instal: x
  validate_service: { run: ./missing.sh, on: ngnix, timeout: 30, run_as: 'a b', repeatable: maybe }
  before_stop: [{ on: was }, 7, [x], ../out/of/here.sh, 'echo {{ slot.port }}']
  on_failure: { run: notify, on: controller, run_as: app }
",
    );
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(shown);
    });
}

#[test]
fn mistakes_that_show_only_beside_the_inventory_are_placed_too() {
    let shown = report(
        "\
app: sokdak
artifact: build/libs/*.jar
slots:
  blue: { group: was, port: '{{ bsae }}' }
  green: { group: was, port: '{{ base + 1 }}', vars: { profile: x } }
release: { dir: '/srv/{{ app }}' }
start:
  java:
    args:
      - --p={{ slot.vars.profil }}
      - --r={{ release.version }}
health: { path: /health }
nginx:
  group: ngnix
  site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }
",
    );
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(shown);
    });
}

#[test]
fn a_host_that_is_used_and_cannot_be_reached_is_placed_in_the_inventory() {
    let shown = report(
        "\
app: sokdak
artifact: build/libs/*.jar
slots:
  blue: { group: was, port: '{{ base }}' }
  green: { group: was, port: '{{ base + 1 }}' }
release: { dir: '/srv/{{ app }}' }
start: { java: {} }
health: { path: /health }
nginx:
  group: nginx
  site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }
",
    );
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(shown);
    });
}

/// A playbook that is right, with one part of it replaced.
fn with(old: &str, new: &str) -> String {
    let right = "\
app: sokdak
artifact: build/libs/*.jar
slots: { blue: { group: was, port: 8080 }, green: { group: was, port: 8081 } }
release: { dir: /srv/sokdak }
start: { java: {} }
health: { path: /health }
nginx: { group: was, site: { file: /etc/nginx/conf.d/x.conf, listen: 80 } }
";
    assert!(right.contains(old), "{old}");
    right.replace(old, new)
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table of mistakes and what is said of each"
)]
fn contradictions_are_refused_where_they_stand() {
    let conf = "conf_per_slot: { file: /etc/nginx/x.conf, listen: 80, slots: { blue: /etc/nginx/x.conf } }";
    for (old, new, expected) in [
        (
            "port: 8081",
            "port: 8080",
            ":3:71: `green` has the same port as `blue`: 8080",
        ),
        (
            "port: 8081",
            "port: '{{ 8079 + 1 }}'",
            ":3:71: slots `blue` and `green` have the same port on host `w1`: 8080",
        ),
        (
            "green: { group: was",
            "blue: { group: was",
            "key `blue` is written twice",
        ),
        (
            "green: { group: was, port: 8081 }",
            "green: { group: was, port: 8081 }, red: { group: was, port: 8082 }",
            "`slots` takes two slots, or one where a host cannot carry two instances, and these are 3",
        ),
        (
            ", green: { group: was, port: 8081 }",
            "",
            ":3:1: a single slot carries one instance a host",
        ),
        (
            "nginx: { group: was",
            "nginx: { group: empty",
            "group `empty` has no hosts",
        ),
        (
            "{ path: /health }",
            "{ path: /health, min_healthy_time: 100s }",
            "no instance can be healthy for",
        ),
        (
            "{ java: {} }",
            "{ java: {}, command: { run: [./x] } }",
            "`start` takes one of `java`, `command` and `systemd`",
        ),
        (
            "{ java: {} }",
            "{ systemd: { unit: app@8080 } }",
            "`start.systemd.unit` must end in `.service`",
        ),
        (
            "{ java: {} }",
            "{ systemd: { unit: app@.service } }",
            "is a template without an instance",
        ),
        (
            "{ java: {} }",
            "{ systemd: { unit: app.service } }",
            "slots `blue` and `green` have the same unit on host",
        ),
        (
            "{ java: {} }",
            "{ systemd: { unit: '{{ slot.name }} x.service' } }",
            "unit `blue x.service` may hold only letters",
        ),
        (
            "{ java: {} }",
            "{ systemd: { unit: 'a@{{ release.id }}.service' } }",
            "`release.id` is not defined",
        ),
        (
            "{ java: {} }",
            "{}",
            "`start` lacks `java`, `command` or `systemd`",
        ),
        (
            "{ java: {} }",
            "{ command: { run: [] } }",
            "`start.command.run` names no program",
        ),
        (
            "{ java: {} }",
            "{ java: { env: { NONSTOP_PORT: 1 } } }",
            "key `NONSTOP_PORT` in `start.java.env` is set by nonstop itself",
        ),
        (
            "site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }",
            conf,
            "the file of `blue` is the very file that is replaced",
        ),
        (
            "site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }",
            conf,
            "lacks the file of slot `green`",
        ),
        (
            "site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }",
            "include: { listen: 80 }",
            "`nginx.include` lacks `file`",
        ),
        (
            "listen: 80 }",
            "listen: 80 }, include: { file: /etc/nginx/u.inc, listen: 80 }",
            "`nginx` takes one of `site`, `conf_per_slot` and `include`, and these are several",
        ),
        (
            "site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }",
            "include: { file: /etc/nginx/u.inc, listen: 80 }",
            "slot `blue` has 2 endpoints, and `$service_url` holds one address",
        ),
        (
            "site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }",
            "include: { file: /etc/nginx/u.inc, listen: 80, variable: $url }",
            "must be the name of a variable without its `$`",
        ),
        (
            "site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }",
            "include: { file: /etc/nginx/u.inc, listen: 80, upstream_file: /etc/nginx/u.inc }",
            "the upstreams cannot lie in the file that names them",
        ),
        (
            "app: sokdak",
            "app: sokdak\nidentify: { path: /profile, is: { blue: real1, gren: real2 } }",
            "there is no slot `gren`",
        ),
        (
            "app: sokdak",
            "app: sokdak\nidentify: { path: /profile, is: { blue: real1 } }",
            "`identify.is` lacks the answer of slot `green`",
        ),
        (
            "app: sokdak",
            "app: sokdak\nidentify: { path: /profile, is: { blue: real1, green: real1 } }",
            "`green` answers the same as `blue`",
        ),
        (
            "listen: 80",
            "listen: 80, tls: { key: /k.pem }",
            "`nginx.site.tls` lacks `certificate`",
        ),
        (
            "group: was, site",
            "group: was, proof: { url: sokdak.example, expect: x }, site",
            "must start with `http://` or `https://`",
        ),
        (
            "build/libs/*.jar",
            "'build/libs/[*.jar'",
            "`artifact` is not a glob",
        ),
        (
            "build/libs/*.jar",
            "{ on_host: /srv/*/app.jar }",
            "may hold `*` and `?` in the file's name only",
        ),
        (
            "build/libs/*.jar",
            "{ on_hosts: /srv/zip/*.jar }",
            "`artifact` lacks `on_host`",
        ),
        (
            "build/libs/*.jar",
            "{ on_host: 'zip/$(id)*.jar' }",
            "must be absolute, or start with `~/`",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: rolling, auto_promote: false }",
            "`auto_promote: false` goes with `blue_green` only",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: rolling, max_parallel: 101% }",
            "a number of hosts, or a share of them",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { max_parallel: 2 }",
            "`max_parallel` goes with `strategy: rolling` only",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: canary, steps: [{ weight: 5 }], min_in_service: 2 }",
            "`min_in_service` goes with `strategy: rolling` only",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: canary }",
            "`strategy: canary` lacks `steps`",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: canary, steps: [{ weight: 25 }, { weight: 5 }] }",
            "each step of a canary needs more weight than the one before",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: canary, steps: [{ weight: 100 }] }",
            "a whole number from 1 to 99",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: canary, steps: [{ weight: 5, hold: for ever }] }",
            "or `until_promoted`",
        ),
        (
            "app: sokdak",
            "app: sokdak\nbake: { detach: true }",
            ":2:9: `detach` leaves the stop of the old slot to an hour, and none is given",
        ),
        (
            "app: sokdak",
            "app: sokdak\nbake: { for: 0s, detach: true }",
            "say how long both slots stay up, such as `bake: { for: 24h, detach: true }`",
        ),
        (
            "app: sokdak",
            "app: sokdak\nbake: { for: 1h, then: keep, detach: true }",
            ":2:30: `then: keep` leaves the old slot up, and `detach` stops it later",
        ),
        (
            "app: sokdak",
            "app: sokdak\nbake: { for: 1h, detach: true }\nhooks: { before_stop: { run: echo, on: was } }",
            "and they run no `before_stop`",
        ),
        (
            "app: sokdak",
            "app: sokdak\nbake: { for: 1h, detach: maybe }",
            ":2:26:",
        ),
        (
            "green: { group: was, port: 8081 } }",
            "green: { group: nginx, port: 8081 } }\nbake: { for: 1h, detach: true }",
            ":4:26: `detach` needs both slots on every host",
        ),
        (
            "/srv/sokdak",
            "/srv/$(reboot)",
            "`release.dir` may hold only letters",
        ),
        (
            "/srv/sokdak",
            "'/srv/{{ inventory_hostname }}/../x'",
            "must not hold `.`, `..` or empty parts",
        ),
        (
            "path: /health",
            "path: /health;reboot",
            "`health.path` may hold only characters of a URL's path",
        ),
    ] {
        let text = report(&with(old, new));
        assert!(text.contains(expected), "{new}:\n{text}");
    }
}

#[test]
fn a_slip_in_one_place_does_not_hide_a_mistake_beside_the_inventory() {
    let text = with("group: was, site", "group: ngnix, site")
        .replace("path: /health", "path: /health, intervall: 1s");
    let text = report(&text);
    assert!(
        text.contains("unknown key `intervall`") && text.contains("no group `ngnix`"),
        "{text}"
    );
}

#[test]
fn a_template_of_ones_own_must_hold_the_generation() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("playbook.yml");
    std::fs::write(&file, with("listen: 80", "listen: 80, template: own.j2")).unwrap();
    let check = |template: &str| {
        std::fs::write(folder.path().join("own.j2"), template).unwrap();
        let inventory = Source::new("inventory.yml", INVENTORY);
        config::load_sources(&inventory, &Source::read(&file).unwrap())
            .unwrap_err()
            .to_string()
    };
    assert!(check("server {}").contains("the template leaves out `{{ generation_location }}`"));
    let misspelt = check("server {\n  listen {{ lisen }};\n}");
    assert!(
        misspelt.contains("own.j2:2:1: on host `w1`: undefined value"),
        "{misspelt}"
    );
    let broken = check("line\n{% if %}");
    assert!(broken.contains("own.j2:2:1"), "{broken}");
}

#[test]
fn variables_that_say_how_ssh_reaches_a_host_are_understood_under_both_names() {
    let text = "\
all:
  hosts:
    a: { ansible_host: 10.0.0.1, ansible_port: '2222', ansible_user: u, ansible_ssh_private_key_file: ~/k, ansible_become: no }
    b: { host_name: 10.0.0.2, port: 2223, user: v, identity_file: /k, proxy_jump: 'me@[::1]:22', host_key_alias: b.x }
    c: { ansible_ssh_common_args: '-o ProxyCommand=\"ssh -W %h:%p -q me@bastion\"', user: app, ansible_user: '{{ login }}', login: l }
    d: { ansible_host: \"{{ lookup('env', 'X') }}\", ansible_port: ssh, proxy_jump: a b, ansible_user: !vault x }
";
    let loaded =
        config::load_inventory(&Source::new("i.yml", text)).unwrap_or_else(|report| panic!("{report}"));
    let wrong: Vec<String> = loaded
        .problems
        .values()
        .flatten()
        .map(|problem| problem.message.clone())
        .collect();
    let connections: Vec<_> = loaded
        .inventory
        .hosts
        .values()
        .map(|host| &host.connection)
        .collect();
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_debug_snapshot!((connections, wrong));
    });
}
