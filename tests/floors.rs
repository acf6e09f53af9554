//! Holds the floors: the table in `src/lib.rs` is what counts, and no module uses one above it.

#![expect(clippy::unwrap_used, reason = "a folder that cannot be read is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floor of each top module.
type Floors = BTreeMap<String, u32>;

#[test]
fn no_module_uses_one_from_a_floor_above() {
    let source = source();
    let floors = floors_of(&fs::read_to_string(source.join("lib.rs")).unwrap());
    let mut broken = Vec::new();
    let mut read = 0;
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        broken.extend(upward_uses(&relative, &text, &floors));
        read += 1;
    }
    assert!(
        read > 20,
        "only {read} files were read: the test looks in the wrong place"
    );
    assert!(
        broken.is_empty(),
        "arrows point down only:\n{}",
        broken.join("\n")
    );
}

#[test]
fn every_module_has_its_row_in_the_table_of_floors() {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    let floors = floors_of(&lib);
    for line in lib.lines() {
        let Some(name) = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        else {
            continue;
        };
        assert!(floors.contains_key(name), "`{name}` has no row in src/lib.rs");
    }
    assert_eq!(floors.get("model"), Some(&0));
}

#[test]
fn an_arrow_that_points_up_is_found_however_it_is_written() {
    let floors = Floors::from([("model", 0), ("report", 1), ("engine", 2)].map(|(n, f)| (n.to_owned(), f)));
    let found = |file: &str, text: &str| upward_uses(Path::new(file), text, &floors).len();
    assert_eq!(found("report/plain.rs", "use crate::engine::run;"), 1);
    assert_eq!(found("report/mod.rs", "fn f() { crate :: engine::run::go() }"), 1);
    assert_eq!(
        found(
            "model/plan.rs",
            "use crate::{model::names, report::{plain, json}};"
        ),
        1
    );
    assert_eq!(
        found("report/text/note.rs", "use super::super::super::engine;"),
        1
    );
    assert_eq!(found("report/mod.rs", "pub use super::engine::run;"), 1);

    assert_eq!(found("engine/run.rs", "use crate::{model, report};"), 0);
    assert_eq!(
        found("report/json.rs", "use super::plain; use crate::report::x;"),
        0
    );
    assert_eq!(
        found("report/json.rs", "// crate::engine feeds it\n/* crate::engine */"),
        0
    );
    assert_eq!(
        found("report/json.rs", "let text = \"crate::engine\"; let c = '\"';"),
        0
    );
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Reads the rows ``//! | 1 | [`remote`] | … |``.
fn floors_of(lib: &str) -> Floors {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("//! |")?.split('|').map(str::trim);
        let floor = cells.next()?.parse().ok()?;
        let name = cells.next()?.strip_prefix("[`")?.strip_suffix("`]")?;
        Some((name.to_owned(), floor))
    };
    lib.lines().filter_map(row).collect()
}

/// What a file, given by its path below `src`, uses from floors above its own.
fn upward_uses(file: &Path, text: &str, floors: &Floors) -> Vec<String> {
    let modules: Vec<String> = file
        .with_extension("")
        .components()
        .map(|component| component.as_os_str().to_string_lossy().into_owned())
        .filter(|name| name != "mod")
        .collect();
    let Some(own) = floors.get(&modules[0]) else {
        return Vec::new();
    };
    let words = words(text);
    let above = |name: &&str| floors.get(*name).is_some_and(|floor| floor > own);
    roots_used(&words, modules.len())
        .into_iter()
        .filter(above)
        .map(|name| format!("src/{} uses `{name}`", file.display()))
        .collect()
}

/// The names that follow `crate::`, or a chain of `super::` that leads to the crate's root.
fn roots_used(words: &[String], depth: usize) -> Vec<&str> {
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let mut used = Vec::new();
    let mut index = 0;
    while index < words.len() {
        let mut after = index;
        if word(index) == "crate" && word(index + 1) == "::" {
            after = index + 2;
        } else {
            while word(after) == "super" && word(after + 1) == "::" {
                after += 2;
            }
            if (after - index) / 2 < depth {
                index = after.max(index + 1);
                continue;
            }
        }
        used.extend(names_at(words, after));
        index = after;
    }
    used
}

/// The name at `index`, or the first name of each path of a `{ … }` group.
fn names_at(words: &[String], index: usize) -> Vec<&str> {
    if words.get(index).map(String::as_str) != Some("{") {
        return words.get(index).map(String::as_str).into_iter().collect();
    }
    let mut names = Vec::new();
    let mut depth = 0;
    let mut first = true;
    for word in &words[index..] {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," => first = depth == 1,
            name if first && depth == 1 => {
                names.push(name);
                first = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// Identifiers, `::` and single signs, without comments and texts.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else if first == '"' {
            end_of_text(rest)
        } else if rest.starts_with("::") {
            words.push("::".to_owned());
            2
        } else if first.is_alphanumeric() || first == '_' {
            let name = |c: char| c.is_alphanumeric() || c == '_';
            let end = rest.find(|c| !name(c)).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            end
        } else {
            if !first.is_whitespace() {
                words.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    words
}

/// The length of a quoted text at the start of `rest`.
fn end_of_text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
