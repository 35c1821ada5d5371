//! `firedrill plan`: what a run would do. Touches nothing.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::args::{Plan as Args, PlanFormat};
use super::exit::Exit;
use super::read;
use super::surface::Surface;
use crate::fault::{Outline, guarded, outline};
use crate::scenario::evidence::evidence;
use crate::scenario::plan::{LostLimit, Milestone, Objective, Of, Plan, StepPlan, Trigger};
use crate::timeline::clock::Clock;

/// A plan as printed.
#[derive(Serialize)]
struct Printed<'a> {
    plan: &'a Plan,
    steps: Vec<PrintedStep<'a>>,
    objectives: Vec<PrintedObjective>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct PrintedStep<'a> {
    name: &'a str,
    #[serde(flatten)]
    outline: Outline,
    guards: Vec<String>,
}

/// An objective, and what it will have to go by.
#[derive(Serialize)]
struct PrintedObjective {
    objective: String,
    /// Requests that will be due in its window; none for what is not judged by requests.
    samples: Option<u64>,
    /// Requests that a pass takes; none where no number is enough, or none is needed.
    needed: Option<f64>,
    doubts: Vec<String>,
}

pub(super) fn plan(surface: &Surface, args: &Args) -> Exit {
    let scenario = match read::read(surface, &args.file, &args.reading) {
        Ok(scenario) => scenario,
        Err(exit) => return exit,
    };
    let plan = &scenario.checked.plan;
    match args.format {
        PlanFormat::Json => surface.json(&Printed {
            plan,
            steps: plan
                .steps
                .iter()
                .map(|s| PrintedStep {
                    name: &s.name,
                    outline: outline(s, &plan.stack),
                    guards: guarded(s, plan),
                })
                .collect(),
            objectives: objectives(plan),
            warnings: scenario
                .checked
                .warnings
                .iter()
                .map(|w| w.message.clone())
                .collect(),
        }),
        PlanFormat::Text => {
            surface.result(&text(plan));
            read::warn(surface, &args.file, &scenario);
        }
    }
    // Not part of the plan, which has the same bytes whenever it is made.
    if let Err(closed) = plan.guards.open_at(Clock::start().zero_wall_ns()) {
        surface.talk(&format!("now `run` would refuse: {closed}"));
    }
    Exit::Pass
}

fn text(plan: &Plan) -> String {
    let mut out = format!("{}   seed {}\n", plan.name, plan.seed);
    if let Some(description) = &plan.description {
        let _ = writeln!(out, "{}", description.trim());
    }
    let _ = writeln!(out, "\nSTACK     {}", stack(plan));
    if let Some(load) = &plan.load {
        let schedule = load.schedule();
        let _ = writeln!(
            out,
            "LOAD      {} arrivals in {} (warm-up {} included), peak {}/s, timeout {}, {} connections",
            schedule.slots(),
            time(schedule.length()),
            time(load.warmup),
            schedule.peak(),
            time(load.timeout),
            load.connections
        );
        for (index, journey) in load.journeys.iter().enumerate() {
            let share = load.share(index) * 100.0;
            let _ = writeln!(
                out,
                "          {:<10} {share:.1} % of arrivals, {} requests each",
                journey.name,
                journey.requests().count()
            );
        }
    }
    if !plan.steps.is_empty() {
        out.push_str("\nSTEPS\n");
    }
    for step in &plan.steps {
        let outline = outline(step, &plan.stack);
        let _ = writeln!(out, "{:<9} {}  {}", when(step), step.name, outline.action);
        let _ = writeln!(out, "          takes  {}", outline.takes);
        let _ = writeln!(out, "          call   {}", outline.call);
        let _ = writeln!(out, "          undo   {}", outline.undo);
        let _ = writeln!(out, "          until  {}", outline.until);
        let _ = writeln!(out, "          needs  {}", outline.needs);
        for guard in guarded(step, plan) {
            let _ = writeln!(out, "          guard  {guard}");
        }
    }
    let objectives = objectives(plan);
    if !objectives.is_empty() {
        out.push_str("\nOBJECTIVES\n");
    }
    for objective in objectives {
        let samples = objective
            .samples
            .map_or(String::new(), |n| format!("{n} requests"));
        let needed = objective
            .needed
            .map_or(String::new(), |n| format!(", a pass needs {n:.0}"));
        let _ = writeln!(out, "{:<52} {samples}{needed}", objective.objective);
        for doubt in objective.doubts {
            let _ = writeln!(out, "          in doubt: {doubt}");
        }
    }
    out
}

fn objectives(plan: &Plan) -> Vec<PrintedObjective> {
    let printed = |(objective, evidence): (&Objective, crate::scenario::evidence::Evidence)| {
        PrintedObjective {
            objective: words(objective),
            samples: evidence.samples,
            needed: evidence.needed.filter(|n| n.is_finite()),
            doubts: evidence.doubts,
        }
    };
    plan.objectives
        .iter()
        .zip(evidence(plan))
        .map(printed)
        .collect()
}

fn words(objective: &Objective) -> String {
    let about = |of: &Of, during: &str| {
        let of = if let Of::Journey(name) = of {
            format!(", {name}")
        } else {
            String::new()
        };
        if during == "run" {
            of
        } else {
            format!("{of}, during {during}")
        }
    };
    match objective {
        Objective::Availability {
            at_least,
            of,
            during,
        } => {
            format!("availability{} >= {at_least}", about(of, during))
        }
        Objective::Latency {
            name,
            within,
            of,
            during,
            ..
        } => {
            format!("latency {name}{} <= {}", about(of, during), time(*within))
        }
        Objective::Failover { step, within, of } => {
            format!("failover {step}{} <= {}", about(of, "run"), time(*within))
        }
        Objective::Lost { step, limit, of } => {
            format!("lost {step}{} <= {}", about(of, "run"), lost(limit))
        }
        Objective::Detection { step, within, .. } => {
            format!("detection {step} <= {}", time(*within))
        }
        Objective::UpdateWithin { step, within } => {
            format!("update {step}, done <= {}", time(*within))
        }
        Objective::UpdateLost { step, limit } => format!("update {step}, lost <= {}", lost(limit)),
        Objective::UpdateMinHealthy { step, at_least } => {
            format!("update {step}, healthy >= {at_least}")
        }
        Objective::Alert {
            alert,
            after,
            fires,
            notifies,
            resolves,
            clears,
            ..
        } => {
            let budgets = [
                ("fires", fires),
                ("notifies", notifies),
                ("resolves", resolves),
                ("clears", clears),
            ];
            let each: Vec<String> = budgets
                .iter()
                .filter_map(|(what, by)| by.map(|by| format!("{what} <= {}", time(by))))
                .collect();
            format!("alert {alert} after {after}: {}", each.join(", "))
        }
        Objective::OtherAlerts { severities, .. } => {
            format!("no other alert ({})", severities.join(", "))
        }
        Objective::LatencyBack { step, within } => {
            format!("latency back after {step} <= {}", time(*within))
        }
    }
}

fn lost(limit: &LostLimit) -> String {
    match limit {
        LostLimit::Outage(length) => format!("{} of full outage", time(*length)),
        LostLimit::Count(count) => format!("{count} requests"),
    }
}

fn stack(plan: &Plan) -> String {
    use crate::model::StackSpec;
    match &plan.stack {
        StackSpec::Compose(c) => format!(
            "compose {} (stood up, taken down at the end)",
            c.file.display()
        ),
        StackSpec::Process(p) => {
            let each: Vec<String> = p
                .services
                .iter()
                .map(|(name, s)| format!("{name} ×{}", s.replicas))
                .collect();
            format!("process {} (started, ended at the end)", each.join(", "))
        }
        StackSpec::External(e) => {
            let project = e
                .compose_project
                .as_ref()
                .map_or(String::new(), |p| format!(", Compose project {p}"));
            let names: Vec<&str> = e.addresses.keys().map(String::as_str).collect();
            format!(
                "external {}{project} (nothing is started or stopped)",
                names.join(", ")
            )
        }
        StackSpec::Fake(_) => "fake".to_owned(),
    }
}

fn when(step: &StepPlan) -> String {
    match &step.when {
        Trigger::At(at) => format!("+{}", time(*at)),
        Trigger::After {
            step,
            milestone,
            wait,
            ..
        } => {
            let far = match milestone {
                Milestone::Dispatched => "dispatched",
                Milestone::Healed => "healed",
                Milestone::Settled => "settled",
            };
            format!("{} after {step} is {far}", time(*wait))
        }
    }
}

fn time(length: Duration) -> String {
    humantime::format_duration(length).to_string()
}
