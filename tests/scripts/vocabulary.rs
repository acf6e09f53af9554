//! One of each command, with plain parameters.

use std::collections::BTreeMap;
use std::time::Duration;

use nonstop::model::drill::{Drill, DrillResult};
use nonstop::model::hook::{HookBody, HookId, HookPoint, Recall, Repeats};
use nonstop::model::lock::{Epoch, Fence, Owner};
use nonstop::model::names::{JarPattern, Port, RemotePath, UserName};
use nonstop::model::process::{ProcessIdentity, StopTarget};
use nonstop::model::token::TokenId;
use nonstop::remote::command::{
    Arm, Audit, AwaitConnections, AwaitWorkers, BreakLock, CancelTimer, CleanNginx, Command, Commit, Confirm,
    Digest, DiscardUpload, Fetch, FindJar, HealthRequest, Hook, HookAct, HookRun, LogTail, MarkRelease,
    NginxPlace, NoteDrill, Observe, Peers, Place, PlacedContent, Placement, Prepare, Prune, Put, Record,
    RenderedRunner, Renew, Revert, SetTimer, Start, Stop, Successor, SudoCheck, Take, Unlock,
};

use crate::host::{app, blue, lock_by, release, run_id};

const SECOND: Duration = Duration::from_secs(1);

fn path(text: &str) -> RemotePath {
    RemotePath::new(text).expect("a path")
}

fn fence() -> Fence {
    Fence {
        epoch: Epoch(1),
        run: run_id("run-1"),
        sequence: 1,
    }
}

pub(crate) fn place() -> Place {
    Place {
        app: app(),
        state_dir: None,
        release_dir: Some(path("~/sokdak")),
        may_sudo: true,
        units: [].into(),
    }
}

fn identity() -> ProcessIdentity {
    ProcessIdentity {
        pid: 1,
        start_ticks: 2,
        boot_id: "boot".to_owned(),
        uid: 3,
    }
}

pub(crate) fn start(argv: Vec<String>, env: BTreeMap<String, String>) -> Command {
    Command::Start(Start {
        fence: fence(),
        slot: blue(),
        port: Port::new(8080).expect("a port"),
        release: release("r1"),
        runner: RenderedRunner::Process { argv },
        env,
        deadline: Duration::from_secs(1),
    })
}

fn port() -> Port {
    Port::new(8080).expect("a port")
}

/// One of each command.
pub(crate) fn commands() -> Vec<Command> {
    let mut commands = reading();
    commands.extend(of_state());
    commands.extend(of_instances());
    commands.extend(of_nginx());
    commands
}

fn reading() -> Vec<Command> {
    vec![
        Command::Observe(Observe {
            slots: [(blue(), port())].into(),
            files: [].into(),
            nginx: None,
        }),
        Command::Digest(Digest {
            release: release("r1"),
        }),
        Command::FindJar(FindJar {
            pattern: JarPattern::new("/srv/zip/*.jar").expect("a pattern"),
        }),
        Command::AwaitWorkers(AwaitWorkers {
            master: identity(),
            deadline: SECOND,
        }),
        Command::AwaitConnections(AwaitConnections {
            port: port(),
            deadline: SECOND,
        }),
        Command::LogTail(LogTail {
            slot: blue(),
            lines: 1,
        }),
        Command::Fetch(Fetch {
            address: "::1".to_owned(),
            port: port(),
            path: "/".to_owned(),
            host_header: "a".to_owned(),
            timeout: SECOND,
        }),
        Command::Peers(Peers { port: port() }),
        Command::Audit(Audit { lines: 10 }),
        Command::NoteDrill(NoteDrill {
            run: run_id("run-1"),
            by: Owner::default(),
            drill: Drill {
                result: DrillResult::Passed,
                release: release("r2"),
                earlier: release("r1"),
                back: Some(SECOND),
                forward: Some(SECOND),
                requests: 10,
                failed_requests: 0,
            },
        }),
        Command::SudoCheck(SudoCheck {
            nginx: None,
            users: [UserName::new("app").expect("a name")].into(),
        }),
    ]
}

fn of_state() -> Vec<Command> {
    vec![
        Command::Lock(lock_by("run-1", 0, 1)),
        Command::Unlock(Unlock { fence: fence() }),
        Command::Renew(Renew {
            epoch: Epoch(1),
            run: run_id("run-1"),
        }),
        Command::BreakLock(BreakLock {
            expected: Epoch(1),
            epoch: Epoch(2),
            by: nonstop::model::lock::Owner::default(),
        }),
        Command::Record(Record {
            fence: fence(),
            json: "{}".to_owned(),
        }),
        Command::Put(put()),
        Command::Take(Take {
            put: put(),
            from: path("/srv/zip/a.jar"),
        }),
        Command::DiscardUpload(DiscardUpload {
            fence: fence(),
            release: release("r1"),
        }),
        Command::MarkRelease(MarkRelease {
            fence: fence(),
            release: release("r1"),
            failed: true,
        }),
        Command::Prune(Prune {
            fence: fence(),
            keep: 1,
            protected: [release("r1"), release("r2")].into(),
        }),
    ]
}

fn put() -> Put {
    Put {
        fence: fence(),
        release: release("r1"),
        sha256: "0".repeat(64),
        size_bytes: 1,
        jar_name: "a.jar".to_owned(),
    }
}

fn of_instances() -> Vec<Command> {
    vec![
        start(vec!["java".to_owned()], BTreeMap::new()),
        Command::Hook(Hook {
            fence: fence(),
            run: run_id("run-1"),
            hook: HookId {
                point: HookPoint::ValidateService,
                number: 1,
            },
            digest: None,
            recall: Recall::Ask,
            repeats: Repeats::Never,
            act: HookAct::Run(HookRun {
                body: HookBody::Command("true".to_owned()),
                env: [("NONSTOP_APP".to_owned(), "sokdak".to_owned())].into(),
                release: Some(release("r1")),
                run_as: Some(UserName::new("app").expect("a name")),
                timeout: SECOND,
            }),
        }),
        Command::Stop(Stop {
            fence: fence(),
            slot: blue(),
            target: StopTarget::Process(identity()),
            grace: SECOND,
            successor: Some(Successor {
                identity: identity(),
                port: port(),
            }),
        }),
        Command::SetTimer(Box::new(SetTimer {
            fence: fence(),
            run: run_id("run-1"),
            after: SECOND,
            slot: blue(),
            port: port(),
            identity: identity(),
            grace: SECOND,
            successor: Successor {
                identity: identity(),
                port: port(),
            },
            successor_slot: blue(),
            health: HealthRequest {
                address: "127.0.0.1".to_owned(),
                path: "/".to_owned(),
                status: 200,
                body_contains: None,
                timeout: SECOND,
            },
            nginx: ["127.0.0.1".parse().expect("an address")].into(),
            quiet: SECOND,
            quiet_limit: SECOND,
        })),
        Command::CancelTimer(CancelTimer {
            fence: fence(),
            run: run_id("run-1"),
        }),
    ]
}

fn of_nginx() -> Vec<Command> {
    let nginx = NginxPlace {
        binary: "nginx".to_owned(),
        conf: path("/etc/nginx/nginx.conf"),
        error_log: None,
        reload: nonstop::model::playbook::ReloadWay::Auto,
        master: identity(),
    };
    let placement = Placement {
        entry: path("/etc/nginx/sites-enabled/a"),
        content: PlacedContent::Link(path("~/a.conf")),
        target: path("/etc/nginx/sites-enabled/a"),
        takes_over: None,
        expected_sha256: None,
    };
    vec![
        Command::Prepare(Prepare {
            fence: fence(),
            home: run_id("run-1"),
            nginx: nginx.clone(),
            placement: placement.clone(),
            candidate: String::new(),
            upstreams: None,
            shadow: String::new(),
        }),
        Command::Commit(Commit {
            fence: fence(),
            home: run_id("run-1"),
            watch: SECOND,
            nginx: nginx.clone(),
            placement,
            deadline: SECOND,
        }),
        Command::Arm(Arm {
            fence: fence(),
            home: run_id("run-1"),
            nginx: nginx.clone(),
            watch: SECOND,
            deadline: SECOND,
        }),
        Command::Confirm(Confirm {
            fence: fence(),
            token: TokenId {
                run: run_id("run-1"),
                epoch: Epoch(1),
                number: 1,
            },
        }),
        Command::Revert(Revert {
            fence: fence(),
            home: run_id("run-1"),
            nginx,
            deadline: SECOND,
        }),
        Command::CleanNginx(CleanNginx {
            fence: fence(),
            entry: path("/etc/nginx/a"),
            target: path("/etc/nginx/a"),
            conf: path("/etc/nginx/nginx.conf"),
        }),
    ]
}
