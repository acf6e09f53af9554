//! What a host means by the commands: cases that are played on two hosts, whose answers and whose state
//! have to be the same after every move. One of the two is the simulated host.

pub(crate) mod cases;
pub(crate) mod moves;
mod player;
mod simulated;

pub(crate) use player::{Fate, Player, Subject};

use moves::Move;
use simulated::Simulated;

/// What every release is: a jar to whoever only stores it, and to the demo's application.
pub(crate) const JAR: &[u8] = b"nonstop demo app\nversion=1\n\n";

/// Makes the moves on the simulated host and on a real one, and compares after each.
pub(crate) fn alike<S: Subject>(name: &str, moves: &[Move], real: S) {
    compares(name, moves, real, Simulated::new());
}

/// The same where units of systemd run both slots.
#[allow(
    dead_code,
    reason = "only one of the two that play the cases has a stand-in for systemd"
)]
pub(crate) fn alike_by_units<S: Subject>(name: &str, moves: &[Move], real: S) {
    compares(name, moves, real, Simulated::by_units());
}

fn compares<S: Subject>(name: &str, moves: &[Move], real: S, simulated: Simulated) {
    let (mut real, mut simulated) = (Player::new(real), Player::new(simulated));
    for (number, made) in moves.iter().enumerate() {
        let (wanted, found) = (real.makes(made), simulated.makes(made));
        assert_eq!(
            found, wanted,
            "{name}: move {number}, {made:?}: simulated and real"
        );
    }
}
