//! `group_vars/` and `host_vars/` beside the inventory: for each group and host a YAML file, or a
//! folder of them, as Ansible's own plugin finds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::report::Problem;
use super::super::source::Source;
use super::super::yaml;
use super::graph::{Graph, VarMap};

const EXTENSIONS: [&str; 4] = ["", "yml", "yaml", "json"];
/// The deepest folder below `group_vars/NAME/`.
const MAX_DEPTH: usize = 8;

/// Adds the variables of all such files.
pub(super) fn read(source: &Arc<Source>, graph: &mut Graph) {
    let Some(path) = source.path() else { return };
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let groups = folder.join("group_vars");
    if groups.is_dir() {
        for name in graph.group_names() {
            let vars = of(&groups, &name, graph);
            graph.set_group_file_vars(&name, vars);
        }
    }
    let hosts = folder.join("host_vars");
    if hosts.is_dir() {
        for (name, _) in graph.hosts() {
            let vars = of(&hosts, &name, graph);
            graph.set_host_file_vars(&name, vars);
        }
    }
}

fn of(folder: &Path, name: &str, graph: &mut Graph) -> VarMap {
    let mut vars = VarMap::new();
    // A name with a slash would leave the folder; it is refused later, as a name.
    if name.contains('/') || name.starts_with('.') {
        return vars;
    }
    let candidates = EXTENSIONS.map(|extension| match extension {
        "" => folder.join(name),
        extension => folder.join(format!("{name}.{extension}")),
    });
    let Some(found) = candidates.into_iter().find(|path| path.exists()) else {
        return vars;
    };
    let mut files = Vec::new();
    if found.is_dir() {
        collect(&found, 0, &mut files);
    } else {
        files.push(found);
    }
    for file in files {
        vars.extend(load(&file, graph));
    }
    vars
}

/// The files of a folder in order of their names, those of folders within included.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().into_owned());
        match extension.as_deref() {
            None if path.is_dir() && depth < MAX_DEPTH => collect(&path, depth + 1, files),
            None | Some("yml" | "yaml" | "json") if path.is_file() => files.push(path),
            _ => {}
        }
    }
}

fn load(file: &Path, graph: &mut Graph) -> VarMap {
    let source = match Source::read(file) {
        Ok(source) => source,
        Err(problem) => {
            graph.push(problem);
            return VarMap::new();
        }
    };
    if source.text().starts_with("$ANSIBLE_VAULT") {
        let problem = Problem::at(
            &source.spot(1, 1, 14),
            "this file is encrypted with ansible-vault, which is not supported yet",
        );
        graph.push(problem.hint("keep what nonstop needs in a file that is not encrypted"));
        return VarMap::new();
    }
    match yaml::parse(&source, &mut graph.report) {
        None => VarMap::new(),
        Some(root) if root.is_null() => VarMap::new(),
        Some(root) if root.entries().is_some() => graph.vars(&root),
        Some(root) => {
            let message = format!("expected a map of variables, found {}", root.describe());
            graph.push(Problem::at(&root.spot, message));
            VarMap::new()
        }
    }
}
