//! Whether an instance is out of every routing: what has to be seen on every nginx host before it ends.

use crate::model::endpoint::Endpoint;
use crate::model::failure::Failure;
use crate::model::live::Live;
use crate::model::names::HostName;
use crate::model::observed::{HostObserved, Observed};
use crate::model::plan::switch::generation_of;
use crate::model::token::{Token, TokenState, WatchProcess};
use crate::model::topology::Topology;

/// Whether an nginx host, looked at once more, stays with a routing that leads no request to these endpoints.
pub fn is_out(
    topology: &Topology,
    host: &HostName,
    seen: HostObserved,
    endpoints: &[Endpoint],
) -> Result<(), Failure> {
    let unproven = |reason: String| Err(Failure::Unproven { reason });
    let nginx = seen.nginx.as_ref().ok_or(Failure::Drifted)?;
    let newest = nginx
        .tokens
        .iter()
        .max_by_key(|token| (token.id.epoch, token.id.number));
    let acts = |token: &&Token| match token.state {
        TokenState::Armed => true,
        TokenState::Fired => !token.restored && token.watch == WatchProcess::Alive,
        TokenState::Confirmed | TokenState::Reverted | TokenState::Superseded => false,
    };
    if let Some(token) = newest.filter(acts) {
        return unproven(format!(
            "a token of run {} is {}",
            token.id.run,
            token.state.as_str()
        ));
    }
    let on_disk = nginx.entry.content.as_deref().and_then(generation_of);
    if nginx.generation != on_disk {
        return unproven("it runs another generation than its file has".to_owned());
    }
    let observed = Observed {
        hosts: [(host.clone(), seen)].into(),
        ..Observed::default()
    };
    let live = Live::read(topology, &observed);
    let view = live.hosts.get(host).ok_or(Failure::Drifted)?;
    if endpoints.iter().any(|endpoint| view.endpoints.contains(endpoint)) {
        return Err(Failure::Drifted);
    }
    Ok(())
}
