//! `load:`: stages, connections, users, data and journeys.

use std::time::Duration;

use super::{Checker, key_at};
use crate::model::{Rate, Stage, Template};
use crate::scenario::error::Problem;
use crate::scenario::file::File;
use crate::scenario::file::load::{
    Arrivals as ArrivalsFile, Data, Load, ServedBy as ServedByFile, Stage as StageFile,
    Users as UsersFile,
};
use crate::scenario::plan::{Arrivals, DataTable, LoadPlan, ServedBy, Users};
use crate::scenario::shape::At;
use crate::scenario::tree::Span;
use crate::scenario::units::Period;
use crate::scenario::vars::{Known, Place, folder};

const WARMUP: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS: u32 = 256;

impl Checker<'_> {
    pub(super) fn load(&mut self, file: &File) -> Option<LoadPlan> {
        let load = file.load.as_ref()?;
        let at = key_at(self.root, &["load"]);
        let load = &load.value;
        let stages = self.stages(at, load);
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
            base_url: super::node_at(self.root, &["load", "base_url"]).is_some(),
            ..Known::default()
        };
        let base_url = load.base_url.as_ref().map(|url| self.base_url(url));
        let users = load
            .users
            .as_ref()
            .map(|users| self.users(users, &mut known));
        let headers = self.headers(load.headers.as_ref(), Place::Request(&known));
        let journeys = self.journeys(at, load, &known);
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

    fn stages(&mut self, at: Span, load: &Load) -> Option<Vec<Stage>> {
        let Some(written) = &load.stages else {
            let problem = Problem::invalid(at, "`stages` is missing here")
                .help("say how much load for how long: `stages: [ { rate: 300/s, for: 1m } ]`");
            if super::node_at(self.root, &["load", "stages"]).is_none() {
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
        self.absolute_url(url, Place::Running)
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
        }
    }
}
