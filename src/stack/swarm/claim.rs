//! One run at a time on a cluster: two would each see the other's faults, and meet at its ports.
//!
//! Who comes first is settled by the managers: a Swarm takes a config's name once, and all of them agree on it. It bears the
//! label of the run's stack, so that whoever takes the stack away takes the claim away, too.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::models::ConfigSpec;

use super::SwarmStack;
use super::engines::words;
use super::services::NAMESPACE;
use crate::stack::StackError;
use crate::stack::docker::status;

/// The config that only one run's stack can have.
pub(super) const CLAIM: &str = "firedrill-claim";

impl SwarmStack {
    /// Takes the cluster for this run; holds if this run has it already.
    ///
    /// # Errors
    /// The managers'; [`StackError::NotUp`] with whose it is.
    pub(super) async fn claim(&self) -> Result<(), StackError> {
        let call = "take the cluster for this run";
        let docker = self.leader_through(call).await?;
        let made = docker.create_config(ConfigSpec {
            name: Some(CLAIM.to_owned()),
            labels: Some(config_labels(&self.name)),
            // Swarm takes none without data.
            data: Some(STANDARD.encode(&self.context.run)),
            templating: None,
        });
        let failed = |why: String| StackError::Call {
            call: call.to_owned(),
            component: "the Swarm's managers".to_owned(),
            why,
        };
        match made.await {
            Ok(_) => return Ok(()),
            Err(e) if status(&e) == Some(409) => {}
            Err(e) => return Err(failed(words(&e))),
        }
        let holder = match docker.inspect_config(CLAIM).await {
            Ok(config) => config.spec.and_then(|s| s.labels?.remove(NAMESPACE)),
            Err(e) => return Err(failed(words(&e))),
        };
        match holder {
            Some(holder) if holder == self.name => Ok(()),
            Some(other) => Err(StackError::NotUp {
                why: format!(
                    "another run's stack is on this cluster: {other}. Wait for that run to end; if it has ended, `docker stack \
                     rm {other}` on a manager takes away what it left"
                ),
            }),
            None => Err(StackError::NotUp {
                why: format!(
                    "the cluster has a config {CLAIM} that is no run's. If nobody drills there, `docker config rm {CLAIM}` on a \
                     manager removes it"
                ),
            }),
        }
    }

    /// Gives the cluster back. `id` is the claim's own: somebody else's may be there by now, under the same name.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn release(&self, id: &str) -> Result<(), StackError> {
        let call = "give the cluster back";
        let docker = self.leader_through(call).await?;
        match docker.delete_config(id).await {
            Ok(()) => Ok(()),
            Err(e) if status(&e) == Some(404) => Ok(()),
            Err(e) => Err(StackError::Call {
                call: call.to_owned(),
                component: CLAIM.to_owned(),
                why: words(&e),
            }),
        }
    }
}

/// What a config bears that goes when this stack does.
pub(super) fn config_labels(stack: &str) -> HashMap<String, String> {
    HashMap::from([(NAMESPACE.to_owned(), stack.to_owned())])
}
