//! What `nonstop plan` prints.

use insta::assert_snapshot;
use nonstop::model::names::{ReleaseId, RunId};
use nonstop::model::plan::{Goal, Plan, Scene, forward};
use nonstop::model::release::Release;
use nonstop::report::output::Palette;
use nonstop::report::{harmless, plan};

use crate::fixture::NEW;
use crate::fleet::Fleet;

fn plan_for(fleet: &Fleet, goal: &Goal) -> Plan {
    let run = RunId::new("0197-run").unwrap();
    let scene = Scene {
        topology: &fleet.config.topology,
        playbook: &fleet.config.playbook,
        observed: &fleet.observed,
        run: &run,
    };
    forward(&scene, goal).unwrap()
}

fn render(fleet: &Fleet, goal: &Goal) -> String {
    let plan = plan_for(fleet, goal);
    plan::render(
        &plan,
        &fleet.config.topology,
        &fleet.observed,
        Palette::Monochrome,
    )
}

fn deploy(id: &str) -> Goal {
    Goal::Deploy(Release {
        id: ReleaseId::new(id).unwrap(),
        sha256: "3fa9".to_owned(),
        size_bytes: 60_112_345,
        jar_name: "sokdak-3.jar".to_owned(),
    })
}

#[test]
fn a_deploy_is_shown_step_by_step_with_every_nginx_file() {
    let fleet = Fleet::on_blue();
    assert_snapshot!(render(&fleet, &deploy("20260103-100000-sokdak-3")), @r#"
    sokdak: from blue (20260101-100000-sokdak-1) to green (20260103-100000-sokdak-3)
      jar sokdak-3.jar, 60.1 MB, sha256 3fa9

    now
      nginx-1  nginx                       routes to blue
      nginx-2  nginx                       routes to blue
      was-1    blue 8080   live  pid 4242  20260101-100000-sokdak-1, 2 connections
               green 8081        -         empty
      was-2    blue 8080   live  pid 9876  20260101-100000-sokdak-1, 2 connections
               green 8081        -         empty

    warnings
      nginx-1  warning  /etc/nginx/sites-enabled/sokdak.conf is not nonstop's and is replaced: what it has beyond the playbook is gone
                        hint: `nonstop plan` shows it line by line; what has to stay belongs in a `template` of yours. The host keeps the old text in its state folder
      nginx-2  warning  /etc/nginx/sites-enabled/sokdak.conf is not nonstop's and is replaced: what it has beyond the playbook is gone

    steps
      upload   was-1, was-2      receives sokdak-3.jar (60.1 MB)
      start    was-1, was-2      starts green on 8081: java -Xmx512m -jar /home/ubuntu/sokdak/releases/20260103-100000-sokdak-3/app.jar '--greeting=hello world', with TZ set
      verify   nginx-1, nginx-2  asks 2 endpoints until healthy
               was-1, was-2      asks its own endpoint until healthy
      prepare  nginx-1, nginx-2  tests /etc/nginx/sites-enabled/sokdak.conf without it being live
      commit   nginx-1, nginx-2  /etc/nginx/sites-enabled/sokdak.conf: replaces it, reloads and proves
      drain    nginx-1, nginx-2  waits until nginx's old workers are done
               was-1, was-2      waits until blue (8080) has no connections
      stop     was-1             stops blue (8080), pid 4242, if green is alive and listening
               was-2             stops blue (8080), pid 9876, if green is alive and listening
      finish   was-1, was-2      removes old releases beyond 5
               nginx-1, nginx-2  removes what the switch left beside the live file

    nginx files
      nginx-1, nginx-2: /etc/nginx/sites-enabled/sokdak.conf
      --- now
      +++ then
      @@ -1,9 +1,49 @@
      -upstream sokdak {
      -    server 10.0.0.1:8080;
      -    server 10.0.0.2:8080;
      +# Written by nonstop for sokdak. Every deploy replaces this file: changes belong in the playbook.
      +
      +map $http_upgrade $nonstop_sokdak_connection {
      +    default upgrade;
      +    '' close;
      +}
      +map $http_host $nonstop_sokdak_host {
      +    default $http_host;
      +    '' $host;
      +}
      +geo $nonstop_sokdak_local {
      +    default 0;
      +    127.0.0.0/8 1;
      +    ::1 1;
       }
      +
      +upstream nonstop_sokdak {
      +    server 10.0.0.1:8081 max_fails=2 fail_timeout=2s;
      +    server 10.0.0.2:8081 max_fails=2 fail_timeout=2s;
      +}
      +
       server {
      -    listen 80;
      -    server_name sokdak.example;
      -    location / { proxy_pass http://sokdak; }
      +    listen 80;
      +    server_name sokdak.example;
      +
      +    location = /__nonstop/generation {
      +        access_log off;
      +        default_type text/plain;
      +        if ($nonstop_sokdak_local = 0) {
      +            return 404;
      +        }
      +        return 200 "0197-run";
      +    }
      +
      +    location / {
      +        proxy_pass http://nonstop_sokdak;
      +        proxy_http_version 1.1;
      +        proxy_set_header Host $nonstop_sokdak_host;
      +        proxy_set_header X-Real-IP $remote_addr;
      +        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      +        proxy_set_header X-Forwarded-Proto $scheme;
      +        proxy_set_header Upgrade $http_upgrade;
      +        proxy_set_header Connection $nonstop_sokdak_connection;
      +        proxy_connect_timeout 5s;
      +        # A request that was sent and not answered goes elsewhere only if it may be repeated: nginx's
      +        # own rule, which `non_idempotent` would take away.
      +        proxy_next_upstream error timeout;
      +    }
       }

    Nothing was changed: this is what would be done now.
    "#);
}

#[test]
fn a_single_slot_names_the_hosts_of_each_routing_and_who_is_new() {
    let text = render(&Fleet::single(), &deploy("20260103-100000-sokdak-3"));
    let (_, routings) = text.split_once("routings\n").unwrap();
    let (routings, _) = routings.split_once("\n\n").unwrap();
    assert_snapshot!(routings, @"
      now  0 of 2 new  was-1 old, was-2 old
      1    0 of 1 new  was-1 out, was-2 old
      2    1 of 2 new  was-1 new, was-2 old
      3    1 of 1 new  was-1 new, was-2 out
      4    2 of 2 new  was-1 new, was-2 new
    ");
}

#[test]
fn the_whole_command_line_is_shown_however_long_it_is() {
    let long = format!(
        "start: {{ java: {{ opts: [{}], args: [--last=one] }} }}\n",
        "-Xlog:gc, ".repeat(60)
    );
    let fleet = Fleet::changed(
        "start: { java: { opts: [-Xmx512m], args: [\"--greeting=hello world\"], env: { TZ: Asia/Seoul } } }\n",
        &long,
    );
    let text = render(&fleet, &deploy("20260103-100000-sokdak-3"));
    let line = text
        .lines()
        .find(|line| line.contains("starts green on 8081"))
        .unwrap();
    assert!(line.ends_with("app.jar '--last=one'"), "{line}");
}

#[test]
fn a_rollback_to_a_slot_that_is_up_starts_nothing() {
    let mut fleet = Fleet::on_blue();
    fleet
        .runs("was-1", "green", NEW, 50)
        .runs("was-2", "green", NEW, 51);
    let text = render(&fleet, &Goal::Rollback(None));
    assert!(
        !text.contains("starts green") && !text.contains("receives"),
        "{text}"
    );
    assert!(text.contains("from blue"), "{text}");
}

#[test]
fn what_an_nginx_file_holds_cannot_steer_the_terminal() {
    let mut fleet = Fleet::on_blue();
    let nginx = fleet.host("nginx-1").nginx.as_mut().unwrap();
    nginx.entry.content = Some("# \u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\r\n".to_owned());
    let text = render(&fleet, &deploy("20260103-100000-sokdak-3"));
    assert!(text.contains("^[[2J"), "{text}");
    assert!(!text.replace('\n', "").contains(harmless::is_dangerous), "{text}");
}
