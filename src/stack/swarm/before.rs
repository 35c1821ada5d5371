//! How services were defined before a change, and putting that back.
//!
//! It is kept on the cluster itself, as a config of the run's stack: an undo names the config and holds no value, for an
//! environment may hold secrets. The config goes when the stack does.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::models::{ConfigSpec, ServiceUpdateStatusStateEnum as State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::SwarmStack;
use super::claim::config_labels;
use super::definition::{Definition, container_of};
use super::engines::words;
use super::update::{Change, Ended, failed, unsettled};
use crate::model::Undo;
use crate::stack::{StackError, Verified};

/// What an undo's mark begins with; the config's name follows.
const MARK: &str = "firedrill.before=";
/// How long the replicas of a service may take to come back.
const BACK_WITHIN: Duration = Duration::from_secs(300);

/// Definitions as they were.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Before {
    /// Whether anything of the stack may have changed; else only image, environment and command of the services in here.
    whole: bool,
    /// By the name in the stack file.
    services: BTreeMap<String, Value>,
}

impl Before {
    /// Whether a service is defined as it was.
    fn holds(&self, was: &Value, now: &Value) -> bool {
        let mut wanted = now.clone();
        self.put_back(was, &mut wanted);
        wanted == *now
    }

    fn put_back(&self, was: &Value, now: &mut Value) {
        if self.whole {
            now.clone_from(was);
            return;
        }
        let mut was = was.clone();
        let (was, now) = (container_of(&mut was), container_of(now));
        let (Some(was), Some(now)) = (was.as_object(), now.as_object_mut()) else {
            return;
        };
        for key in ["Image", "Env", "Args"] {
            match was.get(key) {
                Some(value) => drop(now.insert(key.to_owned(), value.clone())),
                None => drop(now.remove(key)),
            }
        }
    }
}

impl SwarmStack {
    /// Keeps a service's definition, and gives what puts it back.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn keep_definition(&self, name: &str) -> Result<Undo, StackError> {
        let service = self.definition(name).await?;
        self.keep(&service, &[&service], false).await
    }

    /// Keeps every service's definition, and gives what puts the stack back: `name` is the one that the change is about.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn keep_all_definitions(&self, name: &str) -> Result<Undo, StackError> {
        let service = self.definition(name).await?;
        let all = self.definitions().await?;
        let all: Vec<&Definition> = all.iter().collect();
        self.keep(&service, &all, true).await
    }

    async fn keep(
        &self,
        about: &Definition,
        services: &[&Definition],
        whole: bool,
    ) -> Result<Undo, StackError> {
        let before = Before {
            whole,
            services: services
                .iter()
                .map(|s| (s.name.clone(), s.spec.clone()))
                .collect(),
        };
        let name = about.name.as_str();
        let call = "keep the definition on the cluster";
        let text = serde_json::to_vec(&before).map_err(|e| failed(call, name, &e.to_string()))?;
        let config = format!("fd-before-{}", Uuid::new_v4().simple());
        let docker = self.leader_through(call).await?;
        let made = docker.create_config(ConfigSpec {
            name: Some(config.clone()),
            labels: Some(config_labels(&self.name)),
            data: Some(STANDARD.encode(text)),
            templating: None,
        });
        made.await.map_err(|e| failed(call, name, &words(&e)))?;
        let mut spec = about.spec.clone();
        let image = container_of(&mut spec)["Image"].as_str();
        Ok(Undo::Definition {
            service: name.to_owned(),
            indexes: (1..=about.replicas().unwrap_or(1)).collect(),
            image: image.unwrap_or_default().to_owned(),
            env: vec![format!("{MARK}{config}")],
            command: None,
        })
    }

    /// What an undo's mark names.
    async fn before(&self, service: &str, env: &[String]) -> Result<Before, StackError> {
        let call = "read how it was defined before";
        let config = env.iter().find_map(|mark| mark.strip_prefix(MARK));
        let config = config.ok_or_else(|| failed(call, service, "the undo names no config"))?;
        let found = self
            .ask(
                call,
                |docker| async move { docker.inspect_config(config).await },
            )
            .await?;
        let data = found.spec.and_then(|spec| spec.data).unwrap_or_default();
        let text = STANDARD.decode(data);
        let text = text.map_err(|e| failed(call, service, &format!("config {config}: {e}")))?;
        serde_json::from_slice(&text)
            .map_err(|e| failed(call, service, &format!("config {config}: {e}")))
    }

    /// Puts definitions back that a change touched, whether the cluster has done so itself or not.
    ///
    /// # Errors
    /// The managers'; [`StackError::Call`] where the cluster gives it up.
    pub(super) async fn restore_definitions(
        &self,
        service: &str,
        env: &[String],
    ) -> Result<(), StackError> {
        let before = self.before(service, env).await?;
        let now = self.definitions().await?;
        for (name, was) in &before.services {
            let Some(found) = now.iter().find(|found| found.name == *name) else {
                self.define("put back", name, was).await?;
                continue;
            };
            if before.holds(was, &found.spec) {
                // Some of its tasks may still run by what came between.
                if self.is_stopped_half_way(name).await? {
                    self.update(name, &Change::Nothing).await?;
                }
                continue;
            }
            self.redefine("put back", name, |spec| before.put_back(was, spec))
                .await?;
            let mut wanted = found.clone();
            before.put_back(was, &mut wanted.spec);
            // What is not about the tasks rolls nothing out.
            if wanted.tasks() != found.tasks()
                && let Ended::GivenUp(why) = self.rolled(name, found).await?
            {
                return Err(failed("put back", name, &why));
            }
        }
        if before.whole {
            self.remove_others(&before, &now).await?;
        }
        let only = (!before.whole).then_some(service);
        self.converged(only, BACK_WITHIN).await
    }

    /// Whether the cluster has given a roll-out up, or rolling it back.
    async fn is_stopped_half_way(&self, name: &str) -> Result<bool, StackError> {
        let state = self
            .service(name)
            .await?
            .update_status
            .and_then(|s| s.state);
        Ok(matches!(
            state,
            Some(State::PAUSED | State::ROLLBACK_PAUSED)
        ))
    }

    /// Removes the services that were not there before.
    async fn remove_others(&self, before: &Before, now: &[Definition]) -> Result<(), StackError> {
        for other in now
            .iter()
            .filter(|s| !before.services.contains_key(&s.name))
        {
            let docker = self.leader_through("put back").await?;
            let removed = docker.delete_service(&other.id).await;
            removed.map_err(|e| failed("put back", &other.name, &words(&e)))?;
        }
        Ok(())
    }

    /// Whether everything is defined as it was, and no roll-out is under way.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn are_restored(
        &self,
        service: &str,
        env: &[String],
    ) -> Result<Verified, StackError> {
        let before = self.before(service, env).await?;
        let now = self.definitions().await?;
        let services = self.services().await?;
        for (name, was) in &before.services {
            let found = now.iter().find(|found| found.name == *name);
            let service = services.iter().find(|s| self.short(s) == Some(name));
            let (Some(found), Some(service)) = (found, service) else {
                return Ok(Verified::Not(format!("{name} is not there")));
            };
            if let Some(why) = unsettled(name, service) {
                return Ok(Verified::Not(why));
            }
            if !before.holds(was, &found.spec) {
                return Ok(Verified::Not(format!("{name} is still defined otherwise")));
            }
        }
        let mut others = now.iter();
        let more = others.find(|s| before.whole && !before.services.contains_key(&s.name));
        Ok(more.map_or(Verified::Holds, |other| {
            Verified::Not(format!("{} is there still", other.name))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(image: &str, replicas: u32) -> Value {
        json!({
            "TaskTemplate": { "ContainerSpec": { "Image": image, "Env": ["TENANT=a"], "Healthcheck": { "Retries": 3 } } },
            "Mode": { "Replicated": { "Replicas": replicas } },
        })
    }

    #[test]
    fn an_update_puts_back_what_it_changed_and_a_deployment_everything() {
        let was = spec("tenant:v1", 3);
        let [one, whole] = [false, true].map(|whole| Before {
            whole,
            services: BTreeMap::from([("a-app".to_owned(), was.clone())]),
        });
        let scaled = spec("tenant:v1", 5);
        assert!(one.holds(&was, &scaled), "replicas are another step's");
        assert!(!whole.holds(&was, &scaled));
        let mut now = spec("tenant:v2", 5);
        container_of(&mut now)["Args"] = json!(["serve"]);
        assert!(!one.holds(&was, &now));
        one.put_back(&was, &mut now);
        assert_eq!(now, scaled);
        whole.put_back(&was, &mut now);
        assert_eq!(now, was);
    }
}
