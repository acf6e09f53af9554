//! The jar that a deploy agent has put on the hosts: the same on all of those that get it, or none.

use crate::model::finding::{Finding, Problem};
use crate::model::live::Live;
use crate::model::names::{HostName, JarPattern};
use crate::model::release::{JarProblem, Offer, OfferedJar};

use super::forward::{Scene, target_of_deploy};
use super::preflight;

/// The newest jar of every host of the slot that a deploy brings up, which must be the same; from the name on
/// the first of them the release has its own.
///
/// Returns what keeps a host from it, beside all that speaks against changing the fleet.
pub fn offered<'a>(scene: &Scene<'a>, pattern: &JarPattern) -> Result<&'a OfferedJar, Vec<Finding>> {
    let live = Live::read(scene.topology, scene.observed);
    let hosts: Vec<&HostName> = match live.agreed() {
        Ok(agreed) => scene
            .topology
            .hosts_of(&target_of_deploy(scene, agreed.slot.as_ref())),
        Err(_) => scene.topology.was.keys().collect(),
    };
    let offer = |host: &HostName| scene.observed.jars.get(host);
    let lacking = hosts.iter().filter_map(|host| {
        let pattern = pattern.clone();
        let problem = match offer(host) {
            Some(Offer::Jar(_)) => return None,
            Some(Offer::Unfit { reason }) => JarProblem::JarUnfit {
                pattern,
                reason: reason.clone(),
            },
            Some(Offer::None) | None => JarProblem::NoJarOnHost { pattern },
        };
        Some(Finding::refusal(Some(host), Problem::Jar(problem)))
    });
    let mut findings: Vec<_> = lacking.collect();
    let jars: Vec<_> = hosts
        .iter()
        .filter_map(|host| match offer(host)? {
            Offer::Jar(jar) => Some((*host, jar)),
            Offer::Unfit { .. } | Offer::None => None,
        })
        .collect();
    if jars.iter().any(|(_, jar)| jar.sha256 != jars[0].1.sha256) {
        findings.extend(jars.iter().map(|(host, jar)| {
            let problem = JarProblem::JarsDiffer {
                path: jar.path.clone(),
                sha256: jar.sha256.clone(),
            };
            Finding::refusal(Some(host), Problem::Jar(problem))
        }));
    }
    match jars.first() {
        Some((_, jar)) if findings.is_empty() => Ok(jar),
        _ => {
            findings.extend(preflight::preflight(scene.topology, scene.observed));
            Err(findings)
        }
    }
}
