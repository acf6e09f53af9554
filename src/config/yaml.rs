//! A YAML or JSON file as a tree in which every node knows its place. The loaders of inventory and
//! playbook walk this tree, so that they can report every mistake of a file at once; serde's derive
//! would stop at the first.
//!
//! Anchors, aliases and `<<` merges are resolved here, as PyYAML does it, within limits that stop a
//! file that was made to grow.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle};

use super::merge;
use super::report::{Problem, Report};
use super::source::{Source, Spot};

/// The largest file that is read.
pub(super) const MAX_BYTES: usize = 16 << 20;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 1_000_000;
/// Nodes (a long text counts for several) that aliases may add.
const MAX_ALIASED: usize = 100_000;

/// One node of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) spot: Spot,
    pub(super) kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// A text as written, not yet typed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) form: Form,
    /// The tag's last part, such as `str` of `!!str` or `vault` of `!vault`.
    pub(super) tag: Option<String>,
}

/// How a scalar is written, which decides whether it can be a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Quoted,
    /// A bare word of a JSON file: typed by JSON's rules.
    Json,
}

impl Node {
    /// What the node is, for "expected …, found …".
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Map(_) => "a map".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Scalar(_) if self.is_null() => "nothing".to_owned(),
            Kind::Scalar(scalar) => format!("`{}`", scalar.text),
        }
    }

    /// Whether nothing is written here, or `null`.
    pub(super) fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar(scalar) => {
                scalar.tag.is_none() && scalar.form != Form::Quoted && is_null(&scalar.text)
            }
            _ => false,
        }
    }

    /// The text of a scalar that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) if !self.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// The entries of a map.
    pub(super) fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?
            .iter()
            .find(|(name, _)| name.text() == Some(key))
            .map(|(_, value)| value)
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Parses a text. `None` is an empty file. Problems that do not stop the reading, such as a key that
/// is written twice, are added to `report`.
pub(super) fn parse(source: &Arc<Source>, report: &mut Report) -> Option<Node> {
    if source.text().len() > MAX_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_BYTES >> 20);
        report.push(Problem::with_file(source.name(), message));
        return None;
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let text = source.text();
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    let json = looks_like_json && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let mut builder = Builder {
        source,
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
        aliased: 0,
        depth: 0,
        json,
        report,
    };
    match builder.document() {
        Ok(root) => root,
        Err(problem) => {
            report.push(problem);
            None
        }
    }
}

type Built<T> = Result<T, Problem>;

struct Builder<'a, I> {
    source: &'a Arc<Source>,
    events: I,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    aliased: usize,
    depth: usize,
    json: bool,
    report: &'a mut Report,
}

impl<'a, I> Builder<'a, I>
where
    I: Iterator<Item = Result<(Event<'a>, Span), granit_parser::ScanError>>,
{
    fn document(&mut self) -> Built<Option<Node>> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event if root.is_none() => root = Some(self.node(event, span)?),
                _ => {
                    let spot = self.spot(span);
                    return Err(Problem::at(&spot, "a second document begins here")
                        .hint("a file holds one document: take the `---` line away, or split the file"));
                }
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Built<Option<(Event<'a>, Span)>> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok(pair)) => Ok(Some(pair)),
            Some(Err(error)) => {
                let mark = error.marker();
                let spot = self.source.spot(mark.line().max(1), mark.col() + 1, 1);
                Err(Problem::at(&spot, format!("not valid YAML: {}", error.info()))
                    .maybe_hint(syntax_hint(&spot)))
            }
        }
    }

    fn expect_next(&mut self) -> Built<(Event<'a>, Span)> {
        self.next()?
            .ok_or_else(|| Problem::with_file(self.source.name(), "not valid YAML: the file ends too early"))
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Built<Node> {
        let spot = self.spot(span);
        self.count(&spot)?;
        match event {
            Event::Alias(id) => self.alias(id, &spot),
            Event::Scalar(text, style, anchor, tag) => {
                let form = match style {
                    ScalarStyle::Plain if self.json => Form::Json,
                    ScalarStyle::Plain => Form::Plain,
                    _ => Form::Quoted,
                };
                let tag = tag.map(|tag| tag.suffix().to_owned());
                let text = text.into_owned();
                let kind = Kind::Scalar(Scalar { text, form, tag });
                Ok(self.anchored(anchor, Node { spot, kind }))
            }
            Event::SequenceStart(style, anchor, _) => {
                let node = self.nested(|builder| builder.list(spot, style))?;
                Ok(self.anchored(anchor, node))
            }
            Event::MappingStart(style, anchor, _) => {
                let node = self.nested(|builder| builder.map(spot, style))?;
                Ok(self.anchored(anchor, node))
            }
            _ => Err(Problem::at(&spot, "not valid YAML: a value is missing here")),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Built<Node>) -> Built<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("{}: nested deeper than {MAX_DEPTH} levels", self.source.name());
            return Err(Problem::with_file(self.source.name(), message));
        }
        let node = read(self);
        self.depth -= 1;
        node
    }

    fn list(&mut self, mut spot: Spot, style: StructureStyle) -> Built<Node> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.expect_next()?;
            if matches!(event, Event::SequenceEnd) {
                Self::stretch(&mut spot, style, span);
                break;
            }
            items.push(self.node(event, span)?);
        }
        Ok(Node {
            spot,
            kind: Kind::List(items),
        })
    }

    fn map(&mut self, mut spot: Spot, style: StructureStyle) -> Built<Node> {
        let mut pairs = Vec::new();
        loop {
            let (event, span) = self.expect_next()?;
            if matches!(event, Event::MappingEnd) {
                Self::stretch(&mut spot, style, span);
                break;
            }
            let key = self.node(event, span)?;
            let (event, span) = self.expect_next()?;
            let mut value = self.node(event, span)?;
            if value.spot.length == 0 {
                value.spot = key.spot.clone();
            }
            pairs.push((key, value));
        }
        if let (StructureStyle::Block, Some((key, _))) = (style, pairs.first()) {
            spot = key.spot.clone();
        }
        let entries = merge::flatten(pairs, self.report);
        Ok(Node {
            spot,
            kind: Kind::Map(entries),
        })
    }

    fn alias(&mut self, id: usize, spot: &Spot) -> Built<Node> {
        let Some(node) = self.anchors.get(&id) else {
            return Err(Problem::at(spot, "this alias refers to what it is a part of"));
        };
        self.aliased += weight(node);
        if self.aliased > MAX_ALIASED {
            let message =
                "aliases make this file too large: it was made to grow, or is not meant for reading";
            return Err(Problem::at(spot, message));
        }
        Ok(node.clone())
    }

    fn anchored(&mut self, anchor: usize, node: Node) -> Node {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    fn count(&mut self, spot: &Spot) -> Built<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values in one file");
            return Err(Problem::at(spot, message));
        }
        Ok(())
    }

    fn spot(&self, span: Span) -> Spot {
        let (start, end) = (span.start, span.end);
        let length = if end.line() == start.line() {
            end.col().saturating_sub(start.col())
        } else {
            // A text over several lines is marked at its first one.
            let line = span.slice(self.source.text()).unwrap_or_default();
            line.lines()
                .next()
                .unwrap_or_default()
                .trim_end()
                .chars()
                .count()
                .max(1)
        };
        self.source.spot(start.line().max(1), start.col() + 1, length)
    }

    /// Lets the place of a flow collection reach to its closing bracket, where that is on the line.
    fn stretch(spot: &mut Spot, style: StructureStyle, end: Span) {
        let end = end.end;
        if style == StructureStyle::Flow && end.line() == spot.line {
            spot.length = (end.col() + 1).saturating_sub(spot.column).max(1);
        }
    }
}

/// How much a copy of a node costs.
fn weight(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar(scalar) => scalar.text.len() / 64,
        Kind::List(items) => items.iter().map(weight).sum(),
        Kind::Map(entries) => entries
            .iter()
            .map(|(key, value)| weight(key) + weight(value))
            .sum(),
    }
}

fn syntax_hint(spot: &Spot) -> Option<String> {
    let line = spot.source.line(spot.line);
    if line.trim_start_matches(' ').starts_with('\t') {
        return Some("indent with spaces: YAML allows no tabs there".to_owned());
    }
    let begins = line.contains(": {{");
    if begins {
        return Some("put a value that begins with `{{` in quotes".to_owned());
    }
    if line.contains("{{") && line.contains(['[', '{']) {
        return Some(
            "put a value that holds `{{` in quotes, such as `['--server.port={{ slot.port }}']`".to_owned(),
        );
    }
    None
}
