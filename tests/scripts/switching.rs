//! Prepare, commit, revert and what they leave behind.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::time::Duration;

use nonstop::model::token::TokenState;
use nonstop::remote::answer::{Answer, ArmAnswer, ConfirmAnswer, Fenced, PrepareAnswer, SwitchAnswer};
use nonstop::remote::command::{AwaitWorkers, CleanNginx, Command, Commit, PlacedContent, Prepare, Revert};

use crate::host::{remote, run_id, tree};
use crate::site::{Site, accepted, eventually, proven, with_nginx_in_every_shell};

/// Everything below sites-enabled and sites-available, our own dotfiles left out.
pub(crate) fn sites(site: &Site) -> Vec<(String, Vec<u8>)> {
    tree(site.host.folder.path())
        .into_iter()
        .map(|(path, bytes)| (path.to_string_lossy().into_owned(), bytes))
        .filter(|(path, _)| path.contains("/sites-") && !path.contains("/.nonstop-"))
        .collect()
}

#[test]
fn a_commit_swaps_the_file_and_is_proven_and_a_revert_brings_every_byte_back() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        fs::set_permissions(site.entry(), fs::Permissions::from_mode(0o640)).expect("a mode");
        fs::write(site.host.path("sites-enabled/other"), "# another site\n").expect("written");
        site.start();
        let before = sites(site);
        let old = site.observe().master.expect("nginx runs");
        let inode = fs::metadata(site.entry()).expect("a file").ino();
        let v2 = site.site("v2");
        let placement = site.placement(&v2);
        accepted(site.prepare(&placement));
        assert_eq!(sites(site), before);
        assert_eq!(site.get(), "v1");
        assert_eq!(site.observe().saved_homes, ["run-1"]);

        let (serving, _) = proven(site.commit(&placement));
        assert_eq!(site.get(), "v2");
        assert!(serving.iter().all(|pid| !old.serving.contains(pid)) && !serving.is_empty());
        let metadata = fs::metadata(site.entry()).expect("a file");
        assert_ne!(metadata.ino(), inode);
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        assert_eq!(fs::read_to_string(site.entry()).expect("a file"), v2);
        // The answer got lost: the same again is proven again.
        proven(site.commit(&placement));

        proven(site.revert());
        assert_eq!(site.get(), "v1");
        assert_eq!(sites(site), before);
        assert_eq!(fs::metadata(site.entry()).expect("a file").mode() & 0o7777, 0o640);
        let (first, _) = proven(site.revert());
        let (second, _) = proven(site.revert());
        // What runs cannot differ from home any more: nothing is reloaded.
        assert_eq!(first, second);
    });
}

#[test]
fn each_switch_of_a_run_has_a_home_of_its_own_and_the_way_back_leads_to_the_first() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let before = sites(site);
        let first = site.placement(&site.site("v2"));
        accepted(site.prepare(&first));
        proven(site.commit(&first));
        let token = site.tokens().pop().expect("a token").id;
        assert_eq!(site.confirm(&token), ConfirmAnswer::Confirmed);
        let text = site.site("v3");
        let second = site.placement(&text);
        let commit = || {
            let shadow = site.shadow(second.entry.file_name());
            accepted(site.prepare_by(Prepare {
                home: run_id("run-1.2"),
                ..site.prepare_command(&second, &text, shadow)
            }));
            let commit = Commit {
                home: run_id("run-1.2"),
                ..site.commit_command(&second)
            };
            let Answer::Commit(Fenced::Passed(answer)) = site.host.run(Command::Commit(commit)) else {
                panic!("the fence let nothing pass");
            };
            proven(answer);
            assert_eq!(site.get(), "v3");
        };
        commit();
        let back = Revert {
            fence: site.host.fence(),
            home: run_id("run-1.2"),
            nginx: site.nginx_place(),
            deadline: Duration::from_secs(10),
        };
        let Answer::Revert(Fenced::Passed(answer)) = site.host.run(Command::Revert(back)) else {
            panic!("the fence let nothing pass");
        };
        proven(answer);
        assert_eq!(site.get(), "v2", "the second switch goes back to the first");
        commit();
        assert!(matches!(
            site.arm(Duration::from_secs(60)),
            ArmAnswer::Armed { .. }
        ));
        proven(site.revert());
        assert_eq!(site.get(), "v1", "the run goes back to what was before it");
        assert_eq!(sites(site), before);
        let armed = |state: &TokenState| *state == TokenState::Armed;
        assert!(!site.token_states().iter().any(armed));
    });
}

#[test]
fn where_nothing_was_a_revert_leaves_nothing() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.host.path("sites-enabled/other"), "# another site\n").expect("written");
        site.start();
        let before = sites(site);
        let placement = site.placement(&site.site("v1"));
        assert_eq!(placement.expected_sha256, None);
        accepted(site.prepare(&placement));
        proven(site.commit(&placement));
        assert_eq!(site.get(), "v1");
        assert_eq!(fs::metadata(site.entry()).expect("a file").mode() & 0o7777, 0o644);
        proven(site.revert());
        assert_eq!(sites(site), before);
        eventually("the listener closes", || {
            TcpStream::connect(("127.0.0.1", site.port.number())).is_err()
        });
    });
}

#[test]
fn a_link_into_sites_available_stays_what_it_is() {
    with_nginx_in_every_shell(|site| {
        let available = site.host.path("sites-available/sokdak");
        fs::write(&available, site.site("v1")).expect("written");
        symlink("../sites-available/sokdak", site.entry()).expect("a link");
        site.start();
        let before = sites(site);
        let mut placement = site.placement(&site.site("v2"));
        placement.target = remote(&available);
        accepted(site.prepare(&placement));
        proven(site.commit(&placement));
        assert_eq!(site.get(), "v2");
        assert_eq!(
            fs::read_link(site.entry()).expect("a link").to_str(),
            Some("../sites-available/sokdak")
        );
        assert_eq!(fs::read_to_string(&available).expect("a file"), site.site("v2"));
        proven(site.revert());
        assert_eq!(site.get(), "v1");
        assert_eq!(sites(site), before);
    });
}

#[test]
fn a_link_to_the_users_own_file_is_swapped_for_another() {
    with_nginx_in_every_shell(|site| {
        let slots = ["blue", "green"].map(|slot| site.host.path(&format!("sites-available/{slot}")));
        for (path, text) in slots.iter().zip(["v1", "v2"]) {
            fs::write(path, site.site(text)).expect("written");
        }
        symlink(&slots[0], site.entry()).expect("a link");
        site.start();
        let before = sites(site);
        let mut placement = site.placement("");
        placement.content = PlacedContent::Link(remote(&slots[1]));
        accepted(site.prepare(&placement));
        proven(site.commit(&placement));
        assert_eq!(site.get(), "v2");
        assert_eq!(fs::read_link(site.entry()).expect("a link"), slots[1]);
        proven(site.revert());
        assert_eq!(site.get(), "v1");
        assert_eq!(sites(site), before);
    });
}

#[test]
fn a_reload_that_answers_0_and_is_refused_is_unproven_and_home_is_proven_again() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let before = sites(site);
        let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
        let taken = stranger.local_addr().expect("an address").port();
        let conflict = format!("{}server {{ listen 127.0.0.1:{taken}; }}\n", site.site("v2"));
        let placement = site.placement(&conflict);
        accepted(site.prepare(&placement));
        match site.commit(&placement) {
            SwitchAnswer::Unproven { reason } => assert!(
                reason.contains("[emerg]") && reason.contains("bind()"),
                "{reason}"
            ),
            other => panic!("{other:?}"),
        }
        assert_eq!(site.get(), "v1");
        proven(site.revert());
        assert_eq!(site.get(), "v1");
        assert_eq!(sites(site), before);
    });
}

#[test]
fn a_refused_candidate_leaves_every_byte_as_it_was() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        fs::write(
            site.host.path("sites-enabled/other"),
            site.site("other").replace("_name a", "_name b"),
        )
        .expect("written");
        site.start();
        let before = sites(site);
        let state = tree(&site.host.state());
        let refused =
            |bytes: &str, shadow: String| match site.prepare_with(&site.placement(bytes), bytes, shadow) {
                PrepareAnswer::Refused { output } => {
                    assert_eq!(sites(site), before);
                    let left = tree(&site.host.state());
                    assert_eq!(left.len(), state.len().max(left.len()), "{left:?}");
                    assert!(site.observe().saved_homes.is_empty());
                    assert!(
                        !tree(site.host.folder.path())
                            .into_keys()
                            .any(|path| path.to_string_lossy().contains("/.nonstop-"))
                    );
                    output
                }
                other => panic!("{other:?}"),
            };
        let shadow = || site.shadow("sokdak.conf");
        assert!(refused("server { listne 80; }", shadow()).contains("listne"));
        // A name that another site has is only a warning to nginx, and the first by name would win.
        let stolen = site.site("v2").replace("_name a", "_name b");
        assert!(refused(&stolen, shadow()).contains("conflicting server name \"b\""));
        let elsewhere = shadow().replace("include \"{candidate}\";", "");
        assert!(refused(&site.site("v2"), elsewhere).contains("does not read the candidate"));
        assert_eq!(site.get(), "v1");
    });
}

#[test]
fn a_conflict_of_names_that_was_there_before_refuses_nothing() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        fs::write(site.host.path("sites-enabled/twin"), site.site("twin")).expect("written");
        site.start();
        match site.prepare(&site.placement(&site.site("v2"))) {
            PrepareAnswer::Accepted { warnings } => assert!(warnings.contains("conflicting"), "{warnings}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn what_somebody_else_changed_is_neither_replaced_nor_put_back() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let placement = site.placement(&site.site("v2"));
        fs::write(site.entry(), site.site("by hand")).expect("written");
        assert_eq!(site.prepare(&placement), PrepareAnswer::Drifted);
        assert!(site.observe().saved_homes.is_empty());
        fs::write(site.entry(), site.site("v1")).expect("written");
        accepted(site.prepare(&placement));
        fs::write(site.entry(), site.site("by hand")).expect("written");
        assert_eq!(site.commit(&placement), SwitchAnswer::Drifted);
        assert_eq!(
            fs::read_to_string(site.entry()).expect("a file"),
            site.site("by hand")
        );
        fs::write(site.entry(), site.site("v1")).expect("written");
        proven(site.commit(&placement));
        fs::write(site.entry(), site.site("by hand")).expect("written");
        assert_eq!(site.revert(), SwitchAnswer::Drifted);
        assert_eq!(
            fs::read_to_string(site.entry()).expect("a file"),
            site.site("by hand")
        );
    });
}

#[test]
fn without_a_saved_home_nothing_is_switched() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let before = sites(site);
        assert_eq!(
            site.commit(&site.placement(&site.site("v2"))),
            SwitchAnswer::NoHome
        );
        assert_eq!(site.revert(), SwitchAnswer::NoHome);
        assert_eq!(sites(site), before);
    });
}

#[test]
fn another_master_than_the_observed_one_is_not_reloaded_and_is_told_as_such() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let before = sites(site);
        let placement = site.placement(&site.site("v2"));
        accepted(site.prepare(&placement));
        let mut commit = site.commit_command(&placement);
        commit.nginx.master.start_ticks += 1;
        assert_eq!(
            site.host.run(Command::Commit(commit)),
            Answer::Commit(Fenced::Passed(SwitchAnswer::Restarted))
        );
        assert_eq!(sites(site), before);
    });
}

#[test]
fn a_commit_that_lost_its_lock_changes_nothing() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let before = sites(site);
        let placement = site.placement(&site.site("v2"));
        accepted(site.prepare(&placement));
        let mut late = site.commit_command(&placement);
        late.fence.sequence = 1;
        assert!(matches!(
            site.host.run(Command::Commit(late)),
            Answer::Commit(Fenced::Refused(_))
        ));
        let mut stranger = site.commit_command(&placement);
        stranger.fence.run = run_id("run-2");
        assert!(matches!(
            site.host.run(Command::Commit(stranger)),
            Answer::Commit(Fenced::Refused(_))
        ));
        assert_eq!(sites(site), before);
        assert_eq!(site.get(), "v1");
    });
}

#[test]
fn a_commit_goes_to_its_end_although_nobody_listens_any_more() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let placement = site.placement(&site.site("v2"));
        accepted(site.prepare(&placement));
        let commit = Command::Commit(site.commit_command(&placement));
        let (mut child, script) = site.host.spawn(&site.host.place(), &commit);
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(&script).expect("it reads");
        drop(stdin);
        let mut begin = [0; 23];
        child
            .stdout
            .as_mut()
            .expect("piped")
            .read_exact(&mut begin)
            .expect("it begins");
        assert_eq!(&begin, b"nonstop-answer 1 begin\n");
        drop((child.stdout.take(), child.stderr.take()));
        child.wait().expect("it ends");
        eventually("the switch", || site.get() == "v2");
        // Nobody heard how that ended: the same again is safe.
        proven(site.commit(&placement));
    });
}

#[test]
fn an_old_worker_with_a_request_in_flight_leaves_when_it_is_done() {
    with_nginx_in_every_shell(|site| {
        let slow = TcpListener::bind("127.0.0.1:0").expect("a port");
        let upstream = slow.local_addr().expect("an address");
        let proxy = site
            .site("")
            .replace("return 200 ''", &format!("proxy_pass http://{upstream}"));
        fs::write(site.entry(), proxy).expect("written");
        site.start();
        let mut client = TcpStream::connect(("127.0.0.1", site.port.number())).expect("nginx listens");
        client
            .write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            .expect("sent");
        let (in_flight, _) = slow.accept().expect("nginx asks");
        let placement = site.placement(&site.site("v2"));
        accepted(site.prepare(&placement));
        let (_, leaving) = proven(site.commit(&placement));
        assert_eq!(leaving.len(), 1);
        assert_eq!(site.observe().master.expect("nginx runs").leaving, leaving);
        let wait = |deadline| AwaitWorkers {
            master: site.nginx_place().master,
            deadline,
        };
        let short = Command::AwaitWorkers(wait(Duration::from_millis(200)));
        assert_eq!(site.host.run(short), Answer::AwaitWorkers(leaving));
        drop(in_flight);
        let long = Command::AwaitWorkers(wait(Duration::from_secs(20)));
        assert_eq!(site.host.run(long), Answer::AwaitWorkers(Vec::new()));
        drop(client);
    });
}

#[test]
fn cleaning_up_removes_our_dotfiles_and_homes_and_nothing_else() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        fs::write(
            site.host.path("sites-enabled/.nonstop-sokdak2.candidate"),
            "of another app",
        )
        .expect("written");
        site.start();
        accepted(site.prepare(&site.placement(&site.site("v2"))));
        assert!(site.host.path("sites-enabled/.nonstop-sokdak.candidate").exists());
        let clean = CleanNginx {
            fence: site.host.fence(),
            entry: remote(site.entry()),
            target: remote(site.entry()),
            conf: remote(site.conf()),
        };
        assert_eq!(
            site.host.run(Command::CleanNginx(clean)),
            Answer::CleanNginx(Fenced::Passed(()))
        );
        assert!(!site.host.path("sites-enabled/.nonstop-sokdak.candidate").exists());
        assert!(
            site.host
                .path("sites-enabled/.nonstop-sokdak2.candidate")
                .exists()
        );
        assert!(site.observe().saved_homes.is_empty());
        assert_eq!(fs::read_to_string(site.entry()).expect("a file"), site.site("v1"));
        assert!(site.host.state().join("lock").exists());
    });
}
