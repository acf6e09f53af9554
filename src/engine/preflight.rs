//! What has to be tried to be known: whether sshd forwards to the application, whether sudo lets the
//! commands through, and how the live application feels. Changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;

use crate::model::endpoint::Endpoint;
use crate::model::failure::HealthAnswer;
use crate::model::finding::{Finding, Problem};
use crate::model::hook::{Hook, HookPlace};
use crate::model::names::{HostName, UserName};
use crate::model::plan::{Plan, Viewed};
use crate::remote::command::{Command, SudoCheck};

use super::context::Context;
use super::crew::answer;
use super::fleet::{Host, HttpError, HttpRequest};
use super::{health, observe};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Everything that had to be tried, on all hosts at once.
pub async fn preflight<H: Host>(context: &Context<'_, H>, plan: &Plan) -> Vec<Finding> {
    let hosts = context.topology.hosts();
    let tried = join_all(hosts.into_iter().map(|host| on_host(context, host)));
    let (tried, live) = futures::join!(tried, live(context, plan));
    tried.into_iter().flatten().chain(live).collect()
}

/// What had to be tried on one host.
pub async fn on_host<H: Host>(context: &Context<'_, H>, host: &HostName) -> Vec<Finding> {
    let (mut findings, forwarding) = futures::join!(sudo(context, host), forwarding(context, host));
    findings.extend(forwarding);
    findings
}

async fn sudo<H: Host>(context: &Context<'_, H>, host: &HostName) -> Vec<Finding> {
    let nginx = context.topology.nginx.get(host).map(observe::question);
    let users = hook_users(context, host);
    let was = context.topology.was.get(host);
    let has_units = was.is_some_and(|was| !was.units.is_empty());
    if nginx.is_none() && users.is_empty() && !has_units {
        return Vec::new();
    }
    let call = async {
        answer!(
            context
                .crew
                .call(host, Command::SudoCheck(SudoCheck { nginx, users }))
                .await?,
            SudoCheck
        )
    };
    match call.await {
        Ok(entries) => entries
            .into_iter()
            .filter(|entry| !entry.allowed)
            .map(|entry| {
                Finding::refusal(
                    Some(host),
                    Problem::SudoRefused {
                        command: entry.command,
                    },
                )
            })
            .collect(),
        Err(error) => vec![Finding::refusal(
            Some(host),
            Problem::CannotObserve {
                reason: error.to_string(),
            },
        )],
    }
}

/// As whom hooks may have to run on a host.
fn hook_users<H>(context: &Context<'_, H>, host: &HostName) -> BTreeSet<UserName> {
    let runs_there = |hook: &&Hook| match hook.place {
        HookPlace::Was | HookPlace::First => context.topology.was.contains_key(host),
        HookPlace::Nginx => context.topology.nginx.contains_key(host),
        HookPlace::Controller => false,
    };
    let hooks = context.playbook.hooks.all().filter(runs_there);
    hooks.filter_map(|hook| hook.run_as.clone()).collect()
}

/// Asks an address where nothing need listen: refused by the target means that sshd forwards.
async fn forwarding<H: Host>(context: &Context<'_, H>, host: &HostName) -> Option<Finding> {
    let own = context
        .topology
        .was
        .get(host)
        .and_then(|was| was.ports.values().next());
    let elsewhere = || {
        context
            .topology
            .was
            .values()
            .flat_map(|was| was.ports.values())
            .next()
    };
    let port = own.or_else(elsewhere)?.number();
    let request = HttpRequest {
        address: "127.0.0.1".to_owned(),
        port,
        tls: false,
        host_header: format!("127.0.0.1:{port}"),
        path: context.playbook.health.path.clone(),
        timeout: TIMEOUT,
    };
    let tried = context.crew.http(host, &request).await;
    context.crew.forget_http(host, &request.address, port).await;
    matches!(tried, Err(HttpError::NoWay)).then(|| Finding::refusal(Some(host), Problem::NoWayToAsk))
}

async fn live<H: Host>(context: &Context<'_, H>, plan: &Plan) -> Vec<Finding> {
    let Some(from) = &plan.from else { return Vec::new() };
    let asked = context
        .topology
        .endpoints(from)
        .into_iter()
        .map(|endpoint| async move {
            let answer = own_view(context, &endpoint).await;
            let answer = answer.filter(|answer| !answer.is_healthy())?;
            let host = endpoint.host.clone();
            let problem = Problem::LiveInstanceUnhealthy {
                endpoint,
                answer: answer.to_string(),
            };
            Some(Finding::warning(Some(&host), problem))
        });
    join_all(asked).await.into_iter().flatten().collect()
}

/// What an endpoint answers to its own host. The connection is not kept, so that it does not count
/// as somebody's.
pub async fn own_view<H: Host>(context: &Context<'_, H>, endpoint: &Endpoint) -> Option<HealthAnswer> {
    context.topology.was.get(&endpoint.host)?;
    Some(view(context, &endpoint.host, endpoint, "127.0.0.1".to_owned()).await)
}

/// What an endpoint answers to an nginx host, in the same way; also one of a host that is left out, where nobody logs in.
pub(super) async fn view_of<H: Host>(
    context: &Context<'_, H>,
    from: &HostName,
    endpoint: &Endpoint,
) -> Option<HealthAnswer> {
    let was = context.topology.was_host(&endpoint.host)?;
    Some(view(context, from, endpoint, was.address.to_string()).await)
}

async fn view<H: Host>(
    context: &Context<'_, H>,
    from: &HostName,
    endpoint: &Endpoint,
    address: String,
) -> HealthAnswer {
    let viewed = Viewed {
        endpoint: endpoint.clone(),
        address,
    };
    let answer = health::ask(context, from, &viewed).await;
    let port = endpoint.port.number();
    context.crew.forget_http(from, &viewed.address, port).await;
    answer
}
