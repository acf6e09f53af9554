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
    let (mut real, mut simulated) = (Player::new(real), Player::new(Simulated::new()));
    for (number, made) in moves.iter().enumerate() {
        let (wanted, found) = (real.makes(made), simulated.makes(made));
        assert_eq!(
            found, wanted,
            "{name}: move {number}, {made:?}: simulated and real"
        );
    }
}
