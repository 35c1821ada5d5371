//! Standing the stack up: the machines, the Swarm, the images, the services, and what stands outside.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::SwarmStack;
use super::base::BASE;
use super::deploy::there;
use super::machines::Machines;
use crate::model::Ready;
use crate::stack::ready::Prober;
use crate::stack::{Resolve, Stack, StackError, Standing, Surroundings};

/// Patience where the scenario sets none.
const DEFAULT_WITHIN: Duration = Duration::from_secs(180);

/// What that which stands outside gets before the stack is deployed, too, where machines join new networks then: on few cores
/// that are busy with something else an answer of theirs is lost now and then, and is waited for for 30 s.
const HEAD_START: Duration = Duration::from_secs(8);

impl SwarmStack {
    pub(super) async fn stand_up(&self) -> Result<Standing, StackError> {
        // Before any machine is made for it.
        let file = there(&self.spec.file)?;
        let mut standing = Standing::default();
        let mut alone = HEAD_START;
        if let Some(machines) = &self.machines {
            let base = self.spec.machines.as_ref().and_then(|m| m.base.as_deref());
            if base.is_some() {
                alone = Duration::ZERO;
            }
            self.on_machines(machines, &file, base, &mut standing)
                .await?;
        } else {
            self.claim().await?;
        }
        standing.notes.extend(self.heartbeat_note().await);
        match &self.outside {
            Some(outside) => {
                let outside = outside.up();
                tokio::pin!(outside);
                // Either may need the other to become healthy, so it is not waited for in full.
                let stands = timeout(alone, &mut outside).await;
                let outside = async {
                    match stands {
                        Ok(stands) => stands,
                        Err(_) => outside.await,
                    }
                };
                let (outside, ()) = tokio::try_join!(outside, self.deploy_anew(&file))?;
                standing.notes.extend(outside.notes);
            }
            None => self.deploy_anew(&file).await?,
        }
        self.wait_until_ready(self.spec.ready.as_ref()).await?;
        Ok(standing)
    }

    /// Stands the machines up, makes a Swarm of them, takes it for this run, and gives them images and what they have besides.
    async fn on_machines(
        &self,
        machines: &Machines,
        file: &Path,
        base: Option<&Path>,
        standing: &mut Standing,
    ) -> Result<(), StackError> {
        let (mut images, _) = self.images_of(file).await?;
        let base = match base {
            Some(base) => {
                let base = there(base)?;
                let (of_base, config) = self.images_of(&base).await?;
                images.extend(of_base.iter().cloned());
                Some((base, of_base, config))
            }
            None => None,
        };
        standing.notes.extend(machines.up().await?.notes);
        let all = machines.list().await?;
        self.form(&all).await?;
        self.claim().await?;
        let mut brought = self.bring_images(&all, images).await?;
        if brought.machines > 0 {
            let count = brought.machines;
            standing
                .notes
                .push(format!("brought images to {count} machines"));
        }
        if let Some((base, of_base, config)) = base {
            brought.ids.retain(|image, _| of_base.contains(image));
            standing
                .notes
                .extend(self.lay_base(&base, config, &brought.ids).await?);
        }
        Ok(())
    }

    async fn deploy_anew(&self, file: &Path) -> Result<(), StackError> {
        self.let_go(&[BASE]).await?;
        let manager = self.leading_endpoint().await?;
        self.deploy(&[file.to_owned()], &manager).await
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
