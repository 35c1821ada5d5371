//! `firedrill doctor`: what this machine lets a drill do, and what that means for which action or figure. Changes nothing.

mod engine;
mod finding;
mod host;
mod monitoring;

use super::args::{Doctor as Args, PlanFormat};
use super::context::{asking, docker};
use super::exit::Exit;
use super::read;
use super::surface::Surface;
use crate::model::StackSpec;
use crate::scenario::plan::Plan;
use crate::stack;
use finding::{Examined, Finding, Level};

/// What the findings are measured against.
struct Needs<'a> {
    /// The scenario's plan; without one, what any drill may need.
    plan: Option<&'a Plan>,
}

impl Needs<'_> {
    fn engine(&self) -> bool {
        self.plan.is_none_or(|plan| match &plan.stack {
            StackSpec::Compose(_) => true,
            // With a manager elsewhere, only what stands beside the cluster is of the engine at hand.
            StackSpec::Swarm(s) => s.manager.is_none() || s.outside.is_some(),
            StackSpec::External(e) => e.compose_project.is_some(),
            StackSpec::Process(_) | StackSpec::Fake(_) => false,
        })
    }

    fn compose(&self) -> bool {
        self.plan.is_none_or(|plan| match &plan.stack {
            StackSpec::Compose(_) => true,
            StackSpec::Swarm(s) => s.machines.is_some() || s.outside.is_some(),
            StackSpec::External(_) | StackSpec::Process(_) | StackSpec::Fake(_) => false,
        })
    }
}

pub(super) fn doctor(surface: &Surface, args: &Args) -> Exit {
    let scenario = match &args.file {
        Some(file) => match read::read(surface, file, &args.reading) {
            Ok(scenario) => Some(scenario),
            Err(exit) => return exit,
        },
        None => None,
    };
    let plan = scenario.as_ref().map(|s| &s.checked.plan);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return surface.failed(&error, Exit::Inconclusive),
    };
    let findings = runtime.block_on(examine(surface, args, &Needs { plan }));
    // A file system or an engine that hangs is not waited for.
    runtime.shutdown_background();
    let examined = Examined::new(plan.map(|p| p.name.clone()), findings);
    match args.format {
        PlanFormat::Json => surface.json(&examined),
        PlanFormat::Text => surface.result(&examined.text(surface.colours_out(), surface.quiet)),
    }
    if examined.ready() {
        Exit::Pass
    } else {
        Exit::Inconclusive
    }
}

async fn examine(surface: &Surface, args: &Args, needs: &Needs<'_>) -> Vec<Finding> {
    let docker = docker(surface);
    let (checkup, host, prometheus) = tokio::join!(
        stack::checkup(&docker),
        stack::host::look(docker.path.clone(), &args.reports.out),
        async {
            let plan = needs.plan?;
            let address = plan.observe.prometheus.as_ref()?;
            match asking(surface, &plan.file) {
                Ok(context) => Some(monitoring::prometheus(plan, address, context).await),
                Err(error) => Some(Finding::new(
                    "prometheus",
                    Level::Warn,
                    error.to_string(),
                    "it could not be asked",
                )),
            }
        }
    );
    let mut findings = engine::findings(&checkup, needs);
    findings.extend(prometheus);
    findings.extend(host::findings(&host, needs, checkup.local));
    findings
}
