//! One of each command with a true answer to it, so that tests can spoil the answer.

use std::time::Duration;

use nonstop::model::drill::{Drill, DrillResult};
use nonstop::model::hook::{HookId, HookPoint, Recall, Repeats};
use nonstop::model::lock::{Epoch, Fence, Owner};
use nonstop::model::names::{AppName, JarPattern, Port, ReleaseId, RemotePath, RunId, SlotName};
use nonstop::model::playbook::ReloadWay;
use nonstop::model::process::{ProcessIdentity, StopTarget};
use nonstop::model::token::TokenId;
use nonstop::remote::command::{
    Arm, Audit, AwaitConnections, AwaitWorkers, BreakLock, CancelTimer, CleanNginx, Command, Commit, Confirm,
    Digest, DiscardUpload, Fetch, FindJar, HealthRequest, Hook, HookAct, Lock, LogTail, MarkRelease,
    NginxPlace, NoteDrill, Observe, Peers, Place, PlacedContent, Placement, Prepare, Prune, Put, Record,
    RenderedRunner, Renew, Revert, SetTimer, Start, Stop, Successor, SudoCheck, Take, Unlock,
};
use nonstop::remote::parse::{Exit, RawOutput};

/// An answer as its fields.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn path(text: &str) -> RemotePath {
    RemotePath::new(text).unwrap()
}

pub(crate) fn port() -> Port {
    Port::new(8080).unwrap()
}

pub(crate) fn blue() -> SlotName {
    SlotName::new("blue").unwrap()
}

pub(crate) fn run() -> RunId {
    RunId::new("run-1").unwrap()
}

pub(crate) fn release() -> ReleaseId {
    ReleaseId::new("r1").unwrap()
}

pub(crate) fn fence() -> Fence {
    Fence {
        epoch: Epoch(7),
        run: run(),
        sequence: 3,
    }
}

pub(crate) fn place() -> Place {
    Place {
        app: AppName::new("sokdak").unwrap(),
        state_dir: None,
        release_dir: Some(path("/srv/sokdak")),
        may_sudo: true,
        units: [].into(),
    }
}

pub(crate) fn identity() -> ProcessIdentity {
    ProcessIdentity {
        pid: 1,
        start_ticks: 2,
        boot_id: "boot".to_owned(),
        uid: 3,
    }
}

pub(crate) fn nginx(master: ProcessIdentity) -> NginxPlace {
    NginxPlace {
        binary: "nginx".to_owned(),
        conf: path("/etc/nginx/nginx.conf"),
        error_log: None,
        reload: ReloadWay::Auto,
        master,
    }
}

pub(crate) fn placement() -> Placement {
    Placement {
        entry: path("/etc/nginx/sites-enabled/sokdak.conf"),
        content: PlacedContent::File("server {}".to_owned()),
        target: path("/etc/nginx/sites-enabled/sokdak.conf"),
        takes_over: None,
        expected_sha256: None,
    }
}

fn hook() -> Hook {
    Hook {
        fence: fence(),
        run: run(),
        hook: HookId {
            point: HookPoint::BeforeStop,
            number: 1,
        },
        digest: None,
        recall: Recall::Ask,
        repeats: Repeats::Never,
        act: HookAct::Begins,
    }
}

fn note_drill() -> NoteDrill {
    NoteDrill {
        run: run(),
        by: Owner::default(),
        drill: Drill {
            result: DrillResult::Passed,
            release: release(),
            earlier: release(),
            back: Some(SECOND),
            forward: None,
            requests: 0,
            failed_requests: 0,
        },
    }
}

const LOCK: &str = "lock.epoch=7 lock.run=run-1 lock.who=kim lock.place=ci lock.command=deploy \
    lock.build_url=https://ci/1 lock.since=2026-01-02T03:04:05Z lock.lease_left_ms=1000";

const WAS: &str = "was=yes disk_free_kb=100 disk_free_inodes=100 release=r1 release.sha256=SHA \
    release.size_bytes=5 release.jar_name=a.jar release.failed=no slot=blue slot.port=8080 \
    slot.record=8080 slot.record.release=r1 slot.record.pid=11 slot.record.start_ticks=12 \
    slot.record.boot_id=boot slot.record.uid=13 slot.record.log=/srv/sokdak/logs/a.log \
    slot.record.runs=yes slot.listener=yes slot.listener.uid=13 slot.listener.pid=11 \
    slot.listener.start_ticks=12 slot.listener.boot_id=boot slot.listener.uid=13 \
    slot.listener.command=java slot.peak_memory_kb=5 slot.connections=1 slot=green slot.port=8081 \
    slot.start=run-1.7.2.8081 slot.start.run=run-1 slot.start.release=r1 slot.start.pids=31 \
    slot.peak_memory_kb=0 slot.connections=0 http_tool=curl timer=run-1 timer.epoch=7 timer.number=2 \
    timer.slot=blue timer.unit=sokdak@8080.service timer.state=pending timer.program=alive timer.left_ms=1000 timer.reason=x";

const NGINX: &str = "nginx=yes conf=/etc/nginx/nginx.conf master=present master.pid=20 \
    master.start_ticks=21 master.boot_id=boot master.uid=0 master.serving=22 master.leaving= \
    error_log=/var/log/nginx/error.log dump=x entry=link entry.target=../a entry.resolved=/etc/nginx/a \
    entry.content=x entry.owner=0:0 entry.mode=644 sibling=default sibling.kind=file \
    slot_file=blue slot_file.content=x address=10.0.0.1 saved_home=run-1 token=run-1 token.epoch=7 \
    token.number=2 token.state=armed token.watch=alive token.left_ms=1000 token.restored=no";

fn reading() -> Vec<(Command, String)> {
    let observe = format!(
        "boot_id=boot uptime_cs=100 clock=1000 uid=1000 user=deploy missing_tool=awk memory_kb=100 keeper=session \
         state=/var/lib/nonstop/sokdak state.status=ready {LOCK} record={{}} hook=run-1 \
         hook.name=before_stop.1 hook.state=running hook.digest= {WAS} {NGINX}"
    );
    let wait = AwaitConnections {
        port: port(),
        deadline: SECOND,
    };
    let fetch = Fetch {
        address: "::1".to_owned(),
        port: port(),
        path: "/".to_owned(),
        host_header: "a".to_owned(),
        timeout: SECOND,
    };
    let workers = AwaitWorkers {
        master: identity(),
        deadline: SECOND,
    };
    let pattern = JarPattern::new("/srv/zip/*.jar").expect("a pattern");
    let tail = LogTail {
        slot: blue(),
        lines: 1,
    };
    vec![
        (Command::Observe(Observe::default()), observe),
        (
            Command::Digest(Digest { release: release() }),
            "sha256=SHA".to_owned(),
        ),
        (
            Command::FindJar(FindJar { pattern }),
            format!("jar=found name=a.jar sha256={} size_bytes=1", "0".repeat(64)),
        ),
        (Command::AwaitWorkers(workers), "leaving=1".to_owned()),
        (Command::AwaitConnections(wait), "connections=1".to_owned()),
        (Command::LogTail(tail), "log=/srv/a.log text=x".to_owned()),
        (Command::Audit(Audit { lines: 1 }), "audit=x".to_owned()),
        (Command::NoteDrill(note_drill()), "noted=yes".to_owned()),
        (
            Command::Fetch(fetch),
            "fetch=response status=200 body=x".to_owned(),
        ),
        (
            Command::Peers(Peers { port: port() }),
            "peer=0100007F:1F90".to_owned(),
        ),
        (
            Command::SudoCheck(SudoCheck {
                nginx: None,
                users: [].into(),
            }),
            "sudo=allowed sudo.command=nginx".to_owned(),
        ),
    ]
}

fn of_state() -> Vec<(Command, String)> {
    let lock = Lock {
        expected: Epoch(1),
        epoch: Epoch(2),
        run: run(),
        owner: Owner::default(),
        lease: Some(SECOND),
    };
    let break_lock = BreakLock {
        expected: Epoch(1),
        epoch: Epoch(2),
        by: Owner::default(),
    };
    let renew = Renew {
        epoch: Epoch(1),
        run: run(),
    };
    let record = Record {
        fence: fence(),
        json: "{}".to_owned(),
    };
    let refused = format!("fence=refused {LOCK}");
    vec![
        (Command::Lock(lock), format!("lock=held {LOCK}")),
        (Command::Unlock(Unlock { fence: fence() }), refused.clone()),
        (Command::BreakLock(break_lock), "lock=taken".to_owned()),
        (Command::Renew(renew), refused),
        (Command::Record(record), "fence=passed".to_owned()),
        (
            Command::Hook(hook()),
            "fence=passed hook=failed reason=x output=x".to_owned(),
        ),
    ]
}

fn of_releases() -> Vec<(Command, String)> {
    let put = Put {
        fence: fence(),
        release: release(),
        sha256: "0".repeat(64),
        size_bytes: 1,
        jar_name: "a.jar".to_owned(),
    };
    let discard = DiscardUpload {
        fence: fence(),
        release: release(),
    };
    let mark = MarkRelease {
        fence: fence(),
        release: release(),
        failed: true,
    };
    let prune = Prune {
        fence: fence(),
        keep: 1,
        protected: [release()].into(),
    };
    let take = Take {
        put: put.clone(),
        from: path("/srv/zip/a.jar"),
    };
    vec![
        (Command::Take(take), "fence=passed take=stored".to_owned()),
        (
            Command::Put(put),
            "fence=passed put=mismatch size_bytes=1 sha256=x".to_owned(),
        ),
        (Command::DiscardUpload(discard), "fence=passed".to_owned()),
        (Command::MarkRelease(mark), "fence=passed".to_owned()),
        (
            Command::Prune(prune),
            "fence=passed pruned=r1 pruned=r2".to_owned(),
        ),
    ]
}

fn set_timer() -> SetTimer {
    SetTimer {
        fence: fence(),
        run: run(),
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
            body_contains: Some("UP".to_owned()),
            timeout: SECOND,
        },
        nginx: ["10.0.0.1".parse().unwrap()].into(),
        quiet: SECOND,
        quiet_limit: SECOND,
    }
}

fn of_instances() -> Vec<(Command, String)> {
    let start = Start {
        fence: fence(),
        slot: blue(),
        port: port(),
        release: release(),
        runner: RenderedRunner::Process {
            argv: vec!["java".to_owned()],
        },
        env: [("A".to_owned(), "b".to_owned())].into(),
        deadline: SECOND,
    };
    let stop = Stop {
        fence: fence(),
        slot: blue(),
        target: StopTarget::Process(identity()),
        grace: SECOND,
        successor: None,
    };
    let process = "pid=1 X.start_ticks=2 X.boot_id=boot X.uid=3";
    let listening = format!(
        "fence=passed start=listening identity.{} log=/a",
        process.replace('X', "identity")
    );
    let taken = format!(
        "fence=passed start=port_taken by=yes by.uid=3 by.{} by.command=java tail=x",
        process.replace('X', "by")
    );
    vec![
        (Command::Start(start.clone()), listening),
        (Command::Start(start), taken),
        (
            Command::Stop(stop),
            "fence=passed stop=still_runs reason=x".to_owned(),
        ),
        (
            Command::SetTimer(Box::new(set_timer())),
            "fence=passed left_ms=1000".to_owned(),
        ),
        (
            Command::CancelTimer(CancelTimer {
                fence: fence(),
                run: run(),
            }),
            "fence=passed timer=stopping".to_owned(),
        ),
    ]
}

fn of_nginx() -> Vec<(Command, String)> {
    let (home, nginx, deadline, watch) = (run(), nginx(identity()), SECOND, SECOND);
    let prepare = Prepare {
        fence: fence(),
        home: home.clone(),
        nginx: nginx.clone(),
        placement: placement(),
        candidate: "server {}".to_owned(),
        upstreams: None,
        shadow: "include {candidate};".to_owned(),
    };
    let commit = Commit {
        fence: fence(),
        home: home.clone(),
        watch,
        nginx: nginx.clone(),
        placement: placement(),
        deadline,
    };
    let arm = Arm {
        fence: fence(),
        home: home.clone(),
        nginx: nginx.clone(),
        watch,
        deadline,
    };
    let confirm = Confirm {
        fence: fence(),
        token: TokenId {
            run: run(),
            epoch: Epoch(7),
            number: 2,
        },
    };
    let revert = Revert {
        fence: fence(),
        home,
        nginx,
        deadline,
    };
    let clean = CleanNginx {
        fence: fence(),
        entry: placement().entry,
        target: placement().target,
        conf: path("/etc/nginx/nginx.conf"),
    };
    vec![
        (
            Command::Prepare(prepare),
            "fence=passed prepare=refused output=x".to_owned(),
        ),
        (
            Command::Commit(commit),
            "fence=passed switch=proven serving=1 leaving=2 watch_left_ms=1000".to_owned(),
        ),
        (
            Command::Arm(arm),
            "fence=passed arm=armed watch_left_ms=1000".to_owned(),
        ),
        (
            Command::Confirm(confirm),
            "fence=passed confirm=lost token=fired".to_owned(),
        ),
        (
            Command::Revert(revert),
            "fence=passed switch=unproven reason=x".to_owned(),
        ),
        (Command::CleanNginx(clean), "fence=passed".to_owned()),
    ]
}

/// One of each command, with the fields of a true answer.
pub(crate) fn answered() -> Vec<(Command, Fields)> {
    let all = [reading(), of_state(), of_releases(), of_instances(), of_nginx()].concat();
    all.into_iter()
        .map(|(command, answer)| {
            let field = |word: &str| {
                let (key, value) = word.split_once('=').unwrap();
                (key.to_owned(), value.replace("SHA", &"0".repeat(64)).into_bytes())
            };
            (command, answer.split_whitespace().map(field).collect())
        })
        .collect()
}

/// The fields as a script prints them.
pub(crate) fn printed(fields: &Fields) -> RawOutput {
    let mut stdout = b"nonstop-answer 1 begin\n".to_vec();
    for (key, value) in fields {
        let plain = value.iter().all(|byte| (b' '..=b'~').contains(byte));
        stdout.extend_from_slice(key.as_bytes());
        if plain {
            stdout.push(b'=');
            stdout.extend_from_slice(value);
        } else {
            stdout.extend_from_slice(b":=");
            stdout.extend_from_slice(data_encoding::BASE64.encode(value).as_bytes());
        }
        stdout.push(b'\n');
    }
    stdout.extend_from_slice(b"nonstop-answer 1 end\n");
    RawOutput {
        exit: Exit::Status(0),
        stdout,
        stderr: Vec::new(),
    }
}
