//! The old script's file, taken over under another name and given back.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use nonstop::remote::answer::ConfirmAnswer;
use nonstop::remote::command::Placement;

use crate::host::remote;
use crate::site::{accepted, proven, with_nginx_in_every_shell};
use crate::switching::sites;

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_take_over_shows_exactly_one_of_both_names_at_every_instant_and_so_does_its_way_back() {
    with_nginx_in_every_shell(|site| {
        let legacy = site.host.path("sites-enabled/sokdak-8080.conf");
        fs::write(&legacy, site.site("v1")).expect("written");
        site.start();
        let before = sites(site);
        let over = AtomicBool::new(false);
        let pattern = site.host.path("sites-enabled/*");
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut looks = 0_u32;
                while !over.load(Ordering::SeqCst) {
                    let names: Vec<_> = glob::glob(pattern.to_str().expect("UTF-8"))
                        .expect("a pattern")
                        .flatten()
                        .collect();
                    let names: Vec<_> = names
                        .into_iter()
                        .filter(|path| {
                            !path
                                .file_name()
                                .is_some_and(|name| name.to_string_lossy().starts_with('.'))
                        })
                        .collect();
                    assert_eq!(names.len(), 1, "{names:?}");
                    looks += 1;
                }
                looks
            });
            // The watcher ends however this ends.
            let end = End(&over);
            let placement = site.take_over(&site.site("v2"), &remote(&legacy));
            accepted(site.prepare(&placement));
            proven(site.commit(&placement));
            assert_eq!(site.get(), "v2");
            assert!(!legacy.exists());
            proven(site.commit(&placement));
            proven(site.revert());
            assert_eq!(site.get(), "v1");
            drop(end);
            assert!(watcher.join().expect("no panic") > 10);
        });
        assert_eq!(sites(site), before);
    });
}

#[test]
fn a_take_over_of_a_link_that_was_cut_off_between_its_renames_finds_its_way_back() {
    with_nginx_in_every_shell(|site| {
        let available = site.host.path("sites-available/sokdak-8080");
        let legacy = site.host.path("sites-enabled/sokdak-8080.conf");
        fs::write(&available, site.site("v1")).expect("written");
        symlink(&available, &legacy).expect("a link");
        site.start();
        let before = sites(site);
        let placement = site.take_over(&site.site("v2"), &remote(&legacy));
        accepted(site.prepare(&placement));
        fs::rename(&legacy, site.entry()).expect("renamed");
        proven(site.revert());
        assert_eq!(sites(site), before);
        fs::rename(&legacy, site.entry()).expect("renamed");
        proven(site.commit(&placement));
        assert_eq!(site.get(), "v2");
        assert_eq!(
            fs::read_to_string(&available).expect("untouched"),
            site.site("v1")
        );
        proven(site.revert());
        assert_eq!(sites(site), before);
    });
}

#[test]
fn what_somebody_else_wrote_and_a_run_replaced_stays_beside_the_state() {
    with_nginx_in_every_shell(|site| {
        let own = |text: &str| site.site(text) + "# location = /__nonstop/generation\n";
        let legacy = site.host.path("sites-enabled/sokdak-8080.conf");
        let name = site.entry().file_name().expect("a name").to_owned();
        let kept = |number: &str| {
            let file = format!("before-{}{number}", name.display());
            fs::read_to_string(site.host.state().join(file)).ok()
        };
        fs::write(&legacy, site.site("v1")).expect("written");
        site.start();
        let goes = |placement: &Placement| {
            accepted(site.prepare(placement));
            proven(site.commit(placement));
            let token = site.tokens().last().expect("a token").id.clone();
            assert_eq!(site.confirm(&token), ConfirmAnswer::Confirmed);
            site.clean();
        };
        goes(&site.take_over(&own("v2"), &remote(&legacy)));
        goes(&site.placement(&own("v3")));
        assert_eq!((kept(""), kept(".2")), (Some(site.site("v1")), None));
        // By hand once more, and the same again.
        for _ in 0..2 {
            fs::write(site.entry(), site.site("by hand")).expect("written");
            goes(&site.placement(&own("v4")));
            assert_eq!(
                (kept(""), kept(".2")),
                (Some(site.site("v1")), Some(site.site("by hand")))
            );
        }
        assert_eq!(kept(".3"), None);
    });
}
