//! What is known of a stack's components before a run: of one that stands already its engine is asked, and changed in nothing.

use std::time::Duration;

use crate::cli::context::asking;
use crate::cli::surface::Surface;
use crate::fault::{Known, Shield};
use crate::model::StackSpec;
use crate::scenario::Checked;
use crate::scenario::plan::Guards;
use crate::stack::{self, Stack};

/// How long an engine may take to answer: a plan is read by someone who waits.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What is known, and why it is not more.
pub(super) struct Seen {
    pub(super) known: Known,
    /// Why the engine did not say; `None` where none was to be asked, or where it answered.
    pub(super) error: Option<String>,
}

impl Seen {
    pub(super) fn by_engine(&self) -> bool {
        matches!(self.known, Known::ByEngine { .. })
    }
}

/// Asks the engine of a stack that stands already; what firedrill itself would start is known by its files.
pub(super) fn known(surface: &Surface, checked: &Checked) -> Seen {
    let by_file = || Known::ByFile(checked.replicas.clone());
    let stands =
        matches!(&checked.plan.stack, StackSpec::External(e) if e.compose_project.is_some());
    if !stands {
        return Seen {
            known: by_file(),
            error: None,
        };
    }
    match asked(surface, checked) {
        Ok(known) => Seen { known, error: None },
        Err(error) => Seen {
            known: by_file(),
            error: Some(error),
        },
    }
}

fn asked(surface: &Surface, checked: &Checked) -> Result<Known, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let context = asking(surface, &checked.plan.file).map_err(|e| e.to_string())?;
    let stack = stack::open(&checked.plan.stack, context).map_err(|e| e.to_string())?;
    let answer = runtime.block_on(async {
        tokio::time::timeout(ANSWERED_WITHIN, there(&*stack, &checked.plan.guards)).await
    });
    runtime.shutdown_background();
    answer.unwrap_or_else(|_| {
        Err(format!(
            "the engine did not answer within {ANSWERED_WITHIN:?}"
        ))
    })
}

/// What there is of a stack, and what of it must not be hit.
async fn there(stack: &dyn Stack, guards: &Guards) -> Result<Known, String> {
    let components = stack.components().await.map_err(|e| e.to_string())?;
    let shield = Shield::raise(stack, &components, guards).await;
    let shield = shield.map_err(|e| e.to_string())?;
    Ok(Known::ByEngine { components, shield })
}
