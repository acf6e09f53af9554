//! An nginx: files on the disk, and what of them it runs since its last reload.

use std::collections::BTreeMap;

use nonstop::model::names::{Port, RemotePath, RunId};
use nonstop::model::nginx_conf::Dump;
use nonstop::model::observed::{Entry, EntryKind, Master, NginxObserved};
use nonstop::model::process::ProcessIdentity;

const MAIN: &str = "events {}\nhttp {\n\tinclude /etc/nginx/sites-enabled/*;\n}\n";

/// An nginx and its files.
pub(crate) struct SimNginx {
    pub(crate) entry: RemotePath,
    /// Every site on the disk, by path.
    pub(crate) files: BTreeMap<String, String>,
    /// What it runs: the dump of its last reload that was not refused.
    pub(crate) running: String,
    /// The sites before a run, by run.
    pub(crate) homes: BTreeMap<RunId, BTreeMap<String, String>>,
    /// Whether it refuses what its test lets through, as with a port that is taken.
    pub(crate) refuses_reload: bool,
    /// Whether its test refuses every candidate.
    pub(crate) refuses_candidate: bool,
    /// Old workers that never end.
    pub(crate) old_workers: u32,
}

impl SimNginx {
    pub(crate) fn new(entry: &RemotePath) -> Self {
        let mut nginx = Self {
            entry: entry.clone(),
            files: BTreeMap::new(),
            running: String::new(),
            homes: BTreeMap::new(),
            refuses_reload: false,
            refuses_candidate: false,
            old_workers: 0,
        };
        nginx.reload();
        nginx
    }

    /// Puts a site in place and runs it.
    pub(crate) fn site(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.to_owned());
        self.reload();
    }

    /// Whether the files on the disk run now.
    pub(super) fn reload(&mut self) -> bool {
        if !self.refuses_reload {
            self.running = self.dump();
        }
        !self.refuses_reload
    }

    fn dump(&self) -> String {
        let print = |(path, text): (&String, &String)| format!("# configuration file {path}:\n{text}\n");
        let sites: String = self.files.iter().map(print).collect();
        format!("# configuration file /etc/nginx/nginx.conf:\n{MAIN}\n{sites}")
    }

    /// What the bytes at the entry are.
    pub(crate) fn content(&self) -> Option<&String> {
        self.files.get(self.entry.as_str())
    }

    /// The addresses that get requests.
    pub(crate) fn targets(&self) -> Vec<(String, Port)> {
        let dump = Dump::parse(&self.running).expect("it runs");
        let routes = dump.routes();
        let targets = routes.iter().flat_map(|route| &route.targets);
        targets
            .map(|target| (target.host.clone(), Port::new(target.port).unwrap()))
            .collect()
    }

    /// What its generation endpoint answers.
    pub(crate) fn generation(&self) -> Option<String> {
        let (_, rest) = self.running.split_once("return 200 \"")?;
        rest.split_once('"').map(|(generation, _)| generation.to_owned())
    }

    pub(super) fn master() -> ProcessIdentity {
        ProcessIdentity {
            pid: 900,
            start_ticks: 1,
            boot_id: "boot".to_owned(),
            uid: 0,
        }
    }

    pub(super) fn observe(&self) -> NginxObserved {
        let content = self.content().cloned();
        let folder = self.entry.parent();
        let name = |path: &str| path.strip_prefix(&format!("{folder}/")).map(str::to_owned);
        let others = self.files.keys().filter(|path| *path != self.entry.as_str());
        NginxObserved {
            master: Some(Master {
                identity: Self::master(),
                serving: vec![901],
                leaving: Vec::new(),
            }),
            conf: RemotePath::new("/etc/nginx/nginx.conf").unwrap(),
            error_log: None,
            dump: self.dump(),
            test_failure: None,
            entry: Entry {
                kind: if content.is_some() {
                    EntryKind::File
                } else {
                    EntryKind::Absent
                },
                content,
                owner: "0:0".to_owned(),
                mode: "644".to_owned(),
            },
            siblings: others
                .filter_map(|path| Some((name(path)?, EntryKind::File)))
                .collect(),
            slot_files: BTreeMap::new(),
            own_addresses: vec!["127.0.0.1".to_owned()],
            generation: None,
            tokens: Vec::new(),
            saved_homes: self.homes.keys().map(ToString::to_string).collect(),
        }
    }
}
