//! Commands inside containers.

use super::engine::Project;
use crate::stack::StackError;
use crate::stack::docker::{Container, INSIDE_WITHIN, run_inside};

impl Project {
    /// Runs a command in a container and awaits its end. What makes a fault `acts_for` a run, and can be stopped by
    /// whoever mends in the run's place.
    ///
    /// # Errors
    /// [`StackError::Call`] where it cannot be run, ends with anything but 0, or takes longer than [`INSIDE_WITHIN`].
    pub(super) async fn exec(
        &self,
        container: &Container,
        run: &[String],
        acts_for: Option<&str>,
    ) -> Result<(), StackError> {
        let ended = tokio::time::timeout(
            INSIDE_WITHIN,
            self.exec_to_its_end(container, run, acts_for),
        );
        ended.await.unwrap_or_else(|_| {
            Err(StackError::Call {
                call: format!("exec `{}`", run.join(" ")),
                component: container.id.to_string(),
                why: format!(
                    "it did not end within {INSIDE_WITHIN:?}, and may still run: let it start what is to last in the background"
                ),
            })
        })
    }

    async fn exec_to_its_end(
        &self,
        container: &Container,
        run: &[String],
        acts_for: Option<&str>,
    ) -> Result<(), StackError> {
        let call = format!("exec `{}`", run.join(" "));
        let ended = run_inside(&self.docker, container, run, acts_for).await;
        let ended = ended.map_err(|e| self.error(&call, &container.id, &e))?;
        ended.map_err(|why| StackError::Call {
            call,
            component: container.id.to_string(),
            why,
        })
    }
}
