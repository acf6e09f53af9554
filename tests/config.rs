//! Inventory and playbook from file to topology, and what a person sees when something is wrong.

use std::path::Path;

use nonstop::config::{self, Source};

#[test]
fn every_example_passes_with_the_example_inventory() {
    let mut count = 0;
    for entry in std::fs::read_dir("playbooks").unwrap() {
        let path = entry.unwrap().path();
        let config = config::load(Path::new("inventory/example.yml"), &path)
            .unwrap_or_else(|report| panic!("{}:\n{report}", path.display()));
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
watch: { deadline: 30s }
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
hooks: { before_install: [] }
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
