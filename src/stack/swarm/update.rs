//! Rolling out a change and setting replicas: the cluster does it, and says in the service's `UpdateStatus` how it ended. An
//! exit code or an answered call says nothing of that.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::{Service, ServiceUpdateStatusStateEnum as State};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::SwarmStack;
use super::definition::{Definition, container_of};
use crate::stack::{Applied, StackError, Verified};

/// How long a roll-out may take.
const ROLLED_WITHIN: Duration = Duration::from_secs(840);
/// How long the replicas of a service may take to come.
const SCALED_WITHIN: Duration = Duration::from_secs(300);
/// How long the managers may take to begin an update.
const BEGUN_WITHIN: Duration = Duration::from_secs(15);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(250);

/// What an update changes, filled in.
pub(super) enum Change {
    Image(String),
    Env(BTreeMap<String, String>),
    Command(Vec<String>),
    /// Nothing but that each task is replaced.
    Nothing,
}

impl Change {
    fn make(&self, spec: &mut Value) {
        match self {
            Self::Image(image) => container_of(spec)["Image"] = json!(image),
            Self::Env(env) => {
                let container = container_of(spec);
                let kept = container["Env"].as_array().cloned().unwrap_or_default();
                let kept = kept.into_iter().filter(|pair| {
                    let pair = pair.as_str().unwrap_or_default();
                    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
                    !env.contains_key(name)
                });
                let new = env
                    .iter()
                    .map(|(name, value)| json!(format!("{name}={value}")));
                container["Env"] = kept.chain(new).collect();
            }
            Self::Command(words) => container_of(spec)["Args"] = json!(words),
            // What `docker service update --force` does.
            Self::Nothing => {
                let forced = &mut spec["TaskTemplate"]["ForceUpdate"];
                *forced = json!(forced.as_u64().unwrap_or(0) + 1);
            }
        }
    }
}

/// How an update ended.
pub(super) enum Ended {
    Completed,
    GivenUp(String),
}

impl SwarmStack {
    /// Rolls out a change and waits until the cluster says how it ended.
    ///
    /// # Errors
    /// The managers'; [`StackError::GivenUp`] where the cluster rolled it back, or stopped half way.
    pub(super) async fn update(&self, name: &str, change: &Change) -> Result<Applied, StackError> {
        let before = self.definition(name).await?;
        let mut wanted = before.spec.clone();
        change.make(&mut wanted);
        if wanted == before.spec {
            return Err(failed(
                "update",
                name,
                "it changes nothing: that is what runs already",
            ));
        }
        self.redefine("update", name, |spec| change.make(spec))
            .await?;
        match self.rolled(name, &before).await? {
            Ended::Completed => Ok(Applied {
                note: Some(format!(
                    "the cluster calls the update of {} replicas completed",
                    before
                        .replicas()
                        .map_or_else(|| "all".to_owned(), |n| n.to_string())
                )),
            }),
            Ended::GivenUp(why) => Err(given_up(name, why)),
        }
    }

    /// Deploys the stack from other files and waits until the cluster says how the roll-out of each service that they
    /// change ended. `name` is the one that the change is about.
    ///
    /// # Errors
    /// The managers'; [`StackError::NotUp`] with the words of `docker stack deploy`; [`StackError::Call`] where nothing of
    /// `name` changes; [`StackError::GivenUp`] where the cluster rolled a service back, or stopped half way; [`StackError::NotReady`] where not all that
    /// the files ask for runs.
    pub(super) async fn redeploy(
        &self,
        name: &str,
        files: &[PathBuf],
    ) -> Result<Applied, StackError> {
        let before = self.definitions().await?;
        let manager = self.leading_endpoint().await?;
        self.deploy(files, &manager).await?;
        let after = self.definitions().await?;
        let changed = after.iter().filter_map(|now| {
            let was = before.iter().find(|was| was.id == now.id)?;
            rolls(was, now).then_some(was)
        });
        let changed: Vec<&Definition> = changed.collect();
        if !changed.iter().any(|was| was.name == name) {
            return Err(failed(
                "update",
                name,
                "deploying the files changed nothing of its tasks",
            ));
        }
        let mut names: Vec<&str> = Vec::new();
        for was in changed {
            match self.rolled(&was.name, was).await? {
                Ended::Completed => names.push(&was.name),
                Ended::GivenUp(why) => return Err(given_up(&was.name, why)),
            }
        }
        // A service that is new, or has more replicas, rolls nothing out: no status speaks of those that never run.
        self.converged(None, SCALED_WITHIN).await?;
        Ok(Applied {
            note: Some(format!(
                "the cluster calls the update of {} completed",
                names.join(" and ")
            )),
        })
    }

    /// Waits until the update that began after a service was defined so has ended.
    pub(super) async fn rolled(
        &self,
        name: &str,
        before: &Definition,
    ) -> Result<Ended, StackError> {
        let begun = Instant::now();
        loop {
            // Nobody answers while a leader is in election: that says nothing of the update.
            let looked = self.service(name).await;
            let unbegun = looked.is_ok() && begun.elapsed() >= BEGUN_WITHIN;
            if let Ok(service) = looked
                && let Some(status) = service.update_status
                && status.started_at != before.begun
            {
                let said = status.message.unwrap_or_default();
                match status.state.unwrap_or(State::EMPTY) {
                    State::COMPLETED => return Ok(Ended::Completed),
                    State::PAUSED => {
                        return Ok(Ended::GivenUp(format!(
                            "the cluster stopped half way: {said}"
                        )));
                    }
                    State::ROLLBACK_COMPLETED => {
                        return Ok(Ended::GivenUp(format!(
                            "the cluster rolled it back: {said}"
                        )));
                    }
                    State::ROLLBACK_PAUSED => {
                        return Ok(Ended::GivenUp(format!(
                            "the cluster stopped half way through rolling it back: {said}"
                        )));
                    }
                    State::EMPTY | State::UPDATING | State::ROLLBACK_STARTED => {}
                }
            } else if unbegun {
                return Err(failed("update", name, "the managers did not begin it"));
            }
            if begun.elapsed() >= ROLLED_WITHIN {
                return Err(failed("update", name, "it did not end within 14 minutes"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sets the number of replicas and waits until so many run.
    ///
    /// # Errors
    /// The managers'; [`StackError::NotReady`].
    pub(super) async fn scale(&self, name: &str, count: u32) -> Result<Applied, StackError> {
        let now = self.replicas_of(name).await?;
        if now != count {
            self.redefine("scale", name, |spec| {
                if let Some(replicas) = spec.pointer_mut("/Mode/Replicated/Replicas") {
                    *replicas = json!(count);
                }
            })
            .await?;
        }
        self.converged(Some(name), SCALED_WITHIN).await?;
        Ok(Applied {
            note: Some(format!("{now} to {count} replicas")),
        })
    }

    /// How many replicas a service should have.
    ///
    /// # Errors
    /// The managers'; [`StackError::Unsupported`] for a global service.
    pub(super) async fn replicas_of(&self, name: &str) -> Result<u32, StackError> {
        let service = self.definition(name).await?;
        service.replicas().ok_or_else(|| StackError::Unsupported {
            action: "scale".to_owned(),
            platform: name.to_owned(),
            why: "it is a global service: one task on each node".to_owned(),
        })
    }

    /// Whether a service has so many replicas, all its tasks run and no roll-out is under way.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn has_replicas(
        &self,
        name: &str,
        count: u32,
    ) -> Result<Verified, StackError> {
        let service = self.service(name).await?;
        if replicas(&service) != Some(count) {
            return Ok(Verified::Not(format!(
                "{name} is not defined with {count} replicas"
            )));
        }
        Ok(unsettled(name, &service).map_or(Verified::Holds, Verified::Not))
    }
}

/// Why a service is not what its definition says yet, in words.
pub(super) fn unsettled(name: &str, service: &Service) -> Option<String> {
    let status = service.service_status.clone().unwrap_or_default();
    if status.running_tasks != status.desired_tasks {
        return Some(format!(
            "{name} runs {} of {} tasks",
            status.running_tasks.unwrap_or(0),
            status.desired_tasks.unwrap_or(0)
        ));
    }
    match service.update_status.as_ref().and_then(|s| s.state)? {
        State::UPDATING | State::ROLLBACK_STARTED => {
            Some(format!("a roll-out of {name} is under way"))
        }
        // Its tasks may all run, and some by another definition than the service's.
        State::PAUSED | State::ROLLBACK_PAUSED => Some(format!(
            "the cluster stopped half way through a roll-out of {name}"
        )),
        State::EMPTY | State::COMPLETED | State::ROLLBACK_COMPLETED => None,
    }
}

fn replicas(service: &Service) -> Option<u32> {
    let mode = service.spec.as_ref()?.mode.as_ref()?;
    u32::try_from(mode.replicated.as_ref()?.replicas?).ok()
}

fn given_up(service: &str, why: String) -> StackError {
    StackError::GivenUp {
        call: "update".to_owned(),
        component: service.to_owned(),
        why,
    }
}

pub(super) fn failed(call: &str, service: &str, why: &str) -> StackError {
    StackError::Call {
        call: call.to_owned(),
        component: service.to_owned(),
        why: why.to_owned(),
    }
}

/// Whether a roll-out began between two looks at a service. One that the cluster has rolled back meanwhile is known by its
/// status only; a definition that was written again without a change wipes the status.
fn rolls(was: &Definition, now: &Definition) -> bool {
    was.tasks() != now.tasks() || (now.begun.is_some() && was.begun != now.begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_added_and_replaced() {
        let mut spec =
            json!({ "TaskTemplate": { "ContainerSpec": { "Env": ["TENANT=a", "LEVEL=1"] } } });
        let env = [("LEVEL", "2"), ("MORE", "x")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        Change::Env(env.into()).make(&mut spec);
        let all = &container_of(&mut spec)["Env"];
        assert_eq!(*all, json!(["TENANT=a", "LEVEL=2", "MORE=x"]));
    }

    #[test]
    fn what_changes_nothing_else_still_rolls_out() {
        let was = Definition::of_spec(json!({ "TaskTemplate": {} }));
        let mut now = was.clone();
        assert!(!rolls(&was, &now));
        let mut done = was.clone();
        done.begun = Some("2026-11-22T19:43:29Z".to_owned());
        assert!(rolls(&was, &done), "rolled back since");
        assert!(!rolls(&done, &was), "written again");
        Change::Nothing.make(&mut now.spec);
        assert!(rolls(&was, &now));
    }
}
