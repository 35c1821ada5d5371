//! The file as written → the `Plan`: references, impossible combinations, defaults. All problems at once.

mod actions;
mod calls;
mod compose_file;
mod concurrency;
mod engine;
mod guards;
mod journeys;
mod load;
mod monitored;
mod nodes;
mod objectives;
mod observed;
mod retry;
mod stack;
mod steps;
mod stop;
mod swarm;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use super::error::Problem;
use super::file::File;
use super::plan::{Plan, Recovery, Traffic};
use super::shape::{At, Named};
use super::tree::{Node, Span, Value};
use super::units::Text;
use super::vars::{Place, Vars};
use super::{Checked, Inputs, Supports, evidence};
use crate::model::{NODE, Pace, Part, Template, Variable};
use stack::Services;

/// Version of the structure of [`Plan`].
const PLAN_VERSION: u32 = 1;
/// Quiet time that closes an episode, unless set.
const SETTLE: Duration = Duration::from_secs(5);

/// What checking knows so far.
struct Checker<'a> {
    inputs: &'a Inputs<'a>,
    root: &'a Node,
    vars: Vars<'a>,
    services: Services,
    targets: BTreeMap<String, String>,
    /// Every step's name as far as it can be read, for references.
    step_names: Vec<String>,
    /// Every journey's, likewise.
    journey_names: Vec<String>,
    /// Those of several loads, likewise.
    load_names: Vec<String>,
    problems: Vec<Problem>,
}

/// Checks what was read of a file. `found` are the problems of the reading.
pub(super) fn check<'a>(
    inputs: &'a Inputs<'a>,
    supports: Supports<'_>,
    root: &'a Node,
    file: &'a File,
    found: Vec<Problem>,
) -> Result<Checked, Vec<Problem>> {
    let mut problems = found;
    let vars = Vars::new(inputs, file.vars.as_ref(), &mut problems);
    let mut checker = Checker {
        inputs,
        root,
        vars,
        services: Services::default(),
        targets: BTreeMap::new(),
        step_names: names_of_steps(root),
        journey_names: names_of_journeys(root),
        load_names: keys_at(root, &["loads"]),
        problems,
    };
    let plan = checker.plan(file, supports);
    match plan {
        Some((plan, spans)) if checker.problems.is_empty() => {
            let mut warnings = evidence::warnings(&plan, &spans);
            warnings.append(&mut checker.vars.doubts);
            warnings.sort_by_key(|warning| warning.at);
            warnings.dedup();
            let known = checker.services.targets.iter().flatten();
            Ok(Checked {
                plan,
                replicas: known.map(|(name, s)| (name.clone(), s.replicas)).collect(),
                warnings,
            })
        }
        Some(_) | None => Err(checker.problems),
    }
}

impl<'a> Checker<'a> {
    fn plan(&mut self, file: &'a File, supports: Supports<'_>) -> Option<(Plan, Vec<Span>)> {
        self.version(file);
        let name = self.name(file);
        self.later(file);
        let stack = self.stack(file);
        self.targets(file);
        let observe = self.observe(file);
        let guards = self.guards(file, stack.as_ref(), &observe);
        let steady_state = self.steady_state(file, &observe);
        let (load, loads) = self.loads(file);
        let several = loads.iter().map(|(name, load)| (Some(name.as_str()), load));
        let traffic = Traffic::of(load.iter().map(|load| (None, load)).chain(several));
        let traffic = traffic.as_ref();
        let steps = self.steps(file, traffic, stack.as_ref(), &guards, supports);
        let recovery = self.recovery(file);
        let objectives =
            self.objectives(file, traffic, &steps, &observe, stack.as_ref(), &recovery);
        let stop_when = self.stop_when(file, traffic, &observe);
        let (spans, objectives) = objectives.into_iter().unzip();
        let mut targets = std::mem::take(&mut self.targets);
        for service in steps.iter().filter_map(|step| step.action.target()) {
            targets
                .entry(service.to_owned())
                .or_insert_with(|| service.to_owned());
        }
        let plan = Plan {
            plan_version: PLAN_VERSION,
            name: name?,
            description: file.description.clone(),
            tags: file.tags.clone().unwrap_or_default(),
            seed: self.inputs.seed.or(file.seed).unwrap_or_else(draw_seed),
            file: self.inputs.path.to_owned(),
            stack: stack?,
            targets,
            observe,
            steady_state,
            load,
            loads,
            pace: Pace::default(),
            steps,
            objectives,
            recovery,
            stop_when,
            guards,
        };
        Some((plan, spans))
    }

    fn version(&mut self, file: &File) {
        match &file.version {
            Some(version) if version.value != 1 => {
                let problem = Problem::not_supported(
                    version.at,
                    &format!("version {} of the language", version.value),
                );
                self.problems.push(problem.help("write `version: 1`"));
            }
            Some(_) => {}
            None => self.missing_at_top("version"),
        }
    }

    fn name(&mut self, file: &File) -> Option<String> {
        let Some(name) = &file.name else {
            self.missing_at_top("name");
            return None;
        };
        if !is_name(&name.value) {
            let problem = Problem::invalid(
                name.at,
                format!("`{}` cannot be a folder under `reports/`", name.value),
            );
            self.problems.push(
                problem.help(
                    "use letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
                ),
            );
        }
        Some(name.value.clone())
    }

    /// Notes a key that must be at the top, unless it is there and failed by itself.
    fn missing_at_top(&mut self, key: &str) {
        if self.root.get(key).is_none() {
            let at = Span {
                start: self.root.at.start,
                end: self.root.at.start,
            };
            self.problems
                .push(Problem::invalid(at, format!("`{key}` is missing here")));
        }
    }

    fn later(&mut self, file: &File) {
        let guards = file.guards.as_ref();
        if let Some(account) = guards.and_then(|g| g.account) {
            let problem = Problem::not_supported(account.at, "the guard `account`");
            self.problems.push(problem);
        }
    }

    fn targets(&mut self, file: &File) {
        for (name, target) in file.targets.iter().flat_map(Named::iter) {
            if self.services.nodes && name.value == NODE {
                let message =
                    format!("on a swarm `{NODE}` means the nodes of the cluster, and nothing else");
                self.problems
                    .push(Problem::invalid(name.at, message).help("give it another name"));
                continue;
            }
            if let Some(service) = self.service(&target.service, "a service of the stack") {
                self.targets.insert(name.value.clone(), service);
            }
        }
    }

    /// The service that a name of `targets` or of the stack means.
    fn service(&mut self, name: &At<String>, what: &str) -> Option<String> {
        if let Some(service) = self.targets.get(&name.value) {
            return Some(service.clone());
        }
        if self.services.nodes && name.value == NODE {
            let message = format!("`{NODE}` means the nodes of the cluster, which are no service");
            self.problems.push(Problem::invalid(name.at, message).help(
                "write `node_kill`, `node_stop`, `node_pause`, `node_disconnect`, `node_partition`, `drain` or `zone_outage`",
            ));
            return None;
        }
        let Some(known) = &self.services.targets else {
            return Some(name.value.clone());
        };
        if known.contains_key(&name.value) {
            return Some(name.value.clone());
        }
        // A target that failed by itself is noted there.
        if keys_at(self.root, &["targets"]).contains(&name.value) {
            return None;
        }
        let problem = Problem::invalid(name.at, format!("`{}` is not {what}", name.value));
        let names = self.targets.keys().chain(known.keys()).map(String::as_str);
        self.problems.push(if known.is_empty() {
            problem.help(self.services.why_none)
        } else {
            problem.did_you_mean(&name.value, names)
        });
        None
    }

    fn recovery(&mut self, file: &File) -> Recovery {
        let written = file.recovery.as_ref();
        let settle = written.and_then(|r| r.settle);
        if let Some(settle) = settle.filter(|settle| settle.value.0.is_zero()) {
            let problem = Problem::invalid(
                settle.at,
                "`settle` is how long callers must be well for a failover to be over: it cannot be 0",
            );
            self.problems.push(problem.help("leave it out for 5s"));
        }
        Recovery {
            settle: settle.map_or(SETTLE, |settle| settle.value.0),
            bad: written.and_then(|r| r.bad),
            latency_back: written
                .and_then(|r| r.latency_back)
                .map(|limit| limit.value.0),
        }
    }

    /// A text with its variables, each checked to make sense at `place`.
    fn template(&mut self, at: Span, text: &str, place: Place<'_>) -> Template {
        let mut template = self.vars.read(at, text, &mut self.problems);
        let misplaced = self.vars.misplaced(at, &template, place);
        self.problems.extend(misplaced);
        for part in &mut template.parts {
            if let Part::Variable(Variable::Addr { name, port } | Variable::Addrs { name, port }) =
                part
            {
                if let Some(service) = self.targets.get(name) {
                    name.clone_from(service);
                }
                if let Some(problem) = self.services.no_address(at, name, *port) {
                    self.problems.push(problem);
                }
            }
        }
        template
    }

    /// Names to texts: header lines, environment.
    fn texts(
        &mut self,
        written: Option<&Named<At<Text>>>,
        place: Place<'_>,
    ) -> Vec<(String, Template)> {
        let entries = written.into_iter().flat_map(Named::iter);
        entries
            .map(|(name, text)| {
                (
                    name.value.clone(),
                    self.template(text.at, &text.value.0, place),
                )
            })
            .collect()
    }

    /// A text that must be known now: a path or a name.
    fn fixed(&mut self, text: &At<String>, what: &str) -> Option<String> {
        let template = self.template(text.at, &text.value, Place::Stack);
        let mut out = String::new();
        for part in template.parts {
            match part {
                Part::Literal(literal) => out.push_str(&literal),
                Part::Variable(Variable::ScenarioDir) => {
                    out.push_str(&super::vars::folder(self.inputs.path).display().to_string())
                }
                Part::Variable(variable) => {
                    self.problems.push(Problem::invalid(text.at, format!("{what} cannot depend on `${{{variable}}}`: it is read before anything runs")));
                    return None;
                }
            }
        }
        Some(out)
    }

    /// Notes `problem` unless something inside the place has failed already, which may be its cause.
    fn problem_unless_broken(&mut self, at: Span, problem: Problem) {
        if !self.is_broken(at) {
            self.problems.push(problem);
        }
    }

    fn is_broken(&self, at: Span) -> bool {
        self.problems
            .iter()
            .any(|problem| at.start <= problem.at.start && problem.at.start <= at.end)
    }

    fn is_broken_at(&self, path: &[&str]) -> bool {
        node_at(self.root, path).is_some_and(|node| self.is_broken(node.at))
    }
}

/// The place of the last key of `path`; of the file's beginning if it is not there.
fn key_at(root: &Node, path: &[&str]) -> Span {
    let Some((last, parents)) = path.split_last() else {
        return Span::default();
    };
    match node_at(root, parents).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries
            .iter()
            .find(|(key, _)| key.text == *last)
            .map_or(Span::default(), |(key, _)| key.at),
        Some(Value::List(_) | Value::Scalar { .. }) | None => Span::default(),
    }
}

fn node_at<'n>(root: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(root, |node, key| node.get(key))
}

/// The keys of the mapping at `path`, whether their values can be read or not.
fn keys_at(root: &Node, path: &[&str]) -> Vec<String> {
    match node_at(root, path).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|(key, _)| key.text.clone()).collect(),
        Some(Value::List(_) | Value::Scalar { .. }) | None => Vec::new(),
    }
}

/// Whether somebody is to ask the stack anything, as far as the file says so.
fn has_load(root: &Node) -> bool {
    root.get("load").is_some() || root.get("loads").is_some()
}

fn names_of_journeys(root: &Node) -> Vec<String> {
    let loads = keys_at(root, &["loads"]);
    let of_each = loads
        .iter()
        .flat_map(|load| keys_at(root, &["loads", load, "journeys"]));
    keys_at(root, &["load", "journeys"])
        .into_iter()
        .chain(of_each)
        .collect()
}

fn names_of_steps(root: &Node) -> Vec<String> {
    let Some(Value::List(steps)) = root.get("steps").map(|steps| &steps.value) else {
        return Vec::new();
    };
    let name = |step: &Node| match &step.get("name")?.value {
        Value::Scalar { text, .. } => Some(text.clone()),
        Value::Map(_) | Value::List(_) => None,
    };
    steps.iter().filter_map(name).collect()
}

/// Names that become folders, windows and keys.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Names given twice, each with its second place.
fn repeated<'n>(names: impl IntoIterator<Item = &'n At<String>>) -> Vec<&'n At<String>> {
    let mut seen = BTreeSet::new();
    names
        .into_iter()
        .filter(|name| !seen.insert(name.value.as_str()))
        .collect()
}

/// A seed that nobody chose; short enough to be read out and typed.
fn draw_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish() >> 40
}
