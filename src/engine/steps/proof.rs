//! What shows that a switch took effect, beyond fresh workers: an answer that only the new
//! configuration can give, through the listener.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::engine::context::Context;
use crate::engine::crew::answer;
use crate::engine::fleet::{Host, HttpRequest};
use crate::engine::observe;
use crate::model::endpoint::Endpoint;
use crate::model::event::{Note, ProofUsed};
use crate::model::failure::Failure;
use crate::model::names::HostName;
use crate::model::observed::NginxObserved;
use crate::model::plan::Switch;
use crate::remote::command::{Command, Peers};

/// How long the listener may go on giving the old answer after its workers were replaced.
const DEADLINE: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(50);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// The peers of each new endpoint before a switch.
pub(super) type Arrivals = BTreeMap<Endpoint, BTreeSet<String>>;

/// Remembers who is connected to the new endpoints, where an arrival has to be the proof.
pub(super) async fn arrivals_before<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    switch: &Switch,
) -> Arrivals {
    if switch.generation.is_some() || switch.expect.is_some() {
        return Arrivals::new();
    }
    arrivals(context, host, &switch.endpoints).await
}

async fn arrivals<H: Host>(context: &Context<'_, H>, host: &HostName, endpoints: &[Endpoint]) -> Arrivals {
    for endpoint in endpoints {
        if let Some(was) = context.topology.was.get(&endpoint.host) {
            context
                .crew
                .forget_http(host, was.address.as_str(), endpoint.port.number())
                .await;
        }
    }
    peers(context, endpoints).await
}

/// Shows that the listener runs the new routing, by everything that there is to ask.
pub(super) async fn prove<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    switch: &Switch,
    before: &Arrivals,
) -> Result<ProofUsed, Failure> {
    context.ledger.borrow_mut().answered.remove(host);
    if let Some(expected) = &switch.generation {
        generation(context, host, expected).await?;
    }
    if let Some(expected) = &switch.expect {
        request(context, host, expected).await?;
        context.ledger.borrow_mut().answered.insert(host.clone());
        return Ok(ProofUsed::Request);
    }
    if switch.generation.is_some() {
        return Ok(ProofUsed::Generation);
    }
    arrival(context, host, &switch.endpoints, before).await?;
    context.ledger.borrow_mut().answered.insert(host.clone());
    Ok(ProofUsed::Arrival)
}

/// Shows that an answer of the release comes through the listener, unless the last switch has shown it: whatever
/// else was proven says what nginx is told, and not who answers.
pub(super) async fn answer_of_release<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    expect: Option<&str>,
    endpoints: &[Endpoint],
) -> Result<Option<Note>, Failure> {
    if context.ledger.borrow().answered.contains(host) {
        return Ok(None);
    }
    let proof = if let Some(expected) = expect {
        request(context, host, expected).await?;
        ProofUsed::Request
    } else {
        let before = arrivals(context, host, endpoints).await;
        arrival(context, host, endpoints, &before).await?;
        ProofUsed::Arrival
    };
    Ok(Some(Note::Proven { proof }))
}

/// Waits until the generation endpoint gives the expected answer.
pub(super) async fn generation<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    expected: &str,
) -> Result<(), Failure> {
    let Some(nginx) = context.topology.nginx.get(host) else {
        return Ok(());
    };
    let deadline = Instant::now() + DEADLINE;
    loop {
        let found = observe::generation(context.crew, host, nginx).await;
        if found.as_deref() == Some(expected) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            let reason = format!("the listener answers generation `{found}` and not `{expected}`");
            return Err(Failure::Unproven { reason });
        }
        sleep(POLL).await;
    }
}

async fn request<H: Host>(context: &Context<'_, H>, host: &HostName, expected: &str) -> Result<(), Failure> {
    let Some(request) = own_request(context, host) else {
        return Err(Failure::Unproven {
            reason: "the playbook's proof has no URL that could be asked".to_owned(),
        });
    };
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = context.crew.http(host, &request).await;
        context
            .crew
            .forget_http(host, &request.address, request.port)
            .await;
        let found = match answer {
            Ok(response) => {
                let body = String::from_utf8_lossy(&response.body).into_owned();
                if response.status < 400 && body.contains(expected) {
                    return Ok(());
                }
                format!(
                    "HTTP {} `{}`",
                    response.status,
                    body.chars().take(120).collect::<String>()
                )
            }
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            let reason =
                format!("the proof's answer through the listener is {found} and does not hold `{expected}`");
            return Err(Failure::Unproven { reason });
        }
        sleep(POLL).await;
    }
}

/// The playbook's own request, sent to the host's local listener.
fn own_request<H>(context: &Context<'_, H>, host: &HostName) -> Option<HttpRequest> {
    let proof = context.playbook.nginx.proof.as_ref()?;
    let listener = &context.topology.nginx.get(host)?.listener;
    let (tls, rest) = match proof.url.split_once("://")? {
        ("https", rest) => (true, rest),
        (_, rest) => (false, rest),
    };
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (authority, if tls { 443 } else { 80 }),
    };
    let port = if authority.contains(':') {
        port
    } else {
        listener_port(listener.port.number(), listener.tls, tls, port)
    };
    Some(HttpRequest {
        address: listener.address.as_str().to_owned(),
        port,
        tls,
        host_header: name.to_owned(),
        path: path.to_owned(),
        timeout: REQUEST_TIMEOUT,
    })
}

/// A URL without a port means our own listener where the scheme fits, and the scheme's port else.
fn listener_port(own: u16, own_tls: bool, tls: bool, usual: u16) -> u16 {
    if own_tls == tls { own } else { usual }
}

/// With the user's own files nothing tells the generation: a connection from this nginx that
/// arrives at a new endpoint while a request goes through the listener is the proof.
async fn arrival<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    endpoints: &[Endpoint],
    before: &Arrivals,
) -> Result<(), Failure> {
    let (Some(nginx), Ok(seen)) = (
        context.topology.nginx.get(host),
        observe::one(context.topology, context.playbook, context.crew, host).await,
    ) else {
        return Err(Failure::Unproven {
            reason: "the host gave no answer after the switch".to_owned(),
        });
    };
    let own = own_addresses(seen.nginx.as_ref());
    let listener = &nginx.listener;
    let request = HttpRequest {
        address: listener.address.as_str().to_owned(),
        port: listener.port.number(),
        tls: listener.tls,
        host_header: listener
            .server_name
            .clone()
            .unwrap_or_else(|| "localhost".to_owned()),
        path: context.playbook.health.path.clone(),
        timeout: REQUEST_TIMEOUT,
    };
    let deadline = Instant::now() + DEADLINE;
    loop {
        // What it answers does not matter here; that it arrives does.
        let _ = context.crew.http(host, &request).await;
        context
            .crew
            .forget_http(host, &request.address, request.port)
            .await;
        let now = peers(context, endpoints).await;
        // Where nobody could say who was there before, a peer shows nothing.
        let fresh = |(endpoint, peers): (&Endpoint, &BTreeSet<String>)| {
            let new = before.get(endpoint).map(|known| peers.difference(known));
            new.is_some_and(|mut new| new.any(|peer| own.contains(address_of(peer))))
        };
        if now.iter().any(fresh) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let reason = "no connection from this nginx arrived at a new endpoint; name a request in `nginx.proof` if \
                          addresses are translated on the way";
            return Err(Failure::Unproven {
                reason: reason.to_owned(),
            });
        }
        sleep(POLL).await;
    }
}

fn own_addresses(nginx: Option<&NginxObserved>) -> BTreeSet<&str> {
    nginx
        .into_iter()
        .flat_map(|nginx| &nginx.own_addresses)
        .map(String::as_str)
        .collect()
}

fn address_of(peer: &str) -> &str {
    peer.rsplit_once(':')
        .map_or(peer, |(address, _)| address.trim_matches(['[', ']']))
}

/// The peers of each endpoint whose host answers.
async fn peers<H: Host>(context: &Context<'_, H>, endpoints: &[Endpoint]) -> Arrivals {
    let asked = endpoints.iter().map(|endpoint| async move {
        let command = Command::Peers(Peers { port: endpoint.port });
        let answered = context.crew.call(&endpoint.host, command).await.ok()?;
        let peers = answer!(answered, Peers).ok()?;
        Some((endpoint.clone(), peers.into_iter().collect()))
    });
    join_all(asked).await.into_iter().flatten().collect()
}
