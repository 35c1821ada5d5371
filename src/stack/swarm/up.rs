//! Standing the stack up: the machines, the Swarm, the images, the services, and what stands outside.

use tokio::time::Instant;

use super::SwarmStack;
use super::deploy::there;
use crate::model::Ready;
use crate::stack::ready::Prober;
use crate::stack::{Resolve, Stack, StackError, Standing, Surroundings};

/// Patience where the scenario sets none.
const DEFAULT_WITHIN: std::time::Duration = std::time::Duration::from_secs(180);

/// What the cluster gets before that which stands outside is started, too. Its nodes learn of new networks from one another;
/// on few cores that are busy with something else an answer is lost now and then, and is waited for for 30 s.
const HEAD_START: std::time::Duration = std::time::Duration::from_secs(8);

impl SwarmStack {
    pub(super) async fn stand_up(&self) -> Result<Standing, StackError> {
        // Before any machine is made for it.
        let file = there(&self.spec.file)?;
        let mut standing = Standing::default();
        if let Some(machines) = &self.machines {
            let images = self.images_of(&file).await?;
            standing.notes.extend(machines.up().await?.notes);
            let all = machines.list().await?;
            self.form(&all).await?;
            self.claim().await?;
            let brought = self.bring_images(&all, images).await?;
            if brought > 0 {
                standing
                    .notes
                    .push(format!("brought images to {brought} machines"));
            }
        } else {
            self.claim().await?;
        }
        standing.notes.extend(self.heartbeat_note().await);
        let manager = self.leading_endpoint().await?;
        self.deploy(&[file], &manager).await?;
        if let Some(outside) = &self.outside {
            // Either may need the other to become healthy, so neither is waited for in full.
            let _later = self.converged(None, HEAD_START).await;
            standing.notes.extend(outside.up().await?.notes);
        }
        self.wait_until_ready(self.spec.ready.as_ref()).await?;
        Ok(standing)
    }

    /// Waits for every task, then for the scenario's own question.
    async fn wait_until_ready(&self, ready: Option<&Ready>) -> Result<(), StackError> {
        let within = ready.map_or(DEFAULT_WITHIN, |r| r.within);
        let deadline = Instant::now() + within;
        self.converged(None, within).await?;
        let Some(http) = ready.and_then(|r| r.http.as_ref()) else {
            return Ok(());
        };
        let stack: &dyn Stack = self;
        let values = Surroundings::gather(&self.context, stack, http.variables()).await?;
        let url = values
            .resolve(http)
            .map_err(|source| StackError::Template {
                place: "stack.ready.http".to_owned(),
                source,
            })?;
        let left = deadline.saturating_duration_since(Instant::now());
        // Named as it is written: its values may be secrets.
        Prober::default()
            .until_ready(&http.to_string(), &url, left, || Ok(()))
            .await
    }
}
