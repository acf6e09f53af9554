//! What observe says about nginx, and what is asked of root.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use nonstop::model::names::SlotName;
use nonstop::model::observed::EntryKind;
use nonstop::remote::answer::{Answer, SudoEntry};
use nonstop::remote::command::{CleanNginx, Command, Observe, SudoCheck};
use nonstop::remote::parse::{ParseError, parse};

use crate::host::{Shell, remote, tree};
use crate::site::{Site, accepted, eventually, proven, with_nginx_in_every_shell};

#[test]
fn a_running_nginx_is_observed_and_stays_untouched() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        fs::set_permissions(site.entry(), fs::Permissions::from_mode(0o640)).expect("a mode");
        fs::write(site.host.path("sites-available/other"), "# other\n").expect("written");
        symlink("../sites-available/other", site.host.path("sites-enabled/other")).expect("a link");
        symlink("/nowhere", site.host.path("sites-enabled/odd name\n")).expect("a link");
        fs::write(site.host.path("sites-enabled/.nonstop-sokdak.candidate"), "").expect("written");
        fs::remove_file(site.host.path("sites-enabled/odd name\n")).expect("removed");
        site.start();
        symlink("/nowhere", site.host.path("sites-enabled/odd name\n")).expect("a link");
        let before = tree(site.host.folder.path());
        let observed = site.observe();
        assert!(
            observed
                .test_failure
                .is_some_and(|output| output.contains("odd name"))
        );
        assert_eq!(observed.dump, "");
        assert_eq!(observed.siblings["odd name\n"], EntryKind::Other);
        assert_eq!(tree(site.host.folder.path()), before);
        fs::remove_file(site.host.path("sites-enabled/odd name\n")).expect("removed");

        let observed = site.observe();
        assert_eq!(observed.test_failure, None);
        assert!(
            observed
                .dump
                .contains(&format!("# configuration file {}:", site.entry().display()))
        );
        assert_eq!(observed.conf, remote(site.conf()));
        assert_eq!(observed.error_log, Some(remote(site.host.path("error.log"))));
        let pid = fs::read_to_string(site.host.path("nginx.pid")).expect("a pid");
        let master = observed.master.expect("nginx runs");
        assert_eq!(master.identity.pid.to_string(), pid.trim());
        assert_eq!((master.serving.len(), master.leaving.len()), (2, 0));
        assert_eq!(observed.entry.kind, EntryKind::File);
        assert_eq!(observed.entry.content, Some(site.site("v1")));
        assert_eq!(observed.entry.mode, "640");
        assert_eq!(observed.siblings.keys().collect::<Vec<_>>(), ["other"]);
        assert_eq!(
            observed.siblings["other"],
            EntryKind::Link {
                target: "../sites-available/other".to_owned(),
                resolved: site
                    .host
                    .path("sites-available/other")
                    .to_str()
                    .expect("UTF-8")
                    .to_owned(),
            }
        );
        assert!(
            observed
                .own_addresses
                .iter()
                .any(|address| address == "127.0.0.1")
        );
    });
}

#[test]
fn entries_are_told_apart_by_what_they_are() {
    with_nginx_in_every_shell(|site| {
        assert_eq!(site.observe().entry.kind, EntryKind::Absent);
        assert!(site.observe().master.is_none());
        fs::create_dir(site.entry()).expect("a folder");
        assert_eq!(site.observe().entry.kind, EntryKind::Other);
        fs::remove_dir(site.entry()).expect("removed");
        symlink("/nowhere", site.entry()).expect("a link");
        assert_eq!(site.observe().entry.kind, EntryKind::Other);
        fs::remove_file(site.entry()).expect("removed");
        fs::write(site.host.path("sites-available/sokdak"), "# v1\n").expect("written");
        symlink("../sites-available/sokdak", site.entry()).expect("a link");
        let entry = site.observe().entry;
        let EntryKind::Link { target, resolved } = entry.kind else {
            panic!("{:?}", entry.kind);
        };
        assert_eq!(target, "../sites-available/sokdak");
        assert_eq!(
            resolved,
            site.host.path("sites-available/sokdak").to_str().expect("UTF-8")
        );
        assert_eq!(entry.content.as_deref(), Some("# v1\n"));
    });
}

#[test]
fn a_pid_file_that_leads_to_a_stranger_is_no_master() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.host.path("nginx.pid"), std::process::id().to_string()).expect("written");
        assert!(site.observe().master.is_none());
        fs::remove_file(site.host.path("nginx.pid")).expect("removed");
    });
}

#[test]
fn the_users_own_slot_files_are_read() {
    with_nginx_in_every_shell(|site| {
        let slot = |name: &str| SlotName::new(name).expect("a name");
        fs::write(site.host.path("blue.conf"), "# 파랑\n").expect("written");
        let mut observe = site.observe_command();
        for name in ["blue", "green"] {
            observe
                .slot_files
                .insert(slot(name), remote(site.host.path(&format!("{name}.conf"))));
        }
        let observe = Observe {
            slots: [].into(),
            files: [].into(),
            nginx: Some(observe),
        };
        let files = site.host.observe(observe).nginx.expect("nginx").slot_files;
        assert_eq!(files[&slot("blue")].as_deref(), Some("# 파랑\n"));
        assert_eq!(files[&slot("green")], None);
    });
}

/// Makes the host's login look like an unprivileged user, with a sudo that writes down what it is
/// asked for and then does `answer`.
fn with_sudo(site: &mut Site, answer: &str) {
    let folder = site.host.path("bin");
    fs::create_dir_all(&folder).expect("a folder");
    let log = site.host.path("sudo.log");
    let program = |name: &str, text: String| {
        fs::write(folder.join(name), text).expect("written");
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("a mode");
    };
    program("id", "#!/bin/sh\necho 4242\n".to_owned());
    program(
        "sudo",
        format!(
            "#!/bin/sh\n[ \"$1\" = -n ] && shift\nlist=no\nif [ \"$1\" = -l ]; then list=yes; shift; fi\n\
                 [ \"$1\" = -- ] && shift\n[ $list = yes ] || echo \"$*\" >>{}\n{answer}\n",
            log.display()
        ),
    );
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a PATH"));
    site.host.set("PATH", path);
    site.host.may_sudo = true;
}

/// Whether a command is one that the shipped sudoers file allows.
fn allowed_by_sudoers(command: &str) -> bool {
    let sudoers = fs::read_to_string("examples/sudoers/nonstop").expect("the sudoers file");
    sudoers
        .lines()
        .filter(|line| line.starts_with("    /"))
        .any(|line| {
            let pattern = line
                .trim()
                .trim_end_matches('\\')
                .trim()
                .trim_end_matches(',')
                .replace("\\:", ":");
            let (program, arguments) = pattern.split_once(' ').unwrap_or((&pattern, ""));
            let program = program.rsplit('/').next().expect("a name");
            glob::Pattern::new(&format!("{program} {arguments}"))
                .expect("a pattern")
                .matches(command)
        })
}

#[test]
fn all_that_is_asked_of_root_is_in_the_sudoers_file_that_we_ship() {
    for shell in [Shell::Dash, Shell::Bash] {
        let mut site = Site::new(shell);
        fs::write(site.entry(), site.site("v1")).expect("written");
        let legacy = site.host.path("sites-enabled/legacy");
        site.start();
        with_sudo(&mut site, "[ $list = yes ] || exec \"$@\"");
        let placement = site.placement(&site.site("v2"));
        accepted(site.prepare(&placement));
        proven(site.commit(&placement));
        proven(site.revert());
        let clean = |site: &Site| {
            let clean = CleanNginx {
                fence: site.host.fence(),
                entry: remote(site.entry()),
                target: remote(site.entry()),
                conf: remote(site.conf()),
            };
            site.host.run(Command::CleanNginx(clean));
        };
        // The watch asks for nothing else.
        proven(site.commit_for(&placement, std::time::Duration::from_secs(1)));
        eventually("home", || {
            site.tokens().last().is_some_and(|token| token.restored)
        });
        clean(&site);
        fs::rename(site.entry(), &legacy).expect("renamed");
        let placement = site.take_over(&site.site("v2"), &remote(&legacy));
        accepted(site.prepare(&placement));
        proven(site.commit(&placement));
        proven(site.revert());
        assert_eq!(site.get(), "v1");
        clean(&site);

        let log = fs::read_to_string(site.host.path("sudo.log")).expect("sudo was asked");
        let folder = site.host.folder.path().to_str().expect("UTF-8").to_owned();
        let mut forms = std::collections::BTreeSet::new();
        for line in log.lines() {
            // Where everything lies on a real host.
            let line = line
                .replace(&format!("{folder}/state"), "/var/lib/nonstop/sokdak")
                .replace(&format!("{folder}/error.log"), "/var/log/nginx/error.log")
                .replace(&folder, "/etc/nginx");
            let line = line.replace(" -c /etc/nginx/nginx.conf", "");
            assert!(allowed_by_sudoers(&line), "{line}");
            forms.insert(line.split(' ').next().expect("a word").to_owned());
        }
        assert!(
            forms.contains("nginx") && forms.contains("mv") && forms.contains("cp"),
            "{forms:?}"
        );
        assert!(!allowed_by_sudoers("rm -f -- /etc/passwd"));
    }
}

#[test]
fn a_sudo_that_refuses_is_named_with_its_command_and_nothing_is_changed() {
    for shell in [Shell::Dash, Shell::Bash] {
        let mut site = Site::new(shell);
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let observe = Command::Observe(Observe {
            slots: [].into(),
            files: [].into(),
            nginx: Some(site.observe_command()),
        });
        let placement = site.placement(&site.site("v2"));
        accepted(site.prepare(&placement));
        let commit = Command::Commit(site.commit_command(&placement));
        with_sudo(&mut site, "echo 'sudo: a password is required' >&2; exit 1");
        let before = fs::read(site.entry()).expect("a file");
        for (command, asked) in [(observe, "nginx -T"), (commit, "mv -T -- ")] {
            let output = site.host.raw(&site.host.place(), &command, b"");
            match parse(&command, &output) {
                Err(ParseError::SudoRefused { command }) => assert!(command.starts_with(asked), "{command}"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(fs::read(site.entry()).expect("a file"), before);
        assert_eq!(site.get(), "v1");
    }
}

#[test]
fn every_root_command_is_tried_on_sudo_without_being_run() {
    let mut site = Site::new(Shell::Dash);
    fs::write(site.entry(), site.site("v1")).expect("written");
    site.start();
    let check = |site: &Site| -> Vec<SudoEntry> {
        let check = SudoCheck {
            nginx: Some(site.observe_command()),
            users: [].into(),
        };
        match site.host.run(Command::SudoCheck(check)) {
            Answer::SudoCheck(entries) => entries,
            other => panic!("{other:?}"),
        }
    };
    // The master is the login's own: nothing needs sudo.
    assert!(check(&site).iter().all(|entry| entry.allowed));
    with_sudo(&mut site, "[ \"$1\" != mv ]");
    let entries = check(&site);
    assert!(entries.len() > 10);
    for entry in entries {
        assert_eq!(
            entry.allowed,
            !entry.command.starts_with("mv "),
            "{}",
            entry.command
        );
    }
    assert!(!site.host.path("sudo.log").exists());
}
