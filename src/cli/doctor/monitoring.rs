//! What a scenario's Prometheus means for its figures.

use super::finding::{Finding, Level};
use super::host::milliseconds;
use crate::model::{StackSpec, Template, Variable};
use crate::observe::prometheus_clock;
use crate::scenario::plan::Plan;
use crate::stack::{self, StackContext, Surroundings};

/// Beyond it Prometheus' clock is worth a word: alerts' times are read by it.
const SKEW_US: i64 = 1_000_000;

pub(super) async fn prometheus(plan: &Plan, address: &Template, context: StackContext) -> Finding {
    let said = |level, found: String, means: &str| Finding::new("prometheus", level, found, means);
    let stands = matches!(plan.stack, StackSpec::External(_));
    let later = |v: &Variable| {
        matches!(v, Variable::FreePort(_))
            || (!stands && matches!(v, Variable::Addr { .. } | Variable::Addrs { .. }))
    };
    if address.variables().any(later) {
        return said(
            Level::Ok,
            format!("{address} is known once the stack is up"),
            "the run asks it then, and compares its clock",
        );
    }
    let asked = async {
        let stack = stack::open(&plan.stack, context.clone()).map_err(|e| e.to_string())?;
        let values = Surroundings::gather(&context, &*stack, address.variables());
        // As long as any of the engine's answers may take here.
        let values = tokio::time::timeout(std::time::Duration::from_secs(5), values).await;
        let values = values.map_err(|_| "the engine did not say where it answers".to_owned())?;
        prometheus_clock(address, &values.map_err(|e| e.to_string())?).await
    };
    match asked.await {
        Ok(off) => {
            let found = format!(
                "{address}, clock {} off ours (± {})",
                milliseconds(off.skew_us),
                milliseconds(off.error_us)
            );
            if off.skew_us.abs() > SKEW_US.max(off.error_us) {
                said(
                    Level::Warn,
                    found,
                    "alerts' times are put right by it; those judged to less than that are inconclusive: run NTP there",
                )
            } else {
                said(Level::Ok, found, "alerts and detection can be judged")
            }
        }
        Err(why) if stands => said(
            Level::Missing,
            why,
            "no alert, detection or PromQL of this scenario could be judged",
        )
        .needed(true),
        Err(why) => said(
            Level::Warn,
            why,
            "alerts, detection and PromQL can be judged only if it answers once the stack is up",
        ),
    }
}
