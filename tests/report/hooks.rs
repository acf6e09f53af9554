//! Hooks in what people and build servers read: what one printed, and how one failed.

use nonstop::model::event::Note;
use nonstop::model::failure::Failure;
use nonstop::model::hook::{HookId, HookPlace, HookPoint};
use nonstop::model::outcome::{Exit, Outcome};
use nonstop::model::phase::Phase;
use nonstop::model::secret::{Gathering, Secrets};
use nonstop::report::junit;

use crate::fixture::{Story, lines_of, plain};

const HOOK: HookId = HookId {
    point: HookPoint::ValidateService,
    number: 1,
};

fn done(on: HookPlace, output: &str) -> Story {
    let mut story = Story::of("deploy");
    let note = Note::HookDone {
        hook: HOOK,
        on,
        output: output.to_owned(),
    };
    story
        .planned()
        .begin(Phase::Hook, &["was-1"])
        .done("was-1", Phase::Hook, Some(note))
        .end(Phase::Hook, true);
    story
}

fn failed(tail: &str) -> Story {
    let mut story = Story::of("deploy");
    let failure = Failure::Hook {
        hook: HOOK,
        reason: "ended with exit status 3".to_owned(),
        tail: tail.to_owned(),
    };
    story
        .planned()
        .begin(Phase::Hook, &["was-1"])
        .failed("was-1", Phase::Hook, failure)
        .end(Phase::Hook, false)
        .ends(Outcome::AsItWas, Exit::Failed, None);
    story
}

#[test]
fn what_a_hook_printed_is_told_harmlessly_and_not_without_end() {
    let many: Vec<String> = (1..=50).map(|number| format!("line {number}")).collect();
    let many = many.join("\n") + "\n";
    let lines = lines_of(&done(HookPlace::Was, &format!("{many}\u{1b}[2Jred\u{7}\n")));
    assert!(lines.contains("hook      done in "), "{lines}");
    assert!(lines.contains(": validate_service.1\n"), "{lines}");
    assert!(!lines.contains('\u{1b}') && !lines.contains('\u{7}'), "{lines}");
    assert!(lines.contains("was-1   hook      | line 50\n"), "{lines}");
    assert!(
        !lines.contains("| line 11\n") && lines.contains("| line 12\n"),
        "{lines}"
    );
    let lines = lines_of(&done(HookPlace::Controller, ""));
    assert!(lines.contains("validate_service.1 on the controller"), "{lines}");
}

#[test]
fn a_hook_that_failed_is_told_with_the_end_of_what_it_printed() {
    let story = failed("first\nit is \u{1b}[31mill\n");
    let text = plain(&story).1.text();
    assert!(
        text.contains("hook validate_service.1: ended with exit status 3"),
        "{text}"
    );
    assert!(text.contains("ill") && !text.contains('\u{1b}'), "{text}");
    let mut gathering = Gathering::default();
    gathering.secret("first");
    let secrets: Secrets = gathering.finish();
    let xml = junit::render(&story.view(), "sokdak", &secrets);
    assert!(xml.contains("name=\"hook\""), "{xml}");
    assert!(
        xml.contains("ended with exit status 3") && xml.contains("ill"),
        "{xml}"
    );
    assert!(!xml.contains("first") && !xml.contains('\u{1b}'), "{xml}");
}
