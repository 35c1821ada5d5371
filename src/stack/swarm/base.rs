//! What the machines have besides the runs' stacks (`cluster.base`): networks that they share, and something on each machine
//! that stays on these. A stack of its own, deployed once and kept as long as the machines.
//!
//! Machines that join a network at the same time may each ask the other for what it knows, and of two such questions the
//! answer to one is lost: that machine starts nothing for 30 s (libnetwork's `bulkSyncNode`). Who is on a network already
//! asks nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::models::ConfigSpec;
use serde_json::{Value, json};

use super::SwarmStack;
use super::claim::config_labels;
use super::engines::words;
use crate::stack::StackError;
use crate::stack::docker::status;

/// What `docker stack` calls it.
pub(super) const BASE: &str = "fd-base";
/// The config that says what it was made of. Swarm takes no larger one than 500 KiB on its older versions.
const MADE_OF: &str = "firedrill-base";
/// How long its tasks may take to run: those of a machine that has just come back wait for half a minute.
const WITHIN: Duration = Duration::from_secs(120);

impl SwarmStack {
    /// Deploys what the machines are to have besides, unless it is there: made of the same file, read as `config`, and the same
    /// images. The cluster is this run's. Gives what it did, in words.
    ///
    /// # Errors
    /// The managers'; [`StackError::NotUp`] with what does not run.
    pub(super) async fn lay_base(
        &self,
        file: &Path,
        config: Option<Value>,
        images: &BTreeMap<String, Option<String>>,
    ) -> Result<Option<String>, StackError> {
        let base = Self {
            name: BASE.to_owned(),
            ..self.another()
        };
        let config = match config {
            Some(config) => config,
            // A command line that does not tell how it reads it.
            None => Value::String(fs::read_to_string(file).map_err(|source| StackError::Io {
                path: file.display().to_string(),
                source,
            })?),
        };
        let count = config.get("services").and_then(Value::as_object);
        let count = count.map(serde_json::Map::len);
        let made_of = json!({ "file": config, "images": images }).to_string();
        let is_whole = async || {
            let there = base.services().await?.len();
            Ok::<_, StackError>(there > 0 && count.is_none_or(|count| count == there))
        };
        let mut because = String::new();
        if base.is_made_of(&made_of).await? && is_whole().await? {
            match base.converged(None, WITHIN).await {
                Ok(()) => return Ok(None),
                Err(e) => because = format!(", anew: {e}"),
            }
        }
        // First, so that nothing speaks for what is half gone. Networks that are there are not changed by a deployment, so all of
        // it goes.
        base.forget_made_of().await?;
        base.remove_deployed().await?;
        self.let_go(&[]).await?;
        let manager = self.leading_endpoint().await?;
        base.deploy(&[file.to_owned()], &manager).await?;
        let ready = base.converged(None, WITHIN).await;
        ready.map_err(|e| StackError::NotUp {
            why: format!(
                "what the machines have besides ({}, deployed as {BASE}) does not run: {e}",
                file.display()
            ),
        })?;
        base.keep_made_of(&made_of).await?;
        Ok(Some(format!(
            "deployed {} on the cluster, as {BASE}{because}; it stays as long as the machines",
            file.display()
        )))
    }

    async fn forget_made_of(&self) -> Result<(), StackError> {
        let call = "forget what is deployed on the cluster";
        let docker = self.leader_through(call).await?;
        match docker.delete_config(MADE_OF).await {
            Ok(()) => Ok(()),
            Err(e) if status(&e) == Some(404) => Ok(()),
            Err(e) => Err(failed(call, words(&e))),
        }
    }

    async fn is_made_of(&self, made_of: &str) -> Result<bool, StackError> {
        let call = "read what is deployed on the cluster";
        let docker = self.leader_through(call).await?;
        let found = match docker.inspect_config(MADE_OF).await {
            Ok(found) => found,
            Err(e) if status(&e) == Some(404) => return Ok(false),
            Err(e) => return Err(failed(call, words(&e))),
        };
        let data = found.spec.and_then(|spec| spec.data).unwrap_or_default();
        Ok(data == STANDARD.encode(made_of))
    }

    async fn keep_made_of(&self, made_of: &str) -> Result<(), StackError> {
        let call = "keep what is deployed on the cluster";
        let docker = self.leader_through(call).await?;
        let kept = docker.create_config(ConfigSpec {
            name: Some(MADE_OF.to_owned()),
            // It goes with the stack.
            labels: Some(config_labels(&self.name)),
            data: Some(STANDARD.encode(made_of)),
            templating: None,
        });
        kept.await.map(|_| ()).map_err(|e| failed(call, words(&e)))
    }
}

fn failed(call: &str, why: String) -> StackError {
    StackError::Call {
        call: call.to_owned(),
        component: MADE_OF.to_owned(),
        why,
    }
}
