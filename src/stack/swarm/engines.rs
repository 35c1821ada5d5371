//! Connections to the engines of a cluster, and asking its managers: all at once, for a dead one answers nothing.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::LocalNodeState;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::SwarmStack;
use super::machines::Machine;
use crate::model::ManagerSpec;
use crate::stack::docker::{Endpoint, chain, connect};
use crate::stack::{DockerEnv, StackError};

/// Longest that a manager may take for an answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Seconds that a call may take which changes something, or moves an image.
const CHANGE_S: u64 = 120;

/// Connections that were made, by where they lead. They hold no knowledge of the cluster.
#[derive(Default)]
pub(super) struct Engines(Mutex<HashMap<String, Docker>>);

impl Engines {
    /// A connection to an engine, within [`ANSWER`].
    ///
    /// # Errors
    /// [`StackError::Engine`].
    pub(super) async fn reach(&self, endpoint: &Endpoint) -> Result<Docker, StackError> {
        let key = endpoint.to_string();
        let known = self.known().get(&key).cloned();
        if let Some(docker) = known {
            return Ok(docker);
        }
        let connecting = timeout(ANSWER, connect(endpoint, CHANGE_S)).await;
        let docker = connecting.unwrap_or_else(|_| {
            Err(StackError::Engine {
                engine: format!("the Docker engine at {endpoint}"),
                why: format!("no answer within {ANSWER:?}"),
                advice: "See whether its machine runs and can be reached".to_owned(),
            })
        })?;
        self.known().insert(key, docker.clone());
        Ok(docker)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Docker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SwarmStack {
    /// Where managers may be asked.
    ///
    /// # Errors
    /// The engine's of the machines; [`StackError::NotUp`] where no manager runs.
    pub(super) async fn managers(&self) -> Result<Vec<Endpoint>, StackError> {
        let machines = self.machine_list().await?;
        self.managers_among(machines.as_deref())
    }

    /// The same, of machines that were just looked up.
    ///
    /// # Errors
    /// [`StackError::NotUp`] where no manager runs.
    pub(super) fn managers_among(
        &self,
        machines: Option<&[Machine]>,
    ) -> Result<Vec<Endpoint>, StackError> {
        let Some(machines) = machines else {
            return Ok(vec![self.manager()?]);
        };
        let managers: Vec<&Machine> = machines.iter().filter(|m| m.is_manager()).collect();
        let running: Vec<Endpoint> = managers.iter().filter_map(|m| m.engine()).collect();
        if running.is_empty() {
            let names: Vec<&str> = managers.iter().map(|m| m.container.name.as_str()).collect();
            let names = names.join(" ");
            return Err(StackError::NotUp {
                why: format!("no manager of the cluster runs; `docker start {names}` starts them"),
            });
        }
        Ok(running)
    }

    /// The manager of a Swarm that was there already.
    fn manager(&self) -> Result<Endpoint, StackError> {
        let env = &self.context.docker;
        match &self.spec.manager {
            None => Endpoint::of(env),
            Some(ManagerSpec::Context(name)) => Endpoint::of(&DockerEnv {
                docker_host: None,
                docker_context: Some(name.clone()),
                ..env.clone()
            }),
            Some(ManagerSpec::At { address, certs }) => Endpoint::of(&DockerEnv {
                docker_host: Some(address.clone()),
                docker_cert_path: certs.clone(),
                docker_tls_verify: certs.as_ref().map(|_| "1".to_owned()),
                ..env.clone()
            }),
        }
    }

    /// The first answer of a manager. All are asked at once.
    ///
    /// # Errors
    /// [`StackError::Call`] with what each said where none had an answer: a Swarm that has lost its quorum has none.
    pub(super) async fn ask<T, F>(
        &self,
        what: &str,
        question: impl Fn(Docker) -> F + Sync,
    ) -> Result<T, StackError>
    where
        F: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        let managers = self.managers().await?;
        let asked = self.ask_at(&managers, what, question);
        asked.await.map(|(answer, _)| answer)
    }

    /// The first answer of one of these managers, with the connection that it came by.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`].
    pub(super) async fn ask_at<T, F>(
        &self,
        managers: &[Endpoint],
        what: &str,
        question: impl Fn(Docker) -> F + Sync,
    ) -> Result<(T, Docker), StackError>
    where
        F: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        let mut asked: Vec<_> = managers
            .iter()
            .map(|endpoint| {
                let question = &question;
                Box::pin(async move {
                    let docker = self
                        .engines
                        .reach(endpoint)
                        .await
                        .map_err(|e| e.to_string())?;
                    match timeout(ANSWER, question(docker.clone())).await {
                        Ok(Ok(answer)) => Ok((answer, docker)),
                        Ok(Err(error)) => Err(format!("{endpoint}: {}", words(&error))),
                        Err(_) => Err(format!("{endpoint}: no answer within {ANSWER:?}")),
                    }
                })
            })
            .collect();
        let mut said = Vec::new();
        while !asked.is_empty() {
            let (answer, _, others) = futures_util::future::select_all(asked).await;
            match answer {
                Ok(answer) => return Ok(answer),
                Err(why) => said.push(why),
            }
            asked = others;
        }
        Err(StackError::Call {
            call: what.to_owned(),
            component: "the Swarm's managers".to_owned(),
            why: said.join("; "),
        })
    }

    /// A connection to a manager that can change things now.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`].
    pub(super) async fn leader_through(&self, what: &str) -> Result<Docker, StackError> {
        // Only a Swarm with a quorum answers this.
        let managers = self.managers().await?;
        let asked = self.ask_at(&managers, what, |docker| async move {
            docker.inspect_swarm().await
        });
        asked.await.map(|(_, docker)| docker)
    }

    /// Where the first manager is that can change things now.
    ///
    /// # Errors
    /// As [`SwarmStack::managers`]; [`StackError::NotUp`] where none can.
    pub(super) async fn leading_endpoint(&self) -> Result<Endpoint, StackError> {
        let managers = self.managers().await?;
        let tried = managers.iter().map(|endpoint| async move {
            let docker = self.engines.reach(endpoint).await.ok()?;
            let info = timeout(ANSWER, docker.info()).await.ok()?.ok()?;
            let swarm = info.swarm?;
            let able = swarm.local_node_state == Some(LocalNodeState::ACTIVE)
                && swarm.control_available == Some(true);
            let led = timeout(ANSWER, docker.inspect_swarm()).await.ok()?.is_ok();
            (able && led).then(|| endpoint.clone())
        });
        let mut able = join_all(tried).await.into_iter().flatten();
        able.next().ok_or_else(|| StackError::NotUp {
            why: format!(
                "none of {} is a manager of a Swarm that has a leader",
                managers
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        })
    }
}

/// An engine's error in its own words.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        other => chain(other),
    }
}
