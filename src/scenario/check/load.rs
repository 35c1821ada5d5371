//! `load:`: stages, connections, users, data and journeys.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Checker, is_name, key_at, node_at};
use crate::model::{Rate, Stage, Template};
use crate::scenario::error::Problem;
use crate::scenario::file::File;
use crate::scenario::file::load::{
    Arrivals as ArrivalsFile, Data, Load, ServedBy as ServedByFile, Stage as StageFile,
    Users as UsersFile,
};
use crate::scenario::plan::{Arrivals, DataTable, LoadPlan, ServedBy, Users};
use crate::scenario::shape::{At, Named};
use crate::scenario::tree::{Node, Span};
use crate::scenario::units::Period;
use crate::scenario::vars::{self, Known, folder};

const WARMUP: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS: u32 = 256;

/// Where a load is written.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    path: &'p [&'p str],
    /// Its name among several.
    pub(super) name: Option<&'p str>,
}

impl Place<'_> {
    /// Whether a key is there, readable or not.
    pub(super) fn holds(self, root: &Node, key: &str) -> bool {
        node_at(root, self.path).is_some_and(|node| node.get(key).is_some())
    }
}

impl Checker<'_> {
    /// The load of a scenario, or its several loads by name.
    pub(super) fn loads(&mut self, file: &File) -> (Option<LoadPlan>, Vec<(String, LoadPlan)>) {
        if let (Some(_), Some(several)) = (&file.load, &file.loads) {
            let problem = Problem::invalid(several.at, "a scenario has either `load` or `loads`");
            self.problems
                .push(problem.help("give the one load a name, too, and move it under `loads`"));
        }
        let one = file.load.as_ref().and_then(|load| {
            let place = Place {
                path: &["load"],
                name: None,
            };
            self.load(place, &load.value)
        });
        let Some(several) = &file.loads else {
            return (one, Vec::new());
        };
        if several.value.iter().next().is_none() {
            let problem = Problem::invalid(several.at, "`loads` has no load in it");
            self.problem_unless_broken(several.at, problem);
        }
        let mut plans = Vec::new();
        for (name, load) in several.value.iter() {
            if !is_name(&name.value) {
                let problem =
                    Problem::invalid(name.at, format!("`{}` cannot name a load", name.value));
                self.problems.push(problem.help(
                    "use letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
                ));
            }
            let place = Place {
                path: &["loads", &name.value],
                name: Some(&name.value),
            };
            if let Some(plan) = self.load(place, &load.value) {
                plans.push((name.value.clone(), plan));
            }
        }
        self.told_apart(several);
        (one, plans)
    }

    /// Objectives and reports tell journeys and loads by their names alone.
    fn told_apart(&mut self, several: &At<Named<At<Load>>>) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (load, written) in several.value.iter() {
            let journeys = written.value.journeys.iter().flat_map(|j| j.value.iter());
            for (journey, _) in journeys {
                let name = journey.value.as_str();
                let why = match seen.insert(name, &load.value) {
                    Some(other) => format!("journey `{name}` is in load `{other}`, too"),
                    None if self.load_names.contains(&journey.value) => {
                        format!("`{name}` is the name of a load")
                    }
                    None => continue,
                };
                let help = "objectives and reports go by names: give each journey its own";
                self.problems
                    .push(Problem::invalid(journey.at, why).help(help));
            }
        }
    }

    fn load(&mut self, place: Place<'_>, load: &Load) -> Option<LoadPlan> {
        let at = key_at(self.root, place.path);
        let stages = self.stages(at, place, load);
        let timeout = self
            .not_zero(load.timeout, "a request cannot be answered in no time")
            .unwrap_or(TIMEOUT);
        let connections = load
            .connections
            .as_ref()
            .and_then(|connections| connections.max);
        if let Some(zero) = connections.filter(|max| max.value == 0) {
            self.problems.push(
                Problem::invalid(zero.at, "without connections nothing can be asked")
                    .help("leave it out for 256"),
            );
        }
        let connections = connections.map_or(CONNECTIONS, |max| max.value);
        if let Some(zero) = load.in_flight.filter(|most| most.value == 0) {
            self.problems.push(Problem::invalid(
                zero.at,
                "with nothing in flight nothing can be asked",
            ));
        }
        let data = load.data.as_ref().and_then(|data| self.data(data));
        let columns = data.iter().flat_map(|data| data.columns.iter().cloned());
        let mut known = Known {
            columns: columns.collect(),
            users: load.users.is_some(),
            base_url: place.holds(self.root, "base_url"),
            ..Known::default()
        };
        let base_url = load.base_url.as_ref().map(|url| self.base_url(url));
        let users = load
            .users
            .as_ref()
            .map(|users| self.users(users, &mut known));
        let headers = self.headers(load.headers.as_ref(), vars::Place::Request(&known));
        let journeys = self.journeys(at, place, load, &known);
        let served_by = load.served_by.as_ref().map(|by| self.served_by(by));
        let mut plan = LoadPlan {
            base_url,
            warmup: load.warmup.map_or(WARMUP, |warmup| warmup.value.0),
            stages: stages?,
            timeout,
            connections,
            in_flight: 0,
            served_by,
            headers,
            users,
            data,
            journeys,
            arrivals: match load.arrivals {
                None | Some(ArrivalsFile::Even) => Arrivals::Even,
                Some(ArrivalsFile::Poisson) => Arrivals::Poisson,
            },
            retry: load.retry.as_ref().map(|retry| self.retry(retry, timeout)),
            engine: self.engine(load),
        };
        // What stays unanswered for a whole timeout at the peak still fits, so that a plain hang ends as timeouts.
        let unanswered = (plan.schedule().peak() * timeout.as_secs_f64()).ceil() as u64;
        plan.in_flight = load
            .in_flight
            .map_or(unanswered.saturating_add(u64::from(connections)), |most| {
                most.value
            });
        Some(plan)
    }

    fn served_by(&mut self, written: &At<ServedByFile>) -> ServedBy {
        let ServedByFile { instance, version } = &written.value;
        if instance.is_none() && version.is_none() {
            let problem = Problem::invalid(written.at, "`served_by` names no header");
            let problem = problem.help("name the response header: `instance: X-Backend`");
            self.problem_unless_broken(written.at, problem);
        }
        for header in [instance, version].into_iter().flatten() {
            self.header_name(header);
        }
        let name = |header: &Option<At<String>>| header.as_ref().map(|name| name.value.clone());
        ServedBy {
            instance: name(instance),
            version: name(version),
        }
    }

    fn stages(&mut self, at: Span, place: Place<'_>, load: &Load) -> Option<Vec<Stage>> {
        let Some(written) = &load.stages else {
            let problem = Problem::invalid(at, "`stages` is missing here")
                .help("say how much load for how long: `stages: [ { rate: 300/s, for: 1m } ]`");
            if !place.holds(self.root, "stages") {
                self.problems.push(problem);
            }
            return None;
        };
        let mut stages: Vec<Stage> = Vec::new();
        for stage in &written.value {
            let before = stages.last().map(|stage| stage.to);
            stages.extend(self.stage(stage, before));
        }
        if stages
            .iter()
            .all(|stage| stage.from.get() == 0.0 && stage.to.get() == 0.0)
        {
            self.problem_unless_broken(
                written.at,
                Problem::invalid(written.at, "a load of nothing: no stage asks anything"),
            );
            return None;
        }
        Some(stages)
    }

    /// A stage; a ramp begins where the stage before ended, the first one at nothing.
    fn stage(&mut self, stage: &At<StageFile>, before: Option<Rate>) -> Option<Stage> {
        let length = self.not_zero(Some(stage.value.r#for), "a stage of no length is none")?;
        let nothing = Rate::per_second(0.0);
        match (stage.value.rate, stage.value.ramp_to) {
            (Some(rate), None) => Some(Stage {
                from: rate.value.0,
                to: rate.value.0,
                length,
            }),
            (None, Some(to)) => Some(Stage {
                from: before.or(nothing)?,
                to: to.value.0,
                length,
            }),
            (Some(_), Some(_)) => {
                let problem = Problem::invalid(
                    stage.at,
                    "a stage has either a constant `rate` or a `ramp_to`",
                );
                self.problems
                    .push(problem.help("make it two stages: the ramp, then the rate"));
                None
            }
            (None, None) => {
                self.problem_unless_broken(
                    stage.at,
                    Problem::invalid(stage.at, "a stage needs a `rate` or a `ramp_to`"),
                );
                None
            }
        }
    }

    pub(super) fn not_zero(&mut self, period: Option<At<Period>>, why: &str) -> Option<Duration> {
        let period = period?;
        if period.value.0.is_zero() {
            self.problems.push(Problem::invalid(period.at, why));
            return None;
        }
        Some(period.value.0)
    }

    fn data(&mut self, data: &Data) -> Option<DataTable> {
        let written = self.fixed(&data.rows, "the data file's path")?;
        let rows = folder(self.inputs.path).join(&written);
        let read = || -> Result<(Vec<String>, usize), csv::Error> {
            let mut reader = csv::Reader::from_path(&rows)?;
            let columns = reader.headers()?.iter().map(str::to_owned).collect();
            let count = reader.records().collect::<Result<Vec<_>, _>>()?.len();
            Ok((columns, count))
        };
        match read() {
            Ok((_, 0)) => {
                let message = format!("{} has no rows under its header line", rows.display());
                self.problems.push(Problem::invalid(data.rows.at, message));
                None
            }
            Ok((columns, _)) => Some(DataTable {
                rows: written.into(),
                columns,
            }),
            Err(error) => {
                self.problems.push(Problem::invalid(
                    data.rows.at,
                    format!("the data file {} cannot be read: {error}", rows.display()),
                ));
                None
            }
        }
    }

    pub(super) fn base_url(&mut self, url: &At<String>) -> Template {
        self.absolute_url(url, vars::Place::Running)
    }

    fn users(&mut self, users: &UsersFile, known: &mut Known) -> Users {
        if users.count.value == 0 {
            self.problems.push(
                Problem::invalid(users.count.at, "0 users cannot make a request")
                    .help("leave `users` out"),
            );
        }
        let mut login = Vec::new();
        for request in users.login.iter().flatten() {
            if let Some(think) = request.value.think {
                self.problems.push(Problem::invalid(
                    think.at,
                    "a login does not wait: `think` belongs to journeys",
                ));
            } else {
                login.extend(self.request(request, known));
            }
        }
        Users {
            count: users.count.value,
            login,
            cookies: users.cookies.unwrap_or(false),
        }
    }
}
