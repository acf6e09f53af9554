//! Reads of a declarative pipeline what its steps need to be run: the `sh` steps with the blocks around each,
//! and the names that it gives to variables. Whether all of it is Groovy, Groovy itself says.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// A `sh` step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The blocks around it from the outside, stages by their names: `Deploy`, `post`, `failure`.
    pub(crate) within: Vec<String>,
    pub(crate) script: String,
}

/// A pipeline.
#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    pub(crate) steps: Vec<Step>,
    /// `name: 'value'` anywhere.
    pub(crate) arguments: BTreeMap<String, String>,
    /// `NAME = 'value'` of `environment`.
    pub(crate) environment: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

impl Pipeline {
    pub(crate) fn read(text: &str) -> Self {
        let tokens = tokens(text);
        let mut pipeline = Self::default();
        let mut within: Vec<String> = Vec::new();
        let mut head: Vec<Token> = Vec::new();
        for token in tokens {
            match &token {
                Token::Sign('{') => {
                    within.push(label(&head));
                    head.clear();
                }
                Token::Sign('}') => {
                    within.pop();
                    head.clear();
                }
                Token::Text(text) => {
                    pipeline.take(&head, text, &within);
                    head.push(token);
                }
                _ => head.push(token),
            }
        }
        assert!(within.is_empty(), "the braces do not match: {within:?}");
        pipeline
    }

    fn take(&mut self, head: &[Token], text: &str, within: &[String]) {
        match head {
            [.., Token::Word(word)] if word == "sh" => self.steps.push(Step {
                within: within.to_vec(),
                script: text.to_owned(),
            }),
            [.., Token::Word(name), Token::Sign(':')] => {
                self.arguments.insert(name.clone(), text.to_owned());
            }
            [.., Token::Word(name), Token::Sign('=')]
                if within.last().is_some_and(|last| last == "environment") =>
            {
                self.environment.insert(name.clone(), text.to_owned());
            }
            _ => {}
        }
    }

    /// The scripts of a stage, those of its `post` left out.
    pub(crate) fn stage(&self, name: &str) -> Vec<&str> {
        let of_stage = |step: &&Step| {
            let inside = step.within.iter().any(|block| block == name);
            inside && !step.within.iter().any(|block| block == "post")
        };
        let scripts: Vec<_> = self
            .steps
            .iter()
            .filter(of_stage)
            .map(|step| step.script.as_str())
            .collect();
        assert!(!scripts.is_empty(), "stage `{name}` has no sh step");
        scripts
    }

    /// The only script under `post` and a condition.
    pub(crate) fn post(&self, condition: &str) -> &str {
        let of_post = |step: &&Step| {
            step.within.iter().any(|block| block == "post")
                && step.within.iter().any(|block| block == condition)
        };
        let scripts: Vec<_> = self.steps.iter().filter(of_post).collect();
        assert_eq!(scripts.len(), 1, "{scripts:?}");
        &scripts[0].script
    }
}

/// What a block is called: a stage by its name, others by the first word of their line.
fn label(head: &[Token]) -> String {
    let stage = head.windows(3).rev().find_map(|three| match three {
        [Token::Word(word), Token::Sign('('), Token::Text(name)] if word == "stage" => Some(name.clone()),
        _ => None,
    });
    let word = head.iter().rev().find_map(|token| match token {
        Token::Word(word) => Some(word.clone()),
        _ => None,
    });
    stage.or(word).unwrap_or_default()
}

fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => while rest.next_if(|c| *c != '\n').is_some() {},
            '\'' => tokens.push(Token::Text(quoted(&mut rest))),
            '"' => panic!("a text in double quotes: Groovy would put values into it, secrets too"),
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(next) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            c if c.is_whitespace() => {}
            c => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}

/// A text in one or in three single quotes; the first is read already.
fn quoted(rest: &mut Peekable<Chars<'_>>) -> String {
    let end = if rest.next_if_eq(&'\'').is_none() {
        "'"
    } else if rest.next_if_eq(&'\'').is_some() {
        "'''"
    } else {
        return String::new();
    };
    let mut text = String::new();
    // Quotes that stand as such in a row.
    let mut quotes = 0;
    while quotes < end.len() {
        let c = rest.next().expect("a text ends");
        quotes = if c == '\'' { quotes + 1 } else { 0 };
        text.push(match c {
            '\\' => match rest.next().expect("something is escaped") {
                'n' => '\n',
                't' => '\t',
                other => other,
            },
            c => c,
        });
    }
    text.truncate(text.len() - end.len());
    text
}

#[test]
fn steps_are_read_with_their_blocks_and_without_groovys_escapes() {
    let pipeline = Pipeline::read(
        "pipeline { // sh 'no'\n stages { stage('One') { steps { x(a: 'b') { sh 'echo \\'hi\\'' }\n\
         sh '''\n  a \\\\\n  b\n''' } } }\n environment { C = 'd' } }",
    );
    assert_eq!(pipeline.stage("One"), ["echo 'hi'", "\n  a \\\n  b\n"]);
    assert_eq!(pipeline.arguments["a"], "b");
    assert_eq!(pipeline.environment["C"], "d");
}
