//! Asking before anything is broken that firedrill did not start.

use std::fmt::Write;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::time::Duration;

use super::args::Run;
use super::context::asking;
use super::exit::Exit;
use super::surface::Surface;
use crate::fault::{Known, Shield, chosen, outline};
use crate::model::{Component, ManagerSpec, StackSpec};
use crate::scenario::plan::{Plan, StepPlan};
use crate::stack::{self, Stack};

/// How long the stack may take to say what it is made of.
const ASKED: Duration = Duration::from_secs(30);

/// Shows what would be touched, and has the stack's name typed.
///
/// # Errors
/// [`Exit::Usage`] where nobody can be asked or the answer is anything else, [`Exit::Inconclusive`] where the stack does not
/// say what would be hit. Nothing was touched.
pub(super) fn confirm(surface: &Surface, args: &Run, file: &Path, plan: &Plan) -> Result<(), Exit> {
    let doing = match &plan.stack {
        StackSpec::Swarm(_) => "firedrill did not make this cluster and will touch its nodes",
        StackSpec::External(_)
        | StackSpec::Compose(_)
        | StackSpec::Process(_)
        | StackSpec::Fake(_) => "firedrill did not start this stack and will break it",
    };
    let what = format!("{}: {doing}", file.display());
    if !std::io::stdin().is_terminal() {
        surface.talk(&format!("error: {what}; confirm with --yes"));
        return Err(Exit::Usage);
    }
    let (kind, name) = named(plan);
    let left_in = |step: &&StepPlan| super::run::selection(args).leaves_out(&step.name).is_none();
    let steps: Vec<&StepPlan> = plan.steps.iter().filter(left_in).collect();
    let seen = match look(surface, file, plan, &steps) {
        Ok(seen) => seen,
        Err(why) => {
            surface.talk(&format!(
                "error: what would be hit cannot be told, so nothing was touched: {why}"
            ));
            return Err(Exit::Inconclusive);
        }
    };
    let mut text = format!("{what}: {kind} {name}\n");
    for step in steps {
        told(&mut text, step, plan, &seen);
    }
    let _ = write!(text, "Type the {kind}'s name ({name}) to go on:");
    surface.talk(&text);
    let mut answer = String::new();
    let typed = std::io::stdin().lock().read_line(&mut answer);
    if typed.is_ok() && answer.trim() == name {
        return Ok(());
    }
    let said = match answer.trim() {
        "" => "nothing was typed".to_owned(),
        other => format!("`{other}` is not {name}"),
    };
    surface.talk(&format!("error: {said}; nothing was touched"));
    Err(Exit::Usage)
}

/// What the stack is called.
fn named(plan: &Plan) -> (&'static str, &str) {
    match &plan.stack {
        StackSpec::External(e) => match &e.compose_project {
            Some(project) => ("project", project),
            None => ("scenario", &plan.name),
        },
        StackSpec::Swarm(s) => match &s.manager {
            Some(ManagerSpec::At { address, .. }) => ("manager", address),
            Some(ManagerSpec::Context(name)) => ("context", name),
            None => ("scenario", &plan.name),
        },
        StackSpec::Compose(_) | StackSpec::Process(_) | StackSpec::Fake(_) => {
            ("scenario", &plan.name)
        }
    }
}

/// A stack as it is now, and what of it must not be hit.
#[derive(Default)]
struct Seen {
    components: Vec<Component>,
    shield: Shield,
}

/// Asks the stack what it is made of, where a step is aimed at any of it.
fn look(surface: &Surface, file: &Path, plan: &Plan, steps: &[&StepPlan]) -> Result<Seen, String> {
    if steps.iter().all(|step| step.action.target().is_none()) {
        return Ok(Seen::default());
    }
    let told = |e: &dyn std::error::Error| e.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| told(&e))?;
    let context = asking(surface, file).map_err(|e| told(&e))?;
    let stack = stack::open(&plan.stack, context).map_err(|e| told(&e))?;
    let answered =
        runtime.block_on(async { tokio::time::timeout(ASKED, asked(&*stack, plan)).await });
    answered.unwrap_or_else(|_| Err(format!("no answer within {ASKED:?}")))
}

async fn asked(stack: &dyn Stack, plan: &Plan) -> Result<Seen, String> {
    let components = stack.components().await.map_err(|e| e.to_string())?;
    let shield = Shield::raise(stack, &components, &plan.guards)
        .await
        .map_err(|e| e.to_string())?;
    Ok(Seen { components, shield })
}

/// A step, what it would take of the stack as it is now, and its guards.
fn told(text: &mut String, step: &StepPlan, plan: &Plan, seen: &Seen) {
    let known = Known::ByEngine {
        components: seen.components.clone(),
        shield: seen.shield.clone(),
    };
    let outline = outline(step, plan, &known);
    let _ = writeln!(
        text,
        "  {}  {}: {}",
        step.name, outline.action, outline.call
    );
    let _ = writeln!(text, "      takes  {}", outline.takes);
    if let Some(now) = now(step, plan, seen) {
        let _ = writeln!(text, "      now    {now}");
    }
    let _ = writeln!(text, "      undo   {}", outline.undo);
    let _ = writeln!(text, "      limit  {}", outline.limit.text);
    for guard in outline.guards {
        let _ = writeln!(text, "      guard  {guard}");
    }
}

fn now(step: &StepPlan, plan: &Plan, seen: &Seen) -> Option<String> {
    let target = step.action.target()?;
    let of: Vec<&Component> = seen
        .components
        .iter()
        .filter(|c| c.id.service == target)
        .collect();
    let name = |c: &Component| format!("{} ({})", c.id, c.name);
    let chosen = chosen(
        step,
        &seen.components,
        plan.seed,
        &plan.guards,
        &seen.shield,
    );
    let Some(chosen) = chosen else {
        let names: Vec<String> = of.into_iter().map(name).collect();
        return Some(names.join(", "));
    };
    Some(match chosen {
        Ok(ids) => {
            let taken = |c: &&Component| ids.contains(&c.id);
            let all = of.len();
            let names: Vec<String> = of.into_iter().filter(taken).map(name).collect();
            format!("{} of {all}: {}", ids.len(), names.join(", "))
        }
        Err(refused) => format!("nothing: {refused}"),
    })
}
