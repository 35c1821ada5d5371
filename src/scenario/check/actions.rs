//! What a step does: exactly one action, aimed at something the stack has.

use std::path::PathBuf;
use std::time::Duration;

use super::{Checker, compose_file};
use crate::model::{Action, Signal, Take, Template, UpdateChange};
use crate::scenario::error::Problem;
use crate::scenario::file::Later;
use crate::scenario::file::steps::{ACTIONS, Command, CommandUndo, HttpUndo, Step, Stop, Update};
use crate::scenario::shape::At;
use crate::scenario::tree::Span;
use crate::scenario::units::Taken;
use crate::scenario::vars::{Place, folder};

/// Docker's own grace between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// An action with the place of its key's value; none where a part of it failed.
pub(super) type Placed = (Span, Option<Action>);

impl Checker<'_> {
    /// The one action of a step.
    pub(super) fn action(&mut self, step: &At<Step>) -> Option<Placed> {
        let written = &step.value;
        let later = later_action(written);
        let count = usize::from(later.is_some())
            + [
                written.kill.is_some(),
                written.stop.is_some(),
                written.pause.is_some(),
                written.restart.is_some(),
                written.disconnect.is_some(),
                written.partition.is_some(),
                written.scale.is_some(),
                written.exec.is_some(),
                written.http.is_some(),
                written.command.is_some(),
                written.update.is_some(),
                written.rebalance.is_some(),
                written.node_kill.is_some(),
                written.node_stop.is_some(),
                written.node_pause.is_some(),
                written.node_disconnect.is_some(),
                written.node_partition.is_some(),
                written.drain.is_some(),
                written.zone_outage.is_some(),
            ]
            .into_iter()
            .filter(|given| *given)
            .count();
        if let Some((name, later)) = later {
            self.problems.push(Problem::not_supported(
                later.at,
                &format!("the action `{name}`"),
            ));
        }
        if count > 1 {
            let problem =
                Problem::invalid(step.at, "a step does one thing, and this one does several");
            self.problems
                .push(problem.help("make it two steps with the same `at`"));
            return None;
        }
        let placed = self.one_action(written);
        if placed.is_none() && count == 0 {
            let problem = Problem::invalid(step.at, "this step does nothing")
                .help(format!("give it one of {}", ACTIONS.join(", ")));
            self.problem_unless_broken(step.at, problem);
        }
        placed
    }

    fn one_action(&mut self, step: &Step) -> Option<Placed> {
        if let Some(kill) = &step.kill {
            self.not_yet(kill.value.zone, kill.value.label);
            let signal = kill.value.signal.unwrap_or(Signal::SigKill);
            let action = self.target(&kill.value.target).map(|target| Action::Kill {
                target,
                take: take(kill.value.take),
                signal,
            });
            Some((kill.at, action))
        } else if let Some(stop) = &step.stop {
            let action = self
                .stop(&stop.value)
                .map(|(target, take, grace)| Action::Stop {
                    target,
                    take,
                    grace,
                });
            Some((stop.at, action))
        } else if let Some(restart) = &step.restart {
            let action = self
                .stop(&restart.value)
                .map(|(target, take, grace)| Action::Restart {
                    target,
                    take,
                    grace,
                });
            Some((restart.at, action))
        } else if let Some(pause) = &step.pause {
            self.not_yet(pause.value.zone, pause.value.label);
            let action = self
                .target(&pause.value.target)
                .map(|target| Action::Pause {
                    target,
                    take: take(pause.value.take),
                });
            Some((pause.at, action))
        } else if let Some(cut) = &step.disconnect {
            self.not_yet(cut.value.zone, cut.value.label);
            let network = cut.value.network.clone();
            let action = self
                .target(&cut.value.target)
                .map(|target| Action::Disconnect {
                    target,
                    take: take(cut.value.take),
                    network,
                });
            Some((cut.at, action))
        } else if let Some(cut) = &step.partition {
            self.not_yet(cut.value.zone, cut.value.label);
            let from = cut.value.from.as_ref().map(|from| self.target(from));
            let action = match from {
                Some(None) => None,
                from => self
                    .target(&cut.value.target)
                    .map(|target| Action::Partition {
                        target,
                        take: take(cut.value.take),
                        from: from.flatten(),
                    }),
            };
            Some((cut.at, action))
        } else if let Some(scale) = &step.scale {
            let replicas = scale.value.replicas;
            Some((
                scale.at,
                self.target(&scale.value.target)
                    .map(|target| Action::Scale { target, replicas }),
            ))
        } else if let Some(exec) = &step.exec {
            self.not_yet(exec.value.zone, exec.value.label);
            let run = self.command_line(&exec.value.run, Place::Running);
            let undo = self.command_undo(&exec.value.undo);
            let action = self.target(&exec.value.target).map(|target| Action::Exec {
                target,
                take: take(exec.value.take),
                run,
                undo,
            });
            Some((exec.at, action))
        } else if let Some(http) = &step.http {
            let call = self.call(http.at, &http.value);
            let undo = match &http.value.undo {
                HttpUndo::Nothing(_) => Some(None),
                HttpUndo::Call(undo) => self.call(undo.at, &undo.value).map(Some),
            };
            Some((
                http.at,
                call.zip(undo)
                    .map(|(call, undo)| Action::Http { call, undo }),
            ))
        } else if let Some(command) = &step.command {
            let (run, undo) = self.command(&command.value);
            Some((command.at, Some(Action::Command { run, undo })))
        } else if let Some(update) = &step.update {
            Some((update.at, self.update(update)))
        } else if let Some(rebalance) = &step.rebalance {
            let target = self.target(&rebalance.value.target);
            let action = target.map(|target| Action::Update {
                target,
                change: UpdateChange::Again,
                keep: true,
            });
            Some((rebalance.at, action))
        } else {
            self.node_action(step)
        }
    }

    pub(super) fn target(&mut self, name: &At<String>) -> Option<String> {
        self.service(name, "a name of `targets`, nor a service of the stack")
    }

    fn stop(&mut self, stop: &Stop) -> Option<(String, Take, Duration)> {
        self.not_yet(stop.zone, stop.label);
        let target = self.target(&stop.target)?;
        Some((
            target,
            take(stop.take),
            stop.grace.map_or(GRACE, |grace| grace.0),
        ))
    }

    fn command(&mut self, command: &Command) -> (Vec<Template>, Option<Vec<Template>>) {
        (
            self.command_line(&command.run, Place::Running),
            self.command_undo(&command.undo),
        )
    }

    fn command_undo(&mut self, undo: &CommandUndo) -> Option<Vec<Template>> {
        match undo {
            CommandUndo::Nothing(_) => None,
            CommandUndo::Run(run) => Some(self.command_line(run, Place::Running)),
        }
    }

    fn update(&mut self, update: &At<Update>) -> Option<Action> {
        let written = &update.value;
        let target = self.target(&written.target);
        let image = written.image.as_ref().map(|image| {
            UpdateChange::Image(self.template(image.at, &image.value, Place::Running))
        });
        let env = written.env.as_ref().map(|env| {
            UpdateChange::Env(self.texts(Some(env), Place::Running).into_iter().collect())
        });
        let command = written
            .command
            .as_ref()
            .map(|command| UpdateChange::Command(self.command_line(command, Place::Running)));
        let files = match &written.files {
            Some(files) => Some(UpdateChange::Files(self.stack_files(files)?)),
            None => None,
        };
        let by = written.by.as_ref().map(|by| {
            let (run, undo) = self.command(&by.value);
            UpdateChange::By { run, undo }
        });
        let mut changes = [image, env, command, files, by].into_iter().flatten();
        match (changes.next(), changes.next()) {
            (Some(change), None) => Some(Action::Update {
                target: target?,
                change,
                keep: written.keep.unwrap_or(false),
            }),
            (Some(_), Some(_)) => {
                self.problems.push(Problem::invalid(update.at, "an update changes one of `image`, `env`, `command`, deploys `files`, or is done `by` a tool, not several"));
                None
            }
            (None, _) => {
                let problem = Problem::invalid(
                    update.at,
                    "an update needs one of `image`, `env`, `command`, `files` and `by`",
                );
                self.problem_unless_broken(update.at, problem);
                None
            }
        }
    }

    /// The paths of stack files, each of which can be read.
    fn stack_files(&mut self, files: &At<Vec<At<String>>>) -> Option<Vec<PathBuf>> {
        if files.value.is_empty() {
            let problem = Problem::invalid(files.at, "this deploys no file");
            self.problems
                .push(problem.help("name the stack file, and those that change it after it"));
        }
        let each = files.value.iter().map(|file| {
            let path = folder(self.inputs.path).join(self.fixed(file, "a stack file's path")?);
            let read = compose_file::services(&path, compose_file::Kind::Swarm);
            self.read_services(file.at, read)?;
            Some(path)
        });
        // Every bad one is told, not just the first.
        let each: Vec<Option<PathBuf>> = each.collect();
        each.into_iter().collect()
    }

    fn not_yet(&mut self, zone: Option<Later>, label: Option<Later>) {
        for (given, what) in [
            (zone, "selecting by `zone`"),
            (label, "selecting by `label`"),
        ] {
            if let Some(given) = given {
                self.problems.push(Problem::not_supported(given.at, what));
            }
        }
    }
}

pub(super) fn take(written: Option<Taken>) -> Take {
    written.map_or(Take::Count(1), |taken| taken.0)
}

fn later_action(step: &Step) -> Option<(&'static str, Later)> {
    let later = [
        ("latency", step.latency),
        ("loss", step.loss),
        ("bandwidth", step.bandwidth),
        ("reset", step.reset),
        ("cpu", step.cpu),
        ("memory", step.memory),
        ("disk", step.disk),
    ];
    later
        .into_iter()
        .find_map(|(name, given)| Some((name, given?)))
}
