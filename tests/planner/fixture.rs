//! A fleet as observed, told in a few words: two WAS hosts behind two nginx hosts, with nothing on
//! them at first.

use std::collections::BTreeMap;
use std::time::Duration;

use nonstop::config::{self, Config, Source};
use nonstop::model::endpoint::Endpoint;
use nonstop::model::finding::{Finding, Problem, Severity};
use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::{HostName, Port, ReleaseId, RemotePath, RunId, SlotName};
use nonstop::model::observed::{
    EntryKind, HostObserved, NginxObserved, Observed, ReleaseObserved, SlotObserved, WasObserved,
};
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, By, Goal, Plan, Scene, Step};
use nonstop::model::process::{InstanceRecord, ListeningProcess, ProcessIdentity, UnfinishedStart};
use nonstop::model::record::{RunKind, RunRecord, RunStatus};
use nonstop::model::release::Release;
use nonstop::model::token::{Token, TokenId, TokenState, WatchProcess};

mod blank;
mod texts;

use blank::{host_observed, nginx_observed, was_observed};
use texts::{CONF_PER_SLOT, INCLUDE, INVENTORY, ONE_HOST, PLAYBOOK, SITE_STYLE};

pub(crate) const V1: &str = "20260101T100000Z-sokdak-1-aaaaaaaa";
pub(crate) const V2: &str = "20260102T100000Z-sokdak-2-bbbbbbbb";
pub(crate) const V3: &str = "20260103T100000Z-sokdak-3-cccccccc";
pub(crate) const SITES: &str = "/etc/nginx/sites-enabled";
pub(crate) const SITE: &str = "/etc/nginx/sites-enabled/sokdak.conf";

/// The user's own server, as it has been since a script switched it.
const SERVER: &str =
    "server { listen 80; include /etc/nginx/service-url.inc; location / { proxy_pass $service_url; }
    location /files { proxy_pass http://127.0.0.1:9999; } }
";
pub(crate) const SERVICE_URL: &str = "/etc/nginx/service-url.inc";
pub(crate) const UPSTREAMS: &str = "/etc/nginx/sites-enabled/upstreams.conf";
const MAIN: &str = "events {}\nhttp {\n\tinclude /etc/nginx/sites-enabled/*;\n}\n";

/// A fleet as it would be observed.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) config: Config,
    pub(crate) observed: Observed,
    files: BTreeMap<HostName, BTreeMap<String, File>>,
    pids: u32,
}

/// What an nginx host has under one name in its folder of sites.
#[derive(Debug, Clone)]
struct File {
    text: String,
    kind: EntryKind,
}

pub(crate) fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

pub(crate) fn slot(name: &str) -> SlotName {
    SlotName::new(name).unwrap()
}

pub(crate) fn release_id(id: &str) -> ReleaseId {
    ReleaseId::new(id).unwrap()
}

pub(crate) fn endpoint(name: &str, port: u16) -> Endpoint {
    Endpoint {
        host: host(name),
        port: Port::new(port).unwrap(),
    }
}

/// A release of 60 MB.
pub(crate) fn release(id: &str) -> Release {
    Release {
        id: release_id(id),
        sha256: "f".repeat(64),
        size_bytes: 60_000_000,
        jar_name: "sokdak-2.jar".to_owned(),
    }
}

/// A site that routes to both WAS hosts at that port, as a person would write it.
pub(crate) fn site(port: u16) -> String {
    format!(
        "upstream sokdak {{ server 10.0.0.1:{port}; server 10.0.0.2:{port}; }}\n\
         server {{ listen 80; server_name sokdak.example; location / {{ proxy_pass http://sokdak; }} }}\n"
    )
}

/// A site that we rendered, as far as the planner reads it.
pub(crate) fn our_site(port: u16, generation: &str) -> String {
    let location = format!("location = /__nonstop/generation {{ return 200 \"{generation}\"; }}");
    site(port).replace("location /", &format!("{location}\n location /"))
}

impl Fleet {
    /// The style `site`, nothing running anywhere.
    pub(crate) fn empty() -> Self {
        Self::of(INVENTORY, &format!("{PLAYBOOK}{SITE_STYLE}"))
    }

    /// The style `conf_per_slot`, with the user's own files in place.
    pub(crate) fn with_own_files() -> Self {
        let mut fleet = Self::of(INVENTORY, &format!("{PLAYBOOK}{CONF_PER_SLOT}"));
        for name in ["nginx-1", "nginx-2"] {
            let files = [("blue", site(8080)), ("green", site(8081))];
            fleet.nginx(name).slot_files = files
                .into_iter()
                .map(|(name, text)| (slot(name), Some(text)))
                .collect();
        }
        fleet
    }

    /// The style `include` on one host, its server reading what a person's script wrote for the blue slot.
    pub(crate) fn with_include() -> Self {
        let mut fleet = Self::of(ONE_HOST, &format!("{PLAYBOOK}{INCLUDE}"));
        fleet.file("was-1", "app", SERVER);
        fleet.file("was-1", SERVICE_URL, "set $service_url http://10.0.0.1:8080;\n");
        fleet
    }

    /// The style `include` with upstreams of two hosts.
    pub(crate) fn with_upstreams() -> Self {
        let more = format!("{INCLUDE}    upstream_file: {UPSTREAMS}\n");
        let mut fleet = Self::of(INVENTORY, &format!("{PLAYBOOK}{more}"));
        for name in ["nginx-1", "nginx-2"] {
            fleet.file(name, "app", SERVER);
            fleet.file(name, SERVICE_URL, "set $service_url http://old;\n");
            fleet.file(
                name,
                "old",
                "upstream old { server 10.0.0.1:8080; server 10.0.0.2:8080; }\n",
            );
        }
        fleet
    }

    /// One host that both runs the application and routes to it.
    pub(crate) fn on_one_host() -> Self {
        Self::of(ONE_HOST, &format!("{PLAYBOOK}{SITE_STYLE}"))
    }

    /// The style `site` with more lines at the playbook's end.
    pub(crate) fn with(more: &str) -> Self {
        Self::of(INVENTORY, &format!("{PLAYBOOK}{SITE_STYLE}{more}"))
    }

    /// The style `site` on other hosts than the usual ones, with more lines at the playbook's end.
    pub(crate) fn on_hosts(inventory: &str, more: &str) -> Self {
        Self::of(inventory, &format!("{PLAYBOOK}{SITE_STYLE}{more}"))
    }

    /// The usual hosts with an `nginx` section and what else is said.
    pub(crate) fn with_nginx(nginx: &str) -> Self {
        Self::of(INVENTORY, &format!("{PLAYBOOK}{nginx}"))
    }

    pub(crate) fn of(inventory: &str, playbook: &str) -> Self {
        let inventory = Source::new("inventory.yml", inventory);
        let playbook = Source::new("playbook.yml", playbook);
        let config = config::load_sources(&inventory, &playbook).unwrap_or_else(|report| panic!("{report}"));
        let mut fleet = Self {
            observed: Observed::default(),
            files: BTreeMap::new(),
            pids: 1000,
            config,
        };
        for name in fleet.config.topology.hosts() {
            let topology = &fleet.config.topology;
            let was = topology.was.get(name).map(|was| was_observed(&was.ports));
            let nginx = topology.nginx.contains_key(name).then(nginx_observed);
            let seen = HostObserved {
                was,
                nginx,
                ..host_observed()
            };
            fleet.observed.hosts.insert(name.clone(), seen);
        }
        fleet
    }

    /// A fleet whose blue slot is live with `V1`, put there by us.
    pub(crate) fn on_blue() -> Self {
        let mut fleet = Self::empty();
        fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
        fleet
    }

    /// Every nginx host runs our file with that generation.
    pub(crate) fn routes(&mut self, port: u16, generation: &str) -> &mut Self {
        for name in self.nginx_names() {
            self.file(&name, "sokdak.conf", &our_site(port, generation));
            self.nginx(&name).generation = Some(generation.to_owned());
        }
        self
    }

    /// A process of ours listens on a slot of every WAS host.
    pub(crate) fn runs(&mut self, slot_name: &str, id: &str) -> &mut Self {
        for name in self.was_names() {
            self.runs_on(&name, slot_name, id);
        }
        self
    }

    /// A process of ours listens on a slot of one host.
    pub(crate) fn runs_on(&mut self, name: &str, slot_name: &str, id: &str) -> &mut Self {
        self.listens(name, slot_name);
        let seen = self.slot(name, slot_name);
        seen.record = Some(InstanceRecord {
            slot: slot(slot_name),
            port: seen.port,
            release: release_id(id),
            identity: seen.listener_identity().unwrap().clone(),
            log: RemotePath::new("/home/ubuntu/sokdak/logs/app.log").ok(),
        });
        seen.record_runs = true;
        self
    }

    /// A process that no start put on record listens on a slot.
    pub(crate) fn listens(&mut self, name: &str, slot_name: &str) -> &mut Self {
        self.pids += 1;
        let identity = process(name, self.pids);
        self.slot(name, slot_name).listener = Some(ListeningProcess {
            identity: Some(identity),
            uid: 1000,
            command: "java -jar app.jar".to_owned(),
        });
        self
    }

    /// Nothing listens on a slot, and nothing recorded runs.
    pub(crate) fn dies(&mut self, name: &str, slot_name: &str) -> &mut Self {
        let seen = self.slot(name, slot_name);
        seen.listener = None;
        seen.record_runs = false;
        self
    }

    /// Every WAS host has a release.
    pub(crate) fn has(&mut self, id: &str) -> &mut Self {
        for name in self.was_names() {
            self.has_on(&name, id);
        }
        self
    }

    pub(crate) fn has_on(&mut self, name: &str, id: &str) -> &mut Self {
        let known = release(id);
        self.was(name).releases.push(ReleaseObserved {
            id: known.id,
            sha256: known.sha256,
            size_bytes: known.size_bytes,
            jar_name: known.jar_name,
            failed: false,
        });
        self
    }

    /// A deploy of a release failed, on every host that has it.
    pub(crate) fn failed(&mut self, id: &str) -> &mut Self {
        for name in self.was_names() {
            for known in &mut self.was(&name).releases {
                known.failed |= known.id.as_str() == id;
            }
        }
        self
    }

    /// The last run's record, on every host: it brought `release` where `from` was.
    pub(crate) fn record(&mut self, from: Option<&str>, release: &str) -> &mut RunRecord {
        let topology = &self.config.topology;
        let record = RunRecord {
            was: topology.was.keys().cloned().collect(),
            nginx: topology.nginx.keys().cloned().collect(),
            release: Some(release_id(release)),
            from_release: from.map(release_id),
            phase: Phase::Finish,
            point_of_no_return: true,
            status: RunStatus::Done,
            ..RunRecord::opened(RunId::new("run-1").unwrap(), Epoch(1), Owner::default())
        };
        self.observed
            .hosts
            .values_mut()
            .for_each(|seen| seen.record = None);
        self.host("was-1").record.insert(record)
    }

    /// A regular file in an nginx host's folder of sites, or at an absolute path.
    pub(crate) fn file(&mut self, name: &str, file: &str, text: &str) -> &mut Self {
        self.place(name, file, text, EntryKind::File)
    }

    /// A symbolic link there.
    pub(crate) fn link(&mut self, name: &str, file: &str, target: &str, text: &str) -> &mut Self {
        let kind = EntryKind::Link {
            target: target.to_owned(),
            resolved: target.to_owned(),
        };
        self.place(name, file, text, kind)
    }

    fn place(&mut self, name: &str, file: &str, text: &str, kind: EntryKind) -> &mut Self {
        let text = text.to_owned();
        let files = self.files.entry(host(name)).or_default();
        files.insert(file.to_owned(), File { text, kind });
        self
    }

    /// Takes a file away.
    pub(crate) fn no_file(&mut self, name: &str, file: &str) -> &mut Self {
        self.files.entry(host(name)).or_default().remove(file);
        self
    }

    /// What would be observed: the files are what nginx says that it reads.
    pub(crate) fn observed(&self) -> Observed {
        let mut observed = self.observed.clone();
        for (name, seen) in &mut observed.hosts {
            let Some(nginx) = seen.nginx.as_mut().filter(|nginx| nginx.dump.is_empty()) else {
                continue;
            };
            if nginx.test_failure.is_some() {
                continue;
            }
            let nothing = BTreeMap::new();
            let files = self.files.get(name).unwrap_or(&nothing);
            nginx.dump = format!("# configuration file /etc/nginx/nginx.conf:\n{MAIN}\n");
            let path = |file: &str| match file.strip_prefix('/') {
                Some(_) => file.to_owned(),
                None => format!("{SITES}/{file}"),
            };
            let printed = |(file, File { text, .. }): (&String, &File)| {
                format!("# configuration file {}:\n{text}\n", path(file))
            };
            let entry = self.config.topology.nginx[name].file.as_str();
            nginx.dump += &files.iter().map(printed).collect::<String>();
            for (file, File { text, kind }) in files {
                if path(file) == entry {
                    nginx.entry.kind = kind.clone();
                    nginx.entry.content = Some(text.clone());
                } else {
                    nginx.siblings.insert(file.clone(), kind.clone());
                }
            }
        }
        observed
    }

    pub(crate) fn deploy(&self, id: &str) -> Result<Plan, Vec<Finding>> {
        self.plan(&Goal::Deploy(release(id)))
    }

    /// Plans a rollback. One without a name leads where `status` says that it does.
    pub(crate) fn rollback(&self, to: Option<&str>) -> Result<Plan, Vec<Finding>> {
        let planned = self.plan(&Goal::Rollback(to.map(release_id)));
        if let (None, Ok(plan)) = (to, &planned) {
            let told = self.scene(plan::way_back).expect("there is a way back");
            assert_eq!(
                (told.slot, told.release),
                (plan.to.clone(), plan.release.id.clone())
            );
            assert_eq!(told.by == By::Switch, plan.stage(Phase::Start).is_none());
        }
        planned
    }

    fn plan(&self, goal: &Goal) -> Result<Plan, Vec<Finding>> {
        self.scene(|scene| plan::forward(scene, goal))
    }

    fn scene<T>(&self, look: impl FnOnce(&Scene<'_>) -> T) -> T {
        let (observed, run) = (self.observed(), RunId::new("run-2").unwrap());
        look(&Scene {
            topology: &self.config.topology,
            playbook: &self.config.playbook,
            observed: &observed,
            run: &run,
        })
    }

    /// A person leaves a host out, and it gives no answer.
    pub(crate) fn leave_out(&mut self, name: &str) -> &mut Self {
        assert!(self.config.topology.leave_out(&host(name)));
        self.observed.hosts.remove(&host(name));
        self
    }

    /// What a run with this plan puts on record.
    pub(crate) fn intent(&self, plan: &Plan, kind: RunKind) -> RunRecord {
        let opened = RunRecord::opened(RunId::new("run-2").unwrap(), Epoch(2), Owner::default());
        self.scene(|scene| plan::intent(scene, plan, kind, opened))
    }

    /// A run saved home on an nginx host and armed a token there, which is now in that state.
    pub(crate) fn token(&mut self, name: &str, run: &str, state: TokenState) -> &mut Self {
        let nginx = self.nginx(name);
        let number = nginx.tokens.len() as u64 + 1;
        let id = TokenId {
            run: RunId::new(run).unwrap(),
            epoch: Epoch(2),
            number,
        };
        if !nginx.saved_homes.iter().any(|home| home == run) {
            nginx.saved_homes.push(run.to_owned());
        }
        nginx.tokens.push(Token {
            id,
            state,
            watch: WatchProcess::Alive,
            left: (state == TokenState::Armed).then_some(Duration::from_secs(9)),
            restored: state == TokenState::Fired,
        });
        self
    }

    /// The problems for which a deploy of `V2` is refused.
    pub(crate) fn refusals(&self) -> Vec<(String, Problem)> {
        refusals(self.deploy(V2))
    }

    pub(crate) fn host(&mut self, name: &str) -> &mut HostObserved {
        self.observed.hosts.get_mut(&host(name)).unwrap()
    }

    pub(crate) fn was(&mut self, name: &str) -> &mut WasObserved {
        self.host(name).was.as_mut().unwrap()
    }

    pub(crate) fn slot(&mut self, name: &str, slot_name: &str) -> &mut SlotObserved {
        self.was(name).slots.get_mut(&slot(slot_name)).unwrap()
    }

    pub(crate) fn nginx(&mut self, name: &str) -> &mut NginxObserved {
        self.host(name).nginx.as_mut().unwrap()
    }

    fn was_names(&self) -> Vec<String> {
        self.config.topology.was.keys().map(ToString::to_string).collect()
    }

    fn nginx_names(&self) -> Vec<String> {
        self.config
            .topology
            .nginx
            .keys()
            .map(ToString::to_string)
            .collect()
    }
}

/// The refusals of a plan that was asked to be refused, with their hosts.
pub(crate) fn refusals(plan: Result<Plan, Vec<Finding>>) -> Vec<(String, Problem)> {
    let findings = plan.expect_err("the plan should be refused");
    let refusals = findings.into_iter().filter(|it| it.severity == Severity::Refusal);
    refusals
        .map(|it| {
            (
                it.host.map(|host| host.to_string()).unwrap_or_default(),
                it.problem,
            )
        })
        .collect()
}

/// The steps of one phase with their hosts.
pub(crate) fn steps(plan: &Plan, phase: Phase) -> Vec<(&str, &Step)> {
    let stage = plan.stage(phase).into_iter().flat_map(|stage| &stage.steps);
    stage.map(|on| (on.host.as_str(), &on.step)).collect()
}

pub(crate) fn process(host: &str, pid: u32) -> ProcessIdentity {
    ProcessIdentity {
        pid,
        start_ticks: 1,
        boot_id: format!("boot-of-{host}"),
        uid: 1000,
    }
}

/// A start on green that put no process on record.
pub(crate) fn unfinished(run: &str, pids: Vec<u32>) -> UnfinishedStart {
    UnfinishedStart {
        word: format!("{run}.1.7.8081").parse().unwrap(),
        run: run.parse().unwrap(),
        release: release_id(V2),
        pids,
    }
}
