//! Where logind ends what a login leaves behind, systemd keeps the watch. Without a systemd to try it
//! on, programs of the same names play it: what they are asked is what is asserted.

use std::fs;
use std::time::Duration;

use nonstop::model::observed::WatchKeeper;
use nonstop::remote::answer::SwitchAnswer;
use nonstop::remote::command::{Command, Observe};
use nonstop::remote::parse::{ParseError, parse};

use crate::host::Shell;
use crate::site::{Site, accepted, proven};
use crate::watch::{LATE, fires};

/// busybox takes its own `id`, whatever the PATH says.
const SHELLS: [Shell; 2] = [Shell::Dash, Shell::Bash];

/// Makes the host one with systemd, its login `user` with the number `uid`, and logind's settings such.
fn with_logind(site: &Site, (user, uid): (&str, u32), settings: [&str; 3], lingers: &str) {
    let folder = site.host.path("systemd");
    fs::create_dir_all(&folder).expect("a folder");
    site.host.set("NONSTOP_SYSTEMD", &folder);
    let id = format!("#!/bin/sh\nif [ \"$1\" = -un ]; then echo {user}; else echo {uid}; fi\n");
    site.host.program("id", &id);
    let [kills, only, exclude] = settings;
    let busctl = format!(
        "#!/bin/sh\n[ \"$1 $2\" = 'get-property org.freedesktop.login1' ] || exit 1\n\
         printf '%s\\n' 'b {kills}' '{only}' '{exclude}'\n"
    );
    site.host.program("busctl", &busctl);
    let loginctl = format!("#!/bin/sh\n[ \"$*\" = 'show-user -p Linger {uid}' ] && echo Linger={lingers}\n");
    site.host.program("loginctl", &loginctl);
}

/// A `systemd-run` that writes down what it is asked and then runs the words away from its caller.
fn with_systemd_run(site: &Site) {
    let log = site.host.path("systemd-run.log");
    let program = format!(
        "#!/bin/sh\necho \"$*\" >>{}\nwhile :; do\ncase $1 in\n--unit) shift 2 ;;\n--*) shift ;;\n*) break ;;\nesac\ndone\n\
         env -i setsid \"$@\" </dev/null >/dev/null 2>&1 &\n",
        log.display()
    );
    site.host.program("systemd-run", &program);
}

const ROOT: (&str, u32) = ("root", 0);
const DEPLOY: (&str, u32) = ("deploy", 4242);
const NONE: &str = "as 0";
const ONLY_ROOT: &str = "as 1 \"root\"";

#[test]
fn who_keeps_a_watch_alive_follows_from_what_logind_does_at_the_logout() {
    for shell in SHELLS {
        let site = Site::new(shell);
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let keeper = || {
            let observe = Observe {
                slots: [].into(),
                files: [].into(),
                nginx: Some(site.observe_command()),
            };
            site.host.observe(observe).machine.keeper
        };
        assert_eq!(keeper(), WatchKeeper::Session);
        with_systemd_run(&site);
        for (login, settings, lingers, expected) in [
            (DEPLOY, ["false", NONE, ONLY_ROOT], "no", WatchKeeper::Session),
            (DEPLOY, ["true", NONE, ONLY_ROOT], "no", WatchKeeper::Nobody),
            (DEPLOY, ["true", NONE, ONLY_ROOT], "yes", WatchKeeper::User),
            (
                DEPLOY,
                ["true", NONE, "as 2 \"root\" \"deploy\""],
                "no",
                WatchKeeper::Session,
            ),
            (
                DEPLOY,
                ["true", "as 1 \"other\"", ONLY_ROOT],
                "no",
                WatchKeeper::Session,
            ),
            (
                DEPLOY,
                ["false", "as 1 \"deploy\"", ONLY_ROOT],
                "yes",
                WatchKeeper::User,
            ),
            (ROOT, ["true", NONE, ONLY_ROOT], "no", WatchKeeper::Session),
            (ROOT, ["true", NONE, NONE], "no", WatchKeeper::Systemd),
        ] {
            with_logind(&site, login, settings, lingers);
            assert_eq!(keeper(), expected, "{login:?} {settings:?} {lingers}");
        }
    }
}

#[test]
fn systemd_keeps_a_watch_that_goes_home_like_any_other() {
    for shell in SHELLS {
        for (login, first) in [(ROOT, "--quiet --unit "), (DEPLOY, "--user --quiet --unit ")] {
            let site = Site::new(shell);
            fs::write(site.entry(), site.site("v1")).expect("written");
            site.start();
            let placement = site.placement(&site.site("v2"));
            accepted(site.prepare(&placement));
            with_logind(&site, login, ["true", NONE, NONE], "yes");
            with_systemd_run(&site);
            site.host.later(Duration::ZERO);
            proven(site.commit_for(&placement, LATE));
            let log = fs::read_to_string(site.host.path("systemd-run.log")).expect("it was asked");
            assert!(
                log.starts_with(&format!("{first}nonstop-sokdak-run-1.1.")),
                "{log}"
            );
            fires(&site);
        }
    }
}

#[test]
fn a_systemd_that_refuses_refuses_the_switch() {
    for shell in SHELLS {
        let site = Site::new(shell);
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let placement = site.placement(&site.site("v2"));
        accepted(site.prepare(&placement));
        with_logind(&site, DEPLOY, ["true", NONE, NONE], "yes");
        site.host.program(
            "systemd-run",
            "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n",
        );
        let commit = Command::Commit(site.commit_command(&placement));
        let output = site.host.raw(&site.host.place(), &commit, b"");
        match parse(&commit, &output) {
            Err(ParseError::NoWatch { reason }) => assert!(reason.contains("did not start"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(site.get(), "v1");
        assert!(site.tokens().is_empty());
        assert!(matches!(site.revert(), SwitchAnswer::Proven { .. }));
    }
}
