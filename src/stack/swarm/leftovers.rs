//! What other stacks of firedrill's left on the machines: a run waits until it is gone.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::ContainerSummaryStateEnum;
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::engines::words;
use super::services::NAMESPACE;
use super::tasks::DESCRIBED_WITHIN;
use super::{OWN, SwarmStack};
use crate::stack::StackError;
use crate::stack::docker::Endpoint;

/// How long the machines may take to let go of what the run before deployed.
const LET_GO_WITHIN: Duration = Duration::from_secs(20);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(250);

/// What another stack left on a machine, or may have.
struct LeftThere {
    /// In words.
    what: String,
    /// It runs, or that cannot be ruled out.
    may_answer: bool,
}

impl SwarmStack {
    /// Waits until the machines have cleared away what other stacks of firedrill's had there, but for these: while their engines
    /// hold a network, a new one of the same number cannot be made, and a task that runs on would answer for this run's.
    ///
    /// # Errors
    /// [`StackError::NotUp`] with what runs on, or may. What has merely not been cleared away is no reason not to try.
    pub(super) async fn let_go(&self, but: &[&str]) -> Result<(), StackError> {
        let deadline = Instant::now() + LET_GO_WITHIN;
        while let Some(left) = self.left_by_others(but).await? {
            if Instant::now() >= deadline {
                if !left.may_answer {
                    return Ok(());
                }
                return Err(StackError::NotUp {
                    why: format!(
                        "what no run has any more may still answer callers: {}. End it there (`docker rm -f`), or start the \
                         machine again (`docker restart`)",
                        left.what
                    ),
                });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// What is on the machines of another stack of firedrill's, none of these: what may answer callers before what has ended. A
    /// machine that runs and does not say counts as the former.
    ///
    /// # Errors
    /// The engine's of the machines.
    async fn left_by_others(&self, but: &[&str]) -> Result<Option<LeftThere>, StackError> {
        let machines = self.machine_list().await?.unwrap_or_default();
        let on_each = machines.iter().map(|machine| async move {
            let Some(endpoint) = machine.engine() else {
                return Vec::new();
            };
            let looked = timeout(DESCRIBED_WITHIN, self.others_at(&endpoint, but)).await;
            let why = match looked {
                Ok(Ok(all)) => {
                    let told = |(what, may_answer)| LeftThere {
                        what: format!("{what} on {}", machine.node),
                        may_answer,
                    };
                    return all.into_iter().map(told).collect();
                }
                Ok(Err(e)) => e.to_string(),
                Err(_) => format!("no answer within {DESCRIBED_WITHIN:?}"),
            };
            vec![LeftThere {
                what: format!("{} does not say what it runs: {why}", machine.node),
                may_answer: true,
            }]
        });
        let all = join_all(on_each).await.into_iter().flatten();
        Ok(all.max_by_key(|left| left.may_answer))
    }

    /// The containers of other stacks of firedrill's at an engine, and whether each may answer callers.
    async fn others_at(
        &self,
        endpoint: &Endpoint,
        but: &[&str],
    ) -> Result<Vec<(String, bool)>, StackError> {
        let docker = self.engines.reach(endpoint).await?;
        let filters = HashMap::from([("label", vec![NAMESPACE])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let listed = docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|e| StackError::Call {
            call: "list the tasks' containers".to_owned(),
            component: endpoint.to_string(),
            why: words(&e),
        })?;
        let others = listed.into_iter().filter(|container| {
            let labels = container.labels.as_ref();
            let stack = labels.and_then(|labels| labels.get(NAMESPACE));
            stack.is_some_and(|stack| {
                stack.starts_with(OWN) && *stack != self.name && !but.contains(&stack.as_str())
            })
        });
        let told = others.map(|container| {
            let may_answer = matches!(
                container.state,
                Some(
                    ContainerSummaryStateEnum::RUNNING
                        | ContainerSummaryStateEnum::PAUSED
                        | ContainerSummaryStateEnum::RESTARTING
                )
            );
            (container.names.unwrap_or_default().join(", "), may_answer)
        });
        Ok(told.collect())
    }
}
