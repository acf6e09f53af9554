//! Reads what `nginx -T` prints: which servers there are, where they proxy to, which files would
//! win over ours, and how the main file looks when one include leads to a candidate. The planner
//! asks it; nothing here touches a disk.

mod directive;
mod dump;
mod inlined;
mod routes;
mod shadow;
mod strays;
mod targets;
mod variable;

pub use directive::{Directive, parse_directives};
pub use dump::{ConfFile, Dump};
pub use inlined::Beside;
pub use routes::{Listen, SiteRoute};
pub use shadow::CANDIDATE;
pub use strays::{Claim, Stray, StrayReason};
pub use targets::Target;
pub use variable::SetVariable;

/// Says why a dump cannot be read, or why an entry of it cannot be tested by a shadow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NginxConfError {
    /// The text holds no file at all: show what nginx wrote to its standard error.
    #[error("no `# configuration file` line: this is not what `nginx -T` prints")]
    NoFiles,
    /// A comment looks like a file's heading, so the files cannot be told apart: have it removed.
    #[error("`{path}` appears twice in the dump: a comment in some file looks like a heading of `nginx -T`")]
    Ambiguous {
        /// The path that is there twice.
        path: String,
    },
    /// A file is not nginx configuration as we read it.
    #[error("{file}:{line}: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// What the includes make of the files is far more than any real configuration has.
    #[error("its includes pull in more than can be looked through")]
    TooManyIncludes,
    /// The server blocks lead to far more addresses than those of any real configuration.
    #[error("its servers lead to more addresses than can be looked through")]
    TooManyTargets,
    /// Nothing includes the entry: it has to be named differently, or an include added.
    #[error("`{entry}` cannot be shadowed: no include of `{main}` matches it (there are: {})", list(.includes))]
    NotIncluded {
        /// The entry.
        entry: String,
        /// The main file.
        main: String,
        /// The includes that are there, as written.
        includes: Vec<String>,
    },
    /// The include that matches stands in an included file, where a shadow cannot reach it.
    #[error("`{entry}` cannot be shadowed: `include {include}` stands in `{file}`, not in the main file")]
    IncludedElsewhere {
        /// The entry.
        entry: String,
        /// The file with the include.
        file: String,
        /// The include's argument, as written.
        include: String,
    },
    /// More than one include matches, so nginx would read the entry more than once.
    #[error("`{entry}` cannot be shadowed: several includes match it: {}", list(.includes))]
    IncludedTwice {
        /// The entry.
        entry: String,
        /// The includes that match, as written.
        includes: Vec<String>,
    },
    /// A neighbour's name cannot be written as an include of its own.
    #[error("`{path}` cannot be named in an include: it holds a control character or one of `*?[`")]
    UnusableName {
        /// The neighbour.
        path: String,
    },
    /// The main file already holds the text that stands for the candidate.
    #[error("`{main}` holds the text `{CANDIDATE}`, which stands for the candidate in a shadow")]
    Placeholder {
        /// The main file.
        main: String,
    },
}

fn list(words: &[String]) -> String {
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod real_nginx_tests;
