//! `steps:`: when each is done, what it does, and whether the stack can.

use std::time::Duration;

use super::{Checker, is_name, repeated};
use crate::model::{Action, NodeFault, StackSpec, Take, UpdateChange};
use crate::scenario::Supports;
use crate::scenario::error::Problem;
use crate::scenario::file::File;
use crate::scenario::file::steps::Step;
use crate::scenario::plan::{Guards, Milestone, StepPlan, Traffic, Trigger};
use crate::scenario::shape::{At, Named};
use crate::scenario::tree::Span;
use crate::scenario::units::Period;

/// Names that mean something else where a step's name may stand.
const RESERVED: [&str; 6] = ["warmup", "baseline", "recovered", "run", "wait", "within"];

impl Checker<'_> {
    pub(super) fn steps(
        &mut self,
        file: &File,
        traffic: Option<&Traffic<'_>>,
        stack: Option<&StackSpec>,
        guards: &Guards,
        supports: Supports<'_>,
    ) -> Vec<StepPlan> {
        let Some(steps) = &file.steps else {
            return Vec::new();
        };
        for name in repeated(steps.iter().filter_map(|step| step.value.name.as_ref())) {
            let problem =
                Problem::invalid(name.at, format!("two steps are called `{}`", name.value));
            self.problems
                .push(problem.help("a step's name is also its window's: give each its own"));
        }
        let (mut places, mut planned) = (Vec::new(), Vec::new());
        for step in steps {
            if let Some(plan) = self.step(step, traffic, stack, guards, supports) {
                places.push(step.at);
                planned.push(plan);
            }
        }
        self.no_circles(steps);
        self.not_too_many_at_once(&planned, &places, traffic, guards);
        planned
    }

    fn step(
        &mut self,
        step: &At<Step>,
        traffic: Option<&Traffic<'_>>,
        stack: Option<&StackSpec>,
        guards: &Guards,
        supports: Supports<'_>,
    ) -> Option<StepPlan> {
        let name = self.step_name(step);
        let when = self.trigger(step, traffic);
        let (at, action) = self.action(step)?;
        let action = action?;
        self.hold_fits(step, at, &action, stack);
        self.members_suffice(at, &action, guards);
        self.held_suffice(at, &action, guards);
        self.spares_the_protected(at, &action, guards);
        if let Some(stack) = stack {
            self.stack_allows(at, &action, stack, guards, supports);
        }
        Some(StepPlan {
            name: name?,
            when: when?,
            action,
            hold: step.value.hold.map(|hold| hold.value.0),
        })
    }

    fn step_name(&mut self, step: &At<Step>) -> Option<String> {
        let Some(name) = &step.value.name else {
            self.problem_unless_broken(
                step.at,
                Problem::invalid(step.at, "`name` is missing here"),
            );
            return None;
        };
        if RESERVED.contains(&name.value.as_str()) {
            let problem = Problem::invalid(
                name.at,
                format!(
                    "a step cannot be called `{}`: that name means something else",
                    name.value
                ),
            );
            self.problems
                .push(problem.help(format!("reserved are {}", RESERVED.join(", "))));
        } else if !is_name(&name.value) {
            let problem =
                Problem::invalid(name.at, format!("`{}` cannot be a step's name", name.value));
            self.problems
                .push(problem.help("use letters, digits, `-`, `_` and `.`"));
        }
        Some(name.value.clone())
    }

    fn trigger(&mut self, step: &At<Step>, traffic: Option<&Traffic<'_>>) -> Option<Trigger> {
        let written = &step.value;
        if let Some(later) = written.every.or(written.until) {
            let problem = Problem::not_supported(later.at, "`every … until …`");
            self.problems
                .push(problem.help("write each step out, with an `at` of its own"));
            return None;
        }
        match (written.at, &written.after) {
            (Some(at), None) => {
                let end = traffic.map(Traffic::length);
                if let Some(end) = end.filter(|end| at.value.0 >= *end) {
                    let end = humantime::format_duration(end);
                    let problem = Problem::invalid(
                        at.at,
                        format!(
                            "the load has ended by then: its stages last {end} from the end of warm-up"
                        ),
                    );
                    self.problems
                        .push(problem.help("make the load longer, or the step earlier"));
                }
                Some(Trigger::At(at.value.0))
            }
            (None, Some(after)) => self.after(after),
            (Some(_), Some(after)) => {
                self.problems.push(Problem::invalid(
                    after.at,
                    "a step begins either `at` a time or `after` another step, not both",
                ));
                None
            }
            (None, None) => {
                let problem = Problem::invalid(step.at, "it is not said when this step begins");
                self.problem_unless_broken(
                    step.at,
                    problem.help("add `at: 20s`, or `after: { STEP: healed }`"),
                );
                None
            }
        }
    }

    /// `{ STEP: MILESTONE, wait: …, within: … }`: the one key that is neither `wait` nor `within` is a step.
    fn after(&mut self, after: &At<Named<At<String>>>) -> Option<Trigger> {
        let mut step = None;
        let (mut wait, mut within) = (Duration::ZERO, None);
        for (key, value) in after.value.iter() {
            match key.value.as_str() {
                "wait" => wait = self.period(value)?,
                "within" => within = Some(self.period(value)?),
                _ if step.is_some() => {
                    let problem =
                        Problem::invalid(key.at, "a step follows one other step, not several");
                    self.problems
                        .push(problem.help("follow the one that comes last"));
                    return None;
                }
                _ => step = Some((key, value)),
            }
        }
        let Some((name, milestone)) = step else {
            let problem = Problem::invalid(after.at, "`after` names no step")
                .help("write `after: { STEP: dispatched | healed | settled }`");
            self.problem_unless_broken(after.at, problem);
            return None;
        };
        self.known_step(name);
        let milestone = match milestone.value.as_str() {
            "dispatched" => Milestone::Dispatched,
            "healed" => Milestone::Healed,
            "settled" => Milestone::Settled,
            other => {
                let problem = Problem::invalid(
                    milestone.at,
                    format!("`{other}` is none of dispatched, healed, settled"),
                );
                self.problems
                    .push(problem.did_you_mean(other, ["dispatched", "healed", "settled"]));
                return None;
            }
        };
        Some(Trigger::After {
            step: name.value.clone(),
            milestone,
            wait,
            within,
        })
    }

    fn period(&mut self, text: &At<String>) -> Option<Duration> {
        match text.value.parse::<Period>() {
            Ok(period) => Some(period.0),
            Err(error) => {
                self.problems.push(error.at(text.at));
                None
            }
        }
    }

    /// Notes a name that no step has.
    pub(super) fn known_step(&mut self, name: &At<String>) -> bool {
        if self.step_names.contains(&name.value)
            || (self.step_names.is_empty() && self.is_broken_at(&["steps"]))
        {
            return true;
        }
        let problem = Problem::invalid(name.at, format!("there is no step `{}`", name.value));
        self.problems
            .push(problem.did_you_mean(&name.value, self.step_names.iter().map(String::as_str)));
        false
    }

    /// Steps that wait for one another would never begin.
    fn no_circles(&mut self, steps: &[At<Step>]) {
        let follows = |name: &str| {
            let step = steps.iter().find(|step| {
                step.value
                    .name
                    .as_ref()
                    .is_some_and(|own| own.value == name)
            })?;
            let mut keys = step.value.after.as_ref()?.value.names();
            keys.find(|key| !matches!(*key, "wait" | "within"))
        };
        for step in steps {
            let (Some(name), Some(after)) = (&step.value.name, &step.value.after) else {
                continue;
            };
            let mut chain = vec![name.value.as_str()];
            while let Some(next) = chain.last().and_then(|last| follows(last)) {
                if next == name.value {
                    let message = format!(
                        "this step waits for itself: {} -> {next}",
                        chain.join(" -> ")
                    );
                    self.problems.push(
                        Problem::invalid(after.at, message).help("begin one of them `at` a time"),
                    );
                    break;
                }
                if chain.contains(&next) {
                    break;
                }
                chain.push(next);
            }
        }
    }

    /// A hold makes sense for what stays broken until it is mended.
    fn hold_fits(&mut self, step: &At<Step>, at: Span, action: &Action, stack: Option<&StackSpec>) {
        let replaced = |service: &str| stack.is_some_and(|stack| stack.has_tasks_of(service));
        match (action, step.value.hold) {
            (Action::Kill { target, .. }, Some(hold)) if replaced(target) => {
                let problem = Problem::invalid(
                    hold.at,
                    "a Swarm puts another task in place of one that is killed, so there is nothing to hold",
                );
                self.problems.push(problem.help("leave `hold` out"));
            }
            (Action::Restart { .. }, Some(hold)) => {
                let problem = Problem::invalid(
                    hold.at,
                    "a restart mends itself, so there is nothing to hold",
                );
                self.problems
                    .push(problem.help("leave `hold` out, or use `stop` to keep it down"));
            }
            (
                Action::Update {
                    change: UpdateChange::Again,
                    ..
                },
                Some(hold),
            ) => {
                let problem = Problem::invalid(
                    hold.at,
                    "a rebalance changes no definition, so there is nothing to hold",
                );
                self.problems.push(problem.help("leave `hold` out"));
            }
            (Action::Update { keep: true, .. }, Some(hold)) => {
                let problem = Problem::invalid(
                    hold.at,
                    "with `keep: true` the update is never put back, so there is nothing to hold",
                );
                self.problems.push(problem.help("leave out one of the two"));
            }
            (
                Action::Partition { .. }
                | Action::Node {
                    fault: NodeFault::Partition,
                    ..
                },
                None,
            ) => {
                let problem = Problem::invalid(
                    at,
                    "a partition ends by itself even if firedrill dies, so it has to know when",
                );
                self.problems
                    .push(problem.help("add `hold: 20s` to the step"));
            }
            (Action::Kill { target, .. }, None) if self.restarts(target) == Some(false) => {
                let message = format!(
                    "`kill` without `hold` is a drill of the restart policy, and `{target}` has none: nothing would bring it back"
                );
                let help = if replaced(target) {
                    "give it a restart policy in the stack's file, or `scale` it"
                } else {
                    "add `hold: 20s` to the step: firedrill starts it again then"
                };
                self.problems.push(Problem::invalid(at, message).help(help));
            }
            (
                Action::Kill { .. }
                | Action::Stop { .. }
                | Action::Pause { .. }
                | Action::Restart { .. }
                | Action::Disconnect { .. }
                | Action::Partition { .. }
                | Action::Scale { .. }
                | Action::Exec { .. }
                | Action::Http { .. }
                | Action::Command { .. }
                | Action::Node { .. }
                | Action::Update { .. },
                _,
            ) => {}
        }
    }

    fn restarts(&self, service: &str) -> Option<bool> {
        self.services.targets.as_ref()?.get(service)?.restarts
    }

    pub(super) fn replicas(&self, service: &str) -> Option<u32> {
        self.services.targets.as_ref()?.get(service)?.replicas
    }

    /// A step must not leave fewer than the guard keeps, nor take more than there are where their number is known.
    fn members_suffice(&mut self, at: Span, action: &Action, guards: &Guards) {
        let Some(service) = action.target() else {
            return;
        };
        if let Action::Scale { replicas: left, .. } = action
            && *left < guards.keep_healthy
        {
            let keep = guards.keep_healthy;
            let message = format!(
                "this leaves {left} of `{service}`, and `guards: {{ keep_healthy: {keep} }}` forbids it"
            );
            self.problems
                .push(Problem::invalid(at, message).help("leave more, or lower the guard"));
        }
        let (Some(take), Some(replicas)) = (action.take(), self.replicas(service)) else {
            return;
        };
        let taken = taken_of(replicas, take);
        if taken > replicas {
            let problem = Problem::invalid(
                at,
                format!("this takes {taken} of `{service}`, which has {replicas}"),
            );
            self.problems
                .push(problem.help("write `take: all`, or a smaller count"));
        } else if replicas - taken < guards.keep_healthy {
            let keep = guards.keep_healthy;
            let message = format!(
                "this takes {taken} of the {replicas} of `{service}`, and `guards: {{ keep_healthy: {keep} }}` forbids it"
            );
            self.problems
                .push(Problem::invalid(at, message).help("take fewer, or lower the guard"));
        }
    }

    fn stack_allows(
        &mut self,
        at: Span,
        action: &Action,
        stack: &StackSpec,
        guards: &Guards,
        supports: Supports<'_>,
    ) {
        if let Err(why) = supports(stack, action) {
            self.problems.push(Problem::invalid(
                at,
                format!(
                    "`{}` cannot be done on a {} stack: {why}",
                    action.name(),
                    stack.kind()
                ),
            ));
        }
        if stack.is_foreign_to(action) && !guards.allow_external {
            let message = match stack {
                StackSpec::Swarm(_) => {
                    "firedrill did not make this cluster, so it must not touch its nodes unasked"
                }
                StackSpec::External(_)
                | StackSpec::Compose(_)
                | StackSpec::Process(_)
                | StackSpec::Fake(_) => {
                    "firedrill did not start this stack, so it must not break it unasked"
                }
            };
            let problem = Problem::invalid(at, message);
            self.problems
                .push(problem.help("add `guards: { allow_external: true }` if you mean it"));
        }
    }
}

/// How many of so many replicas a step takes.
pub(super) fn taken_of(replicas: u32, take: Take) -> u32 {
    match take {
        Take::All => replicas,
        Take::Count(count) => count,
        Take::Share(share) => ((f64::from(replicas) * share.get()).floor() as u32).max(1),
    }
}
