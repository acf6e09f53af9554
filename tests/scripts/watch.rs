//! Tokens and the watch that goes home by itself, with the real nginx.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use nonstop::model::token::{TokenId, TokenState, WatchProcess};
use nonstop::remote::answer::{ConfirmAnswer, SwitchAnswer};
use nonstop::remote::command::{Command, Commit, Placement};

use crate::host::{Shell, remote, tree, which};
use crate::site::{Site, accepted, eventually, proven, with_nginx_in_every_shell};

pub(crate) const LATE: Duration = Duration::from_secs(300);

/// Everything below sites-enabled and sites-available with modes, our own dotfiles left out.
pub(crate) fn sites(site: &Site) -> Vec<(String, Vec<u8>, u32)> {
    let folders = ["sites-enabled", "sites-available"].map(|folder| site.host.path(folder));
    let things = folders.iter().flat_map(|folder| tree(folder));
    things
        .map(|(path, bytes)| {
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            (
                path.to_string_lossy().into_owned(),
                bytes,
                metadata.permissions().mode(),
            )
        })
        .filter(|(path, ..)| !path.contains("/.nonstop-"))
        .collect()
}

/// nginx serves v1, and v2 is prepared.
pub(crate) fn prepared(site: &Site) -> Placement {
    site.host.later(Duration::ZERO);
    fs::write(site.entry(), site.site("v1")).expect("written");
    fs::set_permissions(site.entry(), fs::Permissions::from_mode(0o640)).expect("a mode");
    site.start();
    let placement = site.placement(&site.site("v2"));
    accepted(site.prepare(&placement));
    placement
}

/// The watch's deadline passes, and it goes home.
pub(crate) fn fires(site: &Site) {
    site.host.later(LATE);
    restored(site);
}

pub(crate) fn restored(site: &Site) {
    eventually("home", || {
        site.tokens().last().is_some_and(|token| token.restored)
    });
    assert_eq!(site.get(), "v1");
    eventually("the watch leaves", || site.watches().is_empty());
}

pub(crate) fn last(site: &Site) -> TokenId {
    site.tokens().pop().expect("a token").id
}

#[test]
fn a_watch_that_nobody_stops_brings_home_every_byte_and_proves_it() {
    with_nginx_in_every_shell(|site| {
        let before = {
            let placement = prepared(site);
            let before = sites(site);
            match site.commit_for(&placement, LATE) {
                SwitchAnswer::Proven { watch_left, .. } => {
                    assert!(watch_left.is_some_and(|left| left <= LATE), "{watch_left:?}");
                }
                other => panic!("{other:?}"),
            }
            before
        };
        fires(site);
        assert_eq!(site.token_states(), [TokenState::Fired]);
        assert_eq!(sites(site), before);
        let (first, _) = proven(site.revert());
        let (second, _) = proven(site.revert());
        assert_eq!(
            first, second,
            "the watch has proven home: nothing is reloaded again"
        );
        assert_eq!(site.token_states(), [TokenState::Fired]);
        assert_eq!(
            site.confirm(&last(site)),
            ConfirmAnswer::Lost(Some(TokenState::Fired))
        );
    });
}

#[test]
fn a_watch_brings_back_links_and_names() {
    with_nginx_in_every_shell(|site| {
        let available = site.host.path("sites-available/sokdak-8080");
        let legacy = site.host.path("sites-enabled/sokdak-8080.conf");
        fs::write(&available, site.site("v1")).expect("written");
        symlink(&available, &legacy).expect("a link");
        site.host.later(Duration::ZERO);
        site.start();
        let before = sites(site);
        let placement = site.take_over(&site.site("v2"), &remote(&legacy));
        accepted(site.prepare(&placement));
        proven(site.commit_for(&placement, LATE));
        fires(site);
        assert_eq!(sites(site), before);
        // Done again, it takes over again, although it is asked to do what was left to do by then.
        let again = Placement {
            takes_over: None,
            ..placement
        };
        proven(site.commit_for(&again, LATE));
        assert!(!legacy.exists());
        assert_eq!(site.get(), "v2");
        proven(site.revert());
        assert_eq!(sites(site), before);
    });
}

#[test]
fn a_reboot_ends_the_watch_and_its_token_stays_armed_without_a_deadline() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        let before = sites(site);
        proven(site.commit_for(&placement, LATE));
        site.host.machine("boot_id", "another-boot");
        eventually("the watch ends", || site.watches().is_empty());
        site.host.machine("uptime_offset", "10000000");
        let token = site.tokens().pop().expect("a token");
        assert_eq!((token.state, token.left), (TokenState::Armed, None));
        assert_eq!(site.get(), "v2");
        proven(site.revert());
        assert_eq!(site.token_states(), [TokenState::Reverted]);
        assert_eq!((site.get().as_str(), sites(site)), ("v1", before));
    });
}

#[test]
fn a_watch_counts_by_the_hosts_own_uptime() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        site.host.machine("clock_offset", "1000000");
        assert!(site.tokens()[0].left.is_some_and(|left| left > LATE / 2));
        fires(site);
    });
}

#[test]
fn what_somebody_else_wrote_meanwhile_is_left_alone() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        fs::write(site.entry(), site.site("by hand")).expect("written");
        site.host.later(LATE);
        eventually("the watch", || site.token_states() == [TokenState::Fired]);
        eventually("the watch leaves", || site.watches().is_empty());
        let token = site.tokens().pop().expect("a token");
        assert_eq!((token.restored, token.watch), (false, WatchProcess::Gone));
        assert_eq!(
            fs::read_to_string(site.entry()).expect("a file"),
            site.site("by hand")
        );
        assert_eq!(site.commit_for(&placement, LATE), SwitchAnswer::Drifted);
        assert_eq!(
            site.token_states(),
            [TokenState::Fired],
            "no watch without a switch"
        );
        // Once it is ours again, a revert does what the watch could not, and says so beside its token.
        fs::write(site.entry(), site.site("v2")).expect("written");
        proven(site.revert());
        assert!(site.tokens()[0].restored);
    });
}

#[test]
fn a_watch_that_tries_again_leaves_the_host_to_a_token_that_was_armed_meanwhile() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        // nginx refuses whatever it is told from here on, the way home too.
        let broken = site.host.path("sites-enabled/broken.conf");
        fs::write(&broken, "no_such_directive;\n").expect("written");
        site.host.later(LATE);
        eventually("the watch", || site.token_states() == [TokenState::Fired]);
        let refused = site.commit_for(&placement, LATE);
        assert!(matches!(refused, SwitchAnswer::Unproven { .. }), "{refused:?}");
        eventually("the first watch leaves", || site.watches().len() == 1);
        assert_eq!(site.token_states(), [TokenState::Fired, TokenState::Armed]);
        let placed = fs::read_to_string(site.entry()).expect("a file");
        assert_eq!(placed, site.site("v2"), "what is there is the later token's");
        fs::remove_file(&broken).expect("it is there");
        proven(site.revert());
        assert_eq!(site.get(), "v1");
    });
}

#[test]
fn home_is_brought_to_an_nginx_that_was_started_anew_meanwhile() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        let master = site.observe().master.expect("nginx runs").identity.pid;
        let master = Pid::from_raw(i32::try_from(master).expect("a pid"));
        kill(master, Signal::SIGTERM).expect("it runs");
        eventually("nginx ends", || kill(master, None).is_err());
        site.start();
        assert_eq!(site.get(), "v2");
        fires(site);
    });
}

#[test]
fn a_watch_that_was_killed_is_told_as_gone_whoever_has_its_pid_now() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        let seen = || site.tokens().pop().expect("a token");
        assert_eq!((seen().watch, seen().left.is_some()), (WatchProcess::Alive, true));
        let file = site.host.state().join("tokens");
        let file = file.join(format!("run-1.1.{}.pid", seen().id.number));
        let pid = site.watches()[0];
        kill(pid, Signal::SIGKILL).expect("it runs");
        eventually("it is gone", || seen().watch == WatchProcess::Gone);
        let text = fs::read_to_string(&file).expect("nobody removed it");
        let other = text.replacen(&pid.to_string(), &std::process::id().to_string(), 1);
        fs::write(&file, other).expect("written");
        let token = seen();
        assert_eq!(
            (token.state, token.watch, token.left),
            (TokenState::Armed, WatchProcess::Gone, None)
        );
        proven(site.revert());
    });
}

/// What a process has open.
fn descriptors(process: &str) -> BTreeSet<PathBuf> {
    let list = fs::read_dir(format!("/proc/{process}/fd")).expect("it runs");
    list.flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .collect()
}

#[test]
fn a_watch_is_a_session_of_its_own_that_holds_nothing_and_can_be_ended() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        let watch = site.watches()[0];
        let stat = fs::read_to_string(format!("/proc/{watch}/stat")).expect("it runs");
        let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        assert_eq!(fields[3], watch.to_string(), "its session: {stat}");
        // Its own first steps may still be under way; and what the test itself was given is not ours.
        let own = descriptors("self");
        eventually("it holds nothing", || {
            descriptors(&watch.to_string()).difference(&own).all(|open| {
                open == Path::new("/dev/null") || open.extension().is_some_and(|name| name == "watch")
            })
        });
        let status = fs::read_to_string(format!("/proc/{watch}/status")).expect("it runs");
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
        let ignored = u64::from_str_radix(ignored.expect("a mask"), 16).expect("a mask");
        assert_eq!(ignored & (1 << 14), 0, "TERM is not ignored: {ignored:x}");
        kill(watch, Signal::SIGTERM).expect("it runs");
        eventually("the watch ends", || site.watches().is_empty());
        assert_eq!(site.token_states(), [TokenState::Armed]);
    });
}

/// Starts a commit that stops at the first call of `program` whose arguments hold `at`, and kills all
/// of its processes there.
fn killed_at(site: &Site, commit: Commit, program: &str, at: &str) {
    let reached = site.host.path(&format!("reached-{program}"));
    let real = which(program).expect("installed");
    let real = real.display();
    let reached_name = reached.display();
    site.host.program(
        program,
        &format!(
            "#!/bin/sh\nif [ ! -e {reached_name} ]; then case \"$*\" in\n*'{at}'*) : >{reached_name}; \
             exec sleep 600;;\nesac; fi\nexec {real} \"$@\"\n"
        ),
    );
    let (mut child, script) = site.host.spawn(&site.host.place(), &Command::Commit(commit));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&script).expect("it reads");
    drop(stdin);
    eventually("the commit gets there", || reached.exists());
    let group = |child: &Child| Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    killpg(group(&child), Signal::SIGKILL).expect("it runs");
    child.wait().expect("it ended");
}

#[test]
fn a_commit_that_is_killed_half_way_is_brought_home_by_its_watch_or_a_revert_or_goes_on() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        let before = sites(site);
        let commit = || Commit {
            watch: LATE,
            ..site.commit_command(&placement)
        };
        for (program, at, file) in [("mv", ".candidate ", "v1"), ("nginx", "-s reload", "v2")] {
            // busybox takes its own applet, whatever the PATH says.
            if program == "mv" && site.host.shell == Shell::Busybox {
                continue;
            }
            for ending in ["watch", "revert", "commit"] {
                eprintln!("killed at {program}, then {ending}");
                let _ = fs::remove_file(site.host.path(&format!("reached-{program}")));
                // Until here nobody's switch is on the way.
                assert_eq!(sites(site), before);
                accepted(site.prepare(&placement));
                killed_at(site, commit(), program, at);
                assert_eq!(fs::read_to_string(site.entry()).expect("a file"), site.site(file));
                assert_eq!(site.get(), "v1");
                match ending {
                    "watch" => fires(site),
                    "revert" => drop(proven(site.revert())),
                    _ => {
                        proven(site.commit_for(&placement, LATE));
                        assert_eq!(site.get(), "v2");
                        let states = site.token_states();
                        assert!(
                            states.ends_with(&[TokenState::Superseded, TokenState::Armed]),
                            "{states:?}"
                        );
                        proven(site.revert());
                    }
                }
                eventually("no watch is left", || site.watches().is_empty());
                assert_eq!((site.get().as_str(), sites(site)), ("v1", before.clone()));
            }
        }
    });
}

#[test]
fn without_a_watch_there_is_no_switch() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        let before = sites(site);
        site.host.program("setsid", "#!/bin/sh\nexit 1\n");
        let error = site
            .host
            .try_run(&Command::Commit(site.commit_command(&placement)))
            .expect_err("no watch");
        assert!(error.to_string().contains("did not start"), "{error}");
        assert!(site.tokens().is_empty());
        assert_eq!((site.get().as_str(), sites(site)), ("v1", before));
    });
}
