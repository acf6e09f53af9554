//! Tells webhooks that a run begins and how it ended, as the playbook's `notify` says. A message is on its way
//! while the run goes on; what becomes of it is a warning at most. The address stands in the environment and
//! nowhere else.

use std::cell::RefCell;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::model::event::Stamped;
use crate::model::finding::{Finding, Problem};
use crate::model::notify::{Moment, Notify, Service, Untold};
use crate::model::run_view::RunView;
use crate::model::secret::Secrets;
use crate::report::harmless::harmless;
use crate::report::notice;

use super::http;

/// How much of a refusing answer is read: services say in a word or two what they did not like.
const ANSWER_BYTES: u64 = 200;

/// The webhooks of the playbook, and where their addresses are.
pub(super) struct Webhooks {
    open: Vec<Webhook>,
    /// What is wrong with the others.
    pub(super) warnings: Vec<Finding>,
}

/// A webhook with an address.
#[derive(Clone)]
struct Webhook {
    notify: Notify,
    url: Arc<str>,
}

impl Webhooks {
    /// Looks every address up in the environment.
    pub(super) fn of(notify: &[Notify]) -> Self {
        Self::with(notify, |variable| std::env::var(variable).ok())
    }

    fn with(notify: &[Notify], environment: impl Fn(&str) -> Option<String>) -> Self {
        let mut webhooks = Self {
            open: Vec::new(),
            warnings: Vec::new(),
        };
        for notify in notify {
            let value = environment(&notify.variable).filter(|value| !value.is_empty());
            let reason = match value {
                Some(url) if is_address(&url) => {
                    let (notify, url) = (notify.clone(), url.into());
                    webhooks.open.push(Webhook { notify, url });
                    continue;
                }
                Some(_) => "which does not hold an address that begins with http:// or https://",
                None => "which is not set",
            };
            let variable = notify.variable.clone();
            let reason = reason.to_owned();
            let problem = Problem::Untold(Untold::NobodyToTell { variable, reason });
            webhooks.warnings.push(Finding::warning(None, problem));
        }
        webhooks
    }

    /// The same secrets, and the addresses: each as a whole, and the part of it that lets one in.
    pub(super) fn hidden_too(&self, secrets: &Secrets) -> Secrets {
        self.open.iter().fold(secrets.clone(), |secrets, webhook| {
            let path = webhook.url.splitn(4, '/').nth(3);
            // A short one is a word, and no key.
            let path = path.filter(|path| path.len() >= 16);
            secrets.with(Some(&webhook.url)).with(path)
        })
    }
}

fn is_address(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && url.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// A message on its way.
struct Message {
    notify: Notify,
    moment: Moment,
    sending: JoinHandle<Result<(), String>>,
}

/// Follows one run, and sends.
pub(super) struct Courier {
    webhooks: Webhooks,
    secrets: Secrets,
    view: RefCell<RunView>,
    /// What was told: a plan that is made anew is no second beginning.
    told: RefCell<Vec<Moment>>,
    under_way: RefCell<Vec<Message>>,
}

impl Courier {
    /// One for a run that is about to begin.
    pub(super) fn new(webhooks: Webhooks, secrets: Secrets) -> Self {
        Self {
            webhooks,
            secrets,
            view: RefCell::default(),
            told: RefCell::default(),
            under_way: RefCell::default(),
        }
    }

    /// One who tells nobody: the command says itself what there is to tell.
    pub(super) fn silent() -> Self {
        Self::new(Webhooks::with(&[], |_| None), Secrets::default())
    }

    /// What is wrong with webhooks that cannot be told anything.
    pub(super) fn warnings(&self) -> &[Finding] {
        &self.webhooks.warnings
    }

    /// Takes one event; sends a message where it is worth one.
    pub(super) fn hear(&self, stamped: &Stamped) {
        if self.webhooks.open.is_empty() {
            return;
        }
        self.view.borrow_mut().apply(stamped);
        let Some(moment) = notice::moment(&stamped.event) else {
            return;
        };
        if self.told.borrow().contains(&moment) {
            return;
        }
        self.told.borrow_mut().push(moment);
        let view = self.view.borrow();
        self.tell(moment, |service| {
            notice::message(service, moment, &view, &self.secrets)
        });
    }

    /// Tells everybody who wants to know of that moment.
    pub(super) fn tell(&self, moment: Moment, message: impl Fn(Service) -> Value) {
        let open = self.webhooks.open.iter();
        for webhook in open.filter(|webhook| webhook.notify.on.contains(&moment)) {
            let body = message(webhook.notify.service);
            let notify = webhook.notify.clone();
            let webhook = webhook.clone();
            let sending = tokio::task::spawn_blocking(move || send(&webhook, body.to_string().as_bytes()));
            self.under_way.borrow_mut().push(Message {
                notify,
                moment,
                sending,
            });
        }
    }

    /// What no message may hold.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Waits for what is still on its way, no longer than its deadline; what did not arrive is the answer.
    pub(super) async fn finish(&self) -> Vec<Finding> {
        let under_way = self.under_way.take();
        let each = under_way.into_iter().map(Message::arrival);
        join_all(each).await.into_iter().flatten().collect()
    }
}

impl Message {
    /// What is to be said of it in the end.
    async fn arrival(self) -> Option<Finding> {
        let deadline = self.notify.deadline;
        // A little more than the client's own deadline: its word says more.
        let arrived = tokio::time::timeout(deadline + Duration::from_millis(250), self.sending).await;
        let reason = match arrived {
            Ok(Ok(Ok(()))) => return None,
            Ok(Ok(Err(reason))) => reason,
            Ok(Err(error)) => harmless(&error.to_string()),
            Err(_) => http::too_late(deadline),
        };
        let problem = Problem::Untold(Untold::NotTold {
            variable: self.notify.variable,
            moment: self.moment,
            reason,
        });
        Some(Finding::warning(None, problem))
    }
}

/// Sends a message. The error is for people, and never holds the address.
fn send(webhook: &Webhook, body: &[u8]) -> Result<(), String> {
    let deadline = webhook.notify.deadline;
    let request = http::agent(deadline).post(&*webhook.url);
    let sent = request.content_type("application/json").send(body);
    let mut response = sent.map_err(|error| http::reason(&error, deadline))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let mut said = Vec::new();
    let _ = response
        .body_mut()
        .as_reader()
        .take(ANSWER_BYTES)
        .read_to_end(&mut said);
    let said = harmless(&String::from_utf8_lossy(&said));
    let said = if said.is_empty() {
        said
    } else {
        format!(": {said}")
    };
    Err(format!("HTTP {}{said}", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const URL: &str = "https://hooks.example/services/T000/B000/XXXXXXXXXXXX";

    fn webhooks(value: Option<&str>) -> Webhooks {
        let notify = Notify {
            service: Service::Slack,
            variable: "HOOK".to_owned(),
            on: BTreeSet::from(Moment::ALL),
            deadline: Notify::DEADLINE,
        };
        Webhooks::with(&[notify], |_| value.map(str::to_owned))
    }

    #[test]
    fn a_variable_without_an_address_is_a_warning_without_its_value() {
        for value in [
            None,
            Some(""),
            Some("hooks.example/x"),
            Some("https://"),
            Some("https://a b"),
        ] {
            let webhooks = webhooks(value);
            assert!(webhooks.open.is_empty(), "{value:?}");
            let said = webhooks.warnings[0].problem.to_string();
            assert!(said.contains("HOOK") && !said.contains("hooks.example"), "{said}");
        }
        assert!(webhooks(Some(URL)).warnings.is_empty());
    }

    #[test]
    fn an_address_is_hidden_as_a_whole_and_without_its_host() {
        let secrets = webhooks(Some(URL)).hidden_too(&Secrets::default());
        let said = format!("{URL} and /services/T000/B000/XXXXXXXXXXXX of hooks.example");
        assert_eq!(secrets.hide(&said), "*** and /*** of hooks.example");
    }
}
