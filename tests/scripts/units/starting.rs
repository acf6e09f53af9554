//! A unit on its way up: what is not to be taken for an end of it, or for somebody else.

use super::in_every_shell;

#[test]
fn a_unit_whose_job_waits_its_turn_is_not_taken_for_one_that_ended() {
    in_every_shell(|booted| {
        booted.is("waits");
        booted.started();
        assert!(!booted.place("queued").exists());
    });
}

#[test]
fn a_unit_that_listens_before_systemd_knows_its_main_process_is_no_stranger() {
    in_every_shell(|booted| {
        booted.is("late");
        booted.started();
    });
}
