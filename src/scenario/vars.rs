//! `${…}`: upper-case variables are put in when the file is read, the others checked and kept as
//! references until their moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Inputs;
use super::error::Problem;
use super::shape::{At, Named};
use super::tree::Span;
use super::units::Text;
use crate::model::{Part, SHORT, Template, Variable};

/// Where a text stands: it decides which variables make sense there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// What the stack is made from, before there is any address.
    Stack,
    /// A process's command line, environment and readiness.
    Service,
    /// Whatever is used once the stack is up: monitoring, steps, checks.
    Running,
    /// A request of the load.
    Request(&'a Known),
    /// An objective: the victim is known by then.
    Objective,
}

/// The names that a request may use besides those that are always there.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// What `extract` gave so far.
    pub(super) extracted: BTreeSet<String>,
    /// The columns of `data`.
    pub(super) columns: BTreeSet<String>,
    /// Whether there are `users`.
    pub(super) users: bool,
    /// Whether there is a `base_url` for relative addresses.
    pub(super) base_url: bool,
}

/// Variables that need no context to be named, for "did you mean".
const NAMES: [&str; 14] = [
    "addr:NAME",
    "addrs:NAME",
    "env:NAME",
    "file:PATH",
    "free_port",
    "listen",
    "firedrill",
    "scenario_dir",
    "user",
    "n",
    "uuid",
    "victim",
    "victim.host",
    "victim.address",
];

/// The variables' values, and which ports were drawn.
pub(super) struct Vars<'a> {
    inputs: &'a Inputs<'a>,
    of_file: BTreeMap<&'a str, Template>,
    ports: u32,
    /// What is legal, but may not stay as secret as it should.
    pub(super) doubts: Vec<Problem>,
}

impl<'a> Vars<'a> {
    /// Reads `vars:`: each value is drawn once, however often it is mentioned.
    pub(super) fn new(
        inputs: &'a Inputs<'a>,
        written: Option<&'a Named<At<Text>>>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut vars = Self {
            inputs,
            of_file: BTreeMap::new(),
            ports: 0,
            doubts: Vec::new(),
        };
        for (name, text) in written.into_iter().flat_map(Named::iter) {
            if is_upper_case(&name.value) {
                let value = vars.read(text.at, &text.value.0, problems);
                vars.of_file.insert(&name.value, value);
            } else {
                let problem = Problem::invalid(
                    name.at,
                    format!(
                        "`{}` cannot be a variable: names in `vars` are upper case",
                        name.value
                    ),
                );
                problems.push(problem.help(format!("write `{}`", name.value.to_uppercase())));
            }
        }
        vars
    }

    /// The text with upper-case variables put in and the others parsed. What it mentions is not yet checked against a place.
    pub(super) fn read(&mut self, at: Span, text: &str, problems: &mut Vec<Problem>) -> Template {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            push_text(&mut parts, &rest[..dollar]);
            rest = &rest[dollar + 1..];
            let Some(after) = rest.strip_prefix('{') else {
                push_text(&mut parts, "$");
                rest = rest.strip_prefix('$').unwrap_or(rest);
                continue;
            };
            let Some((name, after)) = after.split_once('}') else {
                problems.push(
                    Problem::invalid(at, format!("`${{` without `}}` in `{text}`"))
                        .help("write `$$` for a dollar sign"),
                );
                return Template { parts };
            };
            rest = after;
            let value = self.value(self.span_of(at, name), name, problems);
            for part in value {
                match part {
                    Part::Literal(text) => push_text(&mut parts, &text),
                    Part::Variable(_) => parts.push(part),
                }
            }
        }
        push_text(&mut parts, rest);
        Template { parts }
    }

    /// What stands for `${name}`; nothing, and a problem, where it has no value.
    fn value(&mut self, at: Span, name: &str, problems: &mut Vec<Problem>) -> Vec<Part> {
        let (upper, default) = match name.split_once(":-") {
            Some((upper, default)) => (upper, Some(default)),
            None => (name, None),
        };
        if is_upper_case(upper) {
            return self.upper_case(at, upper, default, problems);
        }
        match Variable::parse(name) {
            Ok(Variable::FreePort(_)) if name == "free_port" => {
                self.ports += 1;
                vec![Part::Variable(Variable::FreePort(self.ports))]
            }
            Ok(Variable::SecretEnv(secret)) => {
                if let Some(value) = self.inputs.env.get(&secret) {
                    self.doubt_short(at, name, value);
                } else {
                    let problem = Problem::invalid(
                        at,
                        format!("the secret `${{env:{secret}}}` is not set in the environment"),
                    );
                    problems
                        .push(problem.help(format!("export {secret} before running firedrill")));
                }
                vec![Part::Variable(Variable::SecretEnv(secret))]
            }
            Ok(Variable::SecretFile(path)) => {
                let place = folder(self.inputs.path).join(&path);
                match std::fs::read_to_string(&place) {
                    Ok(value) => self.doubt_short(at, name, value.trim_end_matches(['\r', '\n'])),
                    Err(error) => problems.push(Problem::invalid(
                        at,
                        format!(
                            "the secret `${{{name}}}` cannot be read: {}: {error}",
                            place.display()
                        ),
                    )),
                }
                // As written: whoever reads it knows the scenario's folder, from anywhere.
                vec![Part::Variable(Variable::SecretFile(path))]
            }
            Ok(variable) => vec![Part::Variable(variable)],
            Err(_) => {
                problems.push(unknown(at, name, &BTreeSet::new()));
                Vec::new()
            }
        }
    }

    /// A value that is a part of everyday words cannot be kept out of all that is written.
    fn doubt_short(&mut self, at: Span, name: &str, value: &str) {
        if !value.is_empty() && value.chars().count() < SHORT {
            let problem = Problem::warning(
                at,
                format!(
                    "the secret `${{{name}}}` has fewer than {SHORT} characters: outputs hide it where it stands alone only, not within other words"
                ),
            );
            self.doubts.push(problem.help("take a longer one"));
        }
    }

    fn upper_case(
        &self,
        at: Span,
        name: &str,
        default: Option<&str>,
        problems: &mut Vec<Problem>,
    ) -> Vec<Part> {
        let literal = |text: &str| vec![Part::Literal(text.to_owned())];
        if let Some(text) = self.inputs.vars.get(name) {
            literal(text)
        } else if let Some(template) = self.of_file.get(name) {
            template.parts.clone()
        } else if let Some(text) = self.inputs.env.get(name).map(String::as_str).or(default) {
            literal(text)
        } else {
            let known = self
                .of_file
                .keys()
                .copied()
                .chain(self.inputs.vars.keys().map(String::as_str));
            let problem = Problem::invalid(
                at,
                format!(
                    "`${{{name}}}` has no value: it is not in `vars`, `--var` or the environment"
                ),
            );
            let problem = problem.help(format!(
                "add it to `vars`, pass `--var {name}=…`, or write `${{{name}:-default}}`"
            ));
            problems.push(problem.prefer_slip(name, known));
            Vec::new()
        }
    }

    /// Where in the file `${name}` is mentioned, if the text stands there as it is.
    fn span_of(&self, at: Span, name: &str) -> Span {
        let mention = format!("${{{name}}}");
        let found = self
            .inputs
            .text
            .get(at.start..at.end)
            .and_then(|written| written.find(&mention));
        found.map_or(at, |offset| Span {
            start: at.start + offset,
            end: at.start + offset + mention.len(),
        })
    }

    /// The problem with each variable of `template` that makes no sense at `place`. Services are for the caller to check.
    pub(super) fn misplaced(
        &self,
        at: Span,
        template: &Template,
        place: Place<'_>,
    ) -> Vec<Problem> {
        let problem = |variable: &Variable, why: &str| {
            Problem::invalid(
                self.span_of(at, &variable.to_string()),
                format!("`${{{variable}}}` has no value here: {why}"),
            )
        };
        let request = match place {
            Place::Request(known) => Some(known),
            Place::Stack | Place::Service | Place::Running | Place::Objective => None,
        };
        let one = |variable: &Variable| match variable {
            Variable::FreePort(_)
            | Variable::Firedrill
            | Variable::ScenarioDir
            | Variable::SecretEnv(_)
            | Variable::SecretFile(_) => None,
            Variable::Addr { .. } | Variable::Addrs { .. } => {
                matches!(place, Place::Stack).then(|| {
                    problem(
                        variable,
                        "addresses are known once the stack is up, and this makes the stack",
                    )
                })
            }
            Variable::Listen => (!matches!(place, Place::Service))
                .then(|| problem(variable, "it is the address of a service under `process`")),
            Variable::Victim | Variable::VictimHost | Variable::VictimAddress => {
                (!matches!(place, Place::Objective))
                    .then(|| problem(variable, "a victim is known in objectives only"))
            }
            Variable::User | Variable::N | Variable::Uuid | Variable::Row(_)
                if request.is_none() =>
            {
                Some(problem(
                    variable,
                    "it belongs to an arrival, and is known in the load's requests only",
                ))
            }
            Variable::User => request.is_some_and(|known| !known.users).then(|| {
                problem(variable, "the load has no `users`")
                    .help("add `users: { count: 50 }` to the load")
            }),
            Variable::N | Variable::Uuid => None,
            Variable::Row(column) => {
                let columns = request.map(|known| &known.columns)?;
                if columns.is_empty() {
                    let problem = problem(variable, "the load has no `data`");
                    return Some(problem.help("add `data: { rows: FILE.csv }` to the load"));
                }
                let missing = || {
                    problem(variable, "the data has no such column")
                        .did_you_mean(column, columns.iter().map(String::as_str))
                };
                (!columns.contains(column)).then(missing)
            }
            Variable::Extracted(name) => match request {
                Some(known) if known.extracted.contains(name) => None,
                Some(known) => Some(unknown(self.span_of(at, name), name, &known.extracted)),
                None => Some(unknown(self.span_of(at, name), name, &BTreeSet::new())),
            },
        };
        template.variables().filter_map(one).collect()
    }
}

fn unknown(at: Span, name: &str, extracted: &BTreeSet<String>) -> Problem {
    let known = NAMES
        .iter()
        .copied()
        .chain(extracted.iter().map(String::as_str));
    let problem = Problem::invalid(at, format!("`${{{name}}}` is not a variable here"));
    let problem = problem.help("upper case: `vars`, `--var` or environment; in requests also what an earlier `extract` named");
    problem.prefer_slip(name, known)
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Literal(last)) => last.push_str(text),
        Some(Part::Variable(_)) | None => parts.push(Part::Literal(text.to_owned())),
    }
}

fn is_upper_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// The folder that a scenario's paths are relative to.
pub(super) fn folder(scenario: &Path) -> &Path {
    scenario.parent().unwrap_or(Path::new(""))
}
