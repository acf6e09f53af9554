//! Asks endpoints whether they are healthy, and watches them until they are, or no longer are.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::model::endpoint::Endpoint;
use crate::model::event::Event;
use crate::model::failure::{Failure, HealthAnswer};
use crate::model::identity;
use crate::model::names::HostName;
use crate::model::observed::SlotObserved;
use crate::model::plan::Viewed;
use crate::model::playbook::HealthCheck;
use crate::model::topology::Topology;
use crate::remote::command::{Command, LogTail};

use super::context::{Context, Memory};
use super::crew::answer;
use super::fleet::{Host, HttpError, HttpRequest, HttpResponse};
use super::observe;

/// How many failures in a row end a bake, and how often anybody asks before an endpoint counts as sick.
pub(super) const TOLERANCE: u32 = 3;
/// Before the first success, an endpoint is asked this often, or at the playbook's interval if that
/// is shorter: a start is found out at once, and a connection that is refused costs next to nothing.
const EAGER: Duration = Duration::from_millis(100);
/// How much of a body goes into an answer for people.
const BODY_CHARS: usize = 300;

/// Asks one endpoint once, as one host sees it.
pub async fn ask<H: Host>(context: &Context<'_, H>, from: &HostName, viewed: &Viewed) -> HealthAnswer {
    let check = &context.playbook.health;
    let request = request(viewed, &check.path, check.timeout);
    let answer = judge(check, context.crew.http(from, &request).await);
    let Some(identify) = context.playbook.identify.as_ref().filter(|_| answer.is_healthy()) else {
        return answer;
    };
    let request = self::request(viewed, &identify.path, check.timeout);
    let told = context.crew.http(from, &request).await;
    identified(context.topology, &viewed.endpoint, told).unwrap_or(answer)
}

/// What is wrong with an endpoint that is healthy and is not its slot.
fn identified(
    topology: &Topology,
    endpoint: &Endpoint,
    told: Result<HttpResponse, HttpError>,
) -> Option<HealthAnswer> {
    let slot = topology.slot_of(endpoint)?;
    let wanted = topology.identities.get(slot)?;
    let response = match told {
        Ok(response) => response,
        Err(error) => {
            let reason = format!("it does not say which slot it is: {error}");
            return Some(HealthAnswer::Failed { reason });
        }
    };
    let text = String::from_utf8_lossy(&response.body);
    if response.status == 200 && identity::is(topology, slot, &text) {
        return None;
    }
    let reason = match identity::known(topology, &text).filter(|_| response.status == 200) {
        Some(other) => format!("it answers as slot {other}, and is slot {slot}"),
        None => format!("it does not answer `{wanted}`, as slot {slot} does"),
    };
    Some(HealthAnswer::Wrong {
        status: response.status,
        reason,
        body: text.chars().take(BODY_CHARS).collect(),
    })
}

fn request(viewed: &Viewed, path: &str, timeout: Duration) -> HttpRequest {
    let port = viewed.endpoint.port.number();
    HttpRequest {
        address: viewed.address.clone(),
        port,
        tls: false,
        host_header: format!("{}:{port}", viewed.address),
        path: path.to_owned(),
        timeout,
    }
}

fn judge(check: &HealthCheck, response: Result<HttpResponse, HttpError>) -> HealthAnswer {
    let response = match response {
        Ok(response) => response,
        Err(HttpError::Refused) => return HealthAnswer::Refused,
        Err(HttpError::TimedOut { after }) => return HealthAnswer::TimedOut { waited: after },
        Err(error) => {
            return HealthAnswer::Failed {
                reason: error.to_string(),
            };
        }
    };
    let text = String::from_utf8_lossy(&response.body);
    let body: String = text.chars().take(BODY_CHARS).collect();
    let wrong = |reason| HealthAnswer::Wrong {
        status: response.status,
        reason,
        body: body.clone(),
    };
    if response.status != check.status {
        return wrong(format!("the status is not {}", check.status));
    }
    if let Some(wanted) = check
        .body_contains
        .as_ref()
        .filter(|wanted| !text.contains(wanted.as_str()))
    {
        return wrong(format!("the body does not contain `{wanted}`"));
    }
    if !check.json.is_empty() {
        let Ok(json) = serde_json::from_str::<Value>(&text) else {
            return wrong("the body is no JSON".to_owned());
        };
        for (field, wanted) in &check.json {
            let found = field.split('.').try_fold(&json, |value, key| value.get(key));
            let found = found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            if found.as_deref() != Some(wanted) {
                let found = found.unwrap_or_else(|| "absent".to_owned());
                return wrong(format!("`{field}` is {found}, not {wanted}"));
            }
        }
    }
    HealthAnswer::Healthy {
        status: response.status,
    }
}

/// Asks an endpoint until it has been healthy for `min_healthy_time` without a break, or once where that is zero.
///
/// Fails at `deadline`, or at once when the recorded process is gone.
pub async fn until_healthy<H: Host>(
    context: &Context<'_, H>,
    from: &HostName,
    viewed: &Viewed,
    min_healthy_time: Duration,
    deadline: Instant,
) -> Result<(), Failure> {
    let check = &context.playbook.health;
    let mut healthy_since = None;
    let mut tries = 0;
    loop {
        let asked_at = Instant::now();
        let answer = ask(context, from, viewed).await;
        tries += 1;
        let since = answer
            .is_healthy()
            .then(|| *healthy_since.get_or_insert(asked_at));
        healthy_since = since;
        let healthy_for = since.map_or(Duration::ZERO, |since| Instant::now() - since);
        context.tell(Event::HealthTried {
            endpoint: viewed.endpoint.clone(),
            seen_from: from.clone(),
            tries,
            answer: answer.clone(),
            healthy_for,
        });
        if since.is_some() && healthy_for >= min_healthy_time {
            return Ok(());
        }
        if answer == HealthAnswer::Refused && viewed.endpoint.host == *from {
            still_runs(context, viewed).await?;
        }
        let pause = if since.is_some() {
            check.interval
        } else {
            check.interval.min(EAGER)
        };
        let enough = since.map(|since| since + min_healthy_time);
        let next = enough.map_or(asked_at + pause, |enough| enough.min(asked_at + pause));
        if next.max(Instant::now()) >= deadline {
            return Err(unhealthy(context, from, viewed, answer).await);
        }
        sleep_until(next).await;
    }
}

/// Asks an endpoint for a while, and fails when it is not healthy several times in a row.
pub async fn stays_healthy<H: Host>(
    context: &Context<'_, H>,
    from: &HostName,
    viewed: &Viewed,
    duration: Duration,
) -> Result<(), Failure> {
    let end = Instant::now() + duration;
    let mut failures = 0;
    while Instant::now() < end {
        let asked_at = Instant::now();
        let answer = ask(context, from, viewed).await;
        failures = if answer.is_healthy() { 0 } else { failures + 1 };
        if failures > 0 {
            let endpoint = viewed.endpoint.clone();
            let answer = answer.clone();
            let seen_from = from.clone();
            context.tell(Event::HealthTried {
                endpoint,
                seen_from,
                tries: failures,
                answer,
                healthy_for: Duration::ZERO,
            });
        }
        if failures >= TOLERANCE {
            return Err(unhealthy(context, from, viewed, answer).await);
        }
        sleep_until((asked_at + context.playbook.health.interval).min(end)).await;
    }
    Ok(())
}

/// Sends the requests that nobody waits for; what they answer does not matter.
pub async fn warm_up<H: Host>(context: &Context<'_, H>, from: &HostName, viewed: &Viewed) {
    let Some(warmup) = &context.playbook.warmup else {
        return;
    };
    let request = request(viewed, &warmup.path, context.playbook.health.timeout);
    for _ in 0..warmup.requests {
        if context.crew.http(from, &request).await.is_err() {
            return;
        }
    }
}

async fn still_runs<H: Host>(context: &Context<'_, H>, viewed: &Viewed) -> Result<(), Failure> {
    let host = &viewed.endpoint.host;
    let Some(expected) = context.ledger.borrow().instances.get(&viewed.endpoint).cloned() else {
        return Ok(());
    };
    // A host that gives no answer now is asked again at the next try.
    let Ok(seen) = observe::slots(context.topology, context.crew, host).await else {
        return Ok(());
    };
    let memory = Memory::of(&seen.machine);
    let slots = seen.was.map(|was| was.slots).unwrap_or_default();
    let runs = slots
        .values()
        .filter_map(SlotObserved::running_record)
        .any(|record| record.identity == expected);
    if runs {
        return Ok(());
    }
    let tail = log_tail(context, viewed).await;
    let endpoint = viewed.endpoint.clone();
    let before = context.ledger.borrow().memory.get(host).copied();
    let kills = before.and_then(|before| memory.kills?.checked_sub(before.kills?));
    if let (Some(before), Some(kills)) = (before, kills.filter(|kills| *kills > 0)) {
        let available_bytes = before.available_bytes;
        return Err(Failure::OutOfMemory {
            endpoint,
            available_bytes,
            kills,
            tail,
        });
    }
    Err(Failure::Exited {
        endpoint,
        reason: format!("process {} is gone", expected.pid),
        tail,
    })
}

async fn unhealthy<H: Host>(
    context: &Context<'_, H>,
    from: &HostName,
    viewed: &Viewed,
    answer: HealthAnswer,
) -> Failure {
    let identity = context.ledger.borrow().instances.get(&viewed.endpoint).cloned();
    let tail = log_tail(context, viewed).await;
    Failure::Unhealthy {
        endpoint: viewed.endpoint.clone(),
        seen_from: from.clone(),
        answer,
        identity,
        tail,
    }
}

/// The end of the log of what runs at an endpoint; empty if it cannot be had.
pub async fn log_tail<H: Host>(context: &Context<'_, H>, viewed: &Viewed) -> String {
    let Some(slot) = context.topology.slot_of(&viewed.endpoint) else {
        return String::new();
    };
    let command = Command::LogTail(LogTail {
        slot: slot.clone(),
        lines: 200,
    });
    let Ok(answer) = context.crew.call(&viewed.endpoint.host, command).await else {
        return String::new();
    };
    answer!(answer, LogTail)
        .ok()
        .flatten()
        .map(|end| end.text)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check() -> HealthCheck {
        HealthCheck {
            path: "/actuator/health".to_owned(),
            status: 200,
            json: BTreeMap::from([("status".to_owned(), "UP".to_owned())]),
            body_contains: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            min_healthy_time: Duration::from_secs(1),
            healthy_deadline: Duration::from_secs(1),
        }
    }

    fn response(status: u16, body: &str) -> HttpResponse {
        HttpResponse {
            status,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn unknown_with_status_200_is_not_healthy() {
        assert!(judge(&check(), Ok(response(200, r#"{"status":"UP","groups":[]}"#))).is_healthy());
        assert!(!judge(&check(), Ok(response(200, r#"{"status":"UNKNOWN"}"#))).is_healthy());
        assert!(!judge(&check(), Ok(response(503, r#"{"status":"UP"}"#))).is_healthy());
        assert!(!judge(&check(), Ok(response(200, "<html>"))).is_healthy());
        assert!(!judge(&check(), Err(HttpError::Refused)).is_healthy());
    }
}
