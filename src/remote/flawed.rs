//! Deliberate defects of the scripts, for the crash tests to find: a rule's lines are taken out of every
//! program that is rendered. Built only with the feature `defects`.

use crate::model::defect::{Defect, planted};

/// The lines of a rule, and what stands there without it.
const RULES: [(Defect, &str, &str); 9] = [
    (
        Defect::NoFence,
        "    holds \"$FENCE_EPOCH\" \"$FENCE_RUN\" || return 1\n",
        "",
    ),
    (
        Defect::NoFence,
        "        [ \"$FENCE_SEQUENCE\" -gt \"$f_sequence\" ] || return 1\n",
        "",
    ),
    (Defect::WatchNeverFires, "\nfire\n", "\nexit 0\n"),
    (
        Defect::TrustsReload,
        "    until switched; do\n",
        "    while false; do\n",
    ),
    (
        Defect::TrustsReload,
        "    [ -z \"$EMERG\" ] || unproven \"$EMERG\"\n",
        "",
    ),
    (
        Defect::TimerOutlivesRollback,
        "        timer_move \"${t_name%.pending}\" pending cancelled\n",
        "",
    ),
    (Defect::TimerOutlivesRollback, "    nobody_came\n", ""),
    (Defect::TimerWithoutLook, "    look_at_successor\n", ""),
    (
        Defect::TimerWithoutLook,
        "    ! healthy || break\n",
        "    break\n",
    ),
];

/// Takes out the rule that is switched off.
pub(super) fn flaw(program: &mut String) {
    for (defect, rule, without) in RULES {
        if planted(defect) {
            *program = program.replace(rule, without);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_stands_in_a_script() {
        let scripts = ["fence", "watch", "switch", "timer", "timers"].map(|name| {
            let file = format!("{}/src/remote/sh/{name}.sh", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_to_string(file).expect("a script")
        });
        for (defect, rule, _) in RULES {
            let found = scripts.iter().any(|script| script.contains(rule));
            assert!(found, "{defect:?}: no script has {rule:?}");
        }
    }
}
