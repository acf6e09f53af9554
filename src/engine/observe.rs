//! Asks every host what is true, all at once, and the listeners what they run.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use crate::model::names::{HostName, JarPattern, Port};
use crate::model::observed::{HostObserved, Observed};
use crate::model::plan::{self, GENERATION_PATH};
use crate::model::playbook::{Playbook, SwitchStyle};
use crate::model::topology::{NginxHost, Topology};
use crate::remote::command::{Command, FindJar, Observe, ObserveNginx};

use super::crew::{Crew, READS_A_JAR, answer};
use super::fleet::{CallError, Host, HttpRequest};

const GENERATION_TIMEOUT: Duration = Duration::from_secs(3);
/// No slot tells its name in more.
const ANSWER_CHARS: usize = 200;

/// What is true on every connected host, and why some could not be asked.
pub async fn observe<H: Host>(
    topology: &Topology,
    playbook: &Playbook,
    crew: &Crew<H>,
) -> (Observed, BTreeMap<HostName, CallError>) {
    let asked = crew
        .hosts()
        .map(|host| async move { (host.clone(), one(topology, playbook, crew, host).await) });
    let mut observed = Observed::default();
    let mut failed = BTreeMap::new();
    for (host, seen) in join_all(asked).await {
        match seen {
            Ok(seen) => {
                observed.hosts.insert(host, seen);
            }
            Err(error) => {
                failed.insert(host, error);
            }
        }
    }
    plan::settle(&mut observed);
    (observed, failed)
}

/// Looks for the newest jar that a deploy agent has put on each WAS host; tells of those that could not be asked.
pub async fn jars<H: Host>(
    crew: &Crew<H>,
    pattern: &JarPattern,
    observed: &mut Observed,
) -> BTreeMap<HostName, CallError> {
    let hosts = observed.hosts.iter().filter(|(_, seen)| seen.was.is_some());
    let asked = hosts.map(|(host, _)| async move {
        let pattern = pattern.clone();
        let command = Command::FindJar(FindJar { pattern });
        let answered = crew.call_within(host, command, READS_A_JAR).await;
        (host.clone(), answered.and_then(|answer| answer!(answer, FindJar)))
    });
    let mut failed = BTreeMap::new();
    for (host, offer) in join_all(asked).await {
        match offer {
            Ok(offer) => {
                observed.jars.insert(host, offer);
            }
            Err(error) => {
                failed.insert(host, error);
            }
        }
    }
    failed
}

/// What is true on one host.
pub async fn one<H: Host>(
    topology: &Topology,
    playbook: &Playbook,
    crew: &Crew<H>,
    host: &HostName,
) -> Result<HostObserved, CallError> {
    let nginx = topology.nginx.get(host);
    let slots = topology
        .was
        .get(host)
        .map(|was| was.ports.clone())
        .unwrap_or_default();
    let files = topology.was.get(host).map(|was| &was.config_files);
    let command = Command::Observe(Observe {
        slots,
        files: files
            .into_iter()
            .flat_map(BTreeMap::values)
            .flatten()
            .cloned()
            .collect(),
        nginx: nginx.map(question),
    });
    let mut seen = *answer!(crew.call(host, command).await?, Observe)?;
    if let (Some(nginx), Some(seen), SwitchStyle::Site(_)) =
        (nginx, seen.nginx.as_mut(), &playbook.nginx.style)
        && seen.master.is_some()
    {
        seen.generation = generation(crew, host, nginx).await;
    }
    if let (Some(identify), Some(was)) = (&playbook.identify, seen.was.as_mut()) {
        let slots = was.slots.values_mut().filter(|slot| slot.listener.is_some());
        join_all(slots.map(|slot| async {
            slot.answers_as = answer_of(crew, host, &identify.path, slot.port).await;
        }))
        .await;
    }
    Ok(seen)
}

/// What one host's slots are, and nothing else: cheap enough to be asked in the middle of a wait.
pub async fn slots<H: Host>(
    topology: &Topology,
    crew: &Crew<H>,
    host: &HostName,
) -> Result<HostObserved, CallError> {
    let slots: BTreeMap<_, Port> = topology
        .was
        .get(host)
        .map(|was| was.ports.clone())
        .unwrap_or_default();
    let command = Command::Observe(Observe {
        slots,
        ..Observe::default()
    });
    answer!(crew.call(host, command).await?, Observe).map(|seen| *seen)
}

/// What to look at in a host's nginx.
pub fn question(host: &NginxHost) -> ObserveNginx {
    ObserveNginx {
        binary: host.binary.clone(),
        conf: host.conf.clone(),
        file: host.file.clone(),
        slot_files: host.slot_files.clone(),
        upstream_file: host
            .service_url
            .as_ref()
            .and_then(|service| service.upstream_file.clone()),
    }
}

/// What a slot answers to `identify`; `None` where it does not say. The connection is not kept, so that it
/// does not count as somebody's.
async fn answer_of<H: Host>(crew: &Crew<H>, host: &HostName, path: &str, port: Port) -> Option<String> {
    let port = port.number();
    let request = HttpRequest {
        address: "127.0.0.1".to_owned(),
        port,
        tls: false,
        host_header: format!("127.0.0.1:{port}"),
        path: path.to_owned(),
        timeout: GENERATION_TIMEOUT,
    };
    let response = crew.http(host, &request).await;
    crew.forget_http(host, &request.address, port).await;
    let response = response.ok().filter(|response| response.status == 200)?;
    let text = String::from_utf8_lossy(&response.body);
    Some(text.trim().chars().take(ANSWER_CHARS).collect())
}

/// What the generation endpoint answers through the host's own listener; `None` if it is not ours.
pub async fn generation<H: Host>(crew: &Crew<H>, name: &HostName, host: &NginxHost) -> Option<String> {
    let request = HttpRequest {
        address: host.listener.address.as_str().to_owned(),
        port: host.listener.port.number(),
        tls: host.listener.tls,
        host_header: host
            .listener
            .server_name
            .clone()
            .unwrap_or_else(|| "localhost".to_owned()),
        path: GENERATION_PATH.to_owned(),
        timeout: GENERATION_TIMEOUT,
    };
    let response = crew.http(name, &request).await;
    // A connection that is kept alive would go on talking to a worker of the old generation.
    crew.forget_http(name, &request.address, request.port).await;
    let response = response.ok().filter(|response| response.status == 200)?;
    let text = String::from_utf8(response.body).ok()?;
    let text = text.trim();
    let plain = !text.is_empty()
        && text.len() <= 64
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    plain.then(|| text.to_owned())
}
