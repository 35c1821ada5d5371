//! The stack's services on the Swarm.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{Service, TaskState};
use bollard::query_parameters::ListServicesOptionsBuilder;
use tokio::time::Instant;

use super::SwarmStack;
use crate::stack::StackError;

/// Label that `docker stack` gives to all that it makes.
pub(super) const NAMESPACE: &str = "com.docker.stack.namespace";

/// Time between two looks.
const POLL: Duration = Duration::from_millis(250);

impl SwarmStack {
    /// The services of this run's stack, with how many tasks of each run and should.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`].
    pub(super) async fn services(&self) -> Result<Vec<Service>, StackError> {
        let label = format!("{NAMESPACE}={}", self.name);
        self.services_with("list the services", label).await
    }

    /// The services that bear a label.
    pub(super) async fn services_with(
        &self,
        what: &str,
        label: String,
    ) -> Result<Vec<Service>, StackError> {
        self.ask(what, |docker| {
            let filters = HashMap::from([("label", vec![label.clone()])]);
            let options = ListServicesOptionsBuilder::default()
                .filters(&filters)
                .status(true)
                .build();
            async move { docker.list_services(Some(options)).await }
        })
        .await
    }

    /// A service's name in the stack file.
    pub(super) fn short<'a>(&self, service: &'a Service) -> Option<&'a str> {
        let name = service.spec.as_ref()?.name.as_deref()?;
        name.strip_prefix(self.name.as_str())?.strip_prefix('_')
    }

    /// One service.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`]; [`StackError::Unknown`].
    pub(super) async fn service(&self, name: &str) -> Result<Service, StackError> {
        let all = self.services().await?;
        let mut has: Vec<&str> = all.iter().filter_map(|s| self.short(s)).collect();
        has.sort_unstable();
        let has = has.join(", ");
        let found = all.iter().find(|s| self.short(s) == Some(name)).cloned();
        found.ok_or_else(|| StackError::Unknown {
            name: name.to_owned(),
            has,
        })
    }

    /// Waits until every service of these names, or of all, runs as many tasks as it should.
    ///
    /// # Errors
    /// [`StackError::NotReady`] with those that do not.
    pub(super) async fn converged(
        &self,
        only: Option<&str>,
        within: Duration,
    ) -> Result<(), StackError> {
        let deadline = Instant::now() + within;
        loop {
            let short = match self.services().await {
                Ok(services) => self.short_of(&services, only),
                // A leader may be in election.
                Err(e) => vec![e.to_string()],
            };
            if short.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(StackError::NotReady {
                    what: only.map_or_else(|| "the stack's services".to_owned(), str::to_owned),
                    within: humantime::format_duration(within).to_string(),
                    last: format!("{}{}", short.join(", "), self.task_errors(only).await),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The services that run less, or more, than they should, in words.
    fn short_of(&self, services: &[Service], only: Option<&str>) -> Vec<String> {
        let mut short = Vec::new();
        let mut seen = false;
        for service in services {
            let Some(name) = self.short(service) else {
                continue;
            };
            if only.is_some_and(|only| only != name) {
                continue;
            }
            seen = true;
            let status = service.service_status.as_ref();
            let running = status.and_then(|s| s.running_tasks).unwrap_or(0);
            let desired = status.and_then(|s| s.desired_tasks).unwrap_or(0);
            if running != desired {
                short.push(format!("{name} runs {running} of {desired}"));
            }
        }
        if !seen {
            short.push("there is no such service".to_owned());
        }
        short
    }

    /// What the newest tasks that failed say, for a person.
    async fn task_errors(&self, only: Option<&str>) -> String {
        let (Ok(tasks), Ok(services)) = (self.tasks().await, self.services().await) else {
            return String::new();
        };
        let mut said: Vec<String> = tasks
            .iter()
            .filter_map(|task| {
                let service = services.iter().find(|s| s.id == task.service_id)?;
                let name = self.short(service)?;
                let status = task.status.as_ref()?;
                let why = match (status.err.as_deref(), status.state?) {
                    (Some(why), _) if !why.is_empty() => why.to_owned(),
                    (_, TaskState::RUNNING) => return None,
                    (_, state) => format!("a task is {state}"),
                };
                only.is_none_or(|only| only == name)
                    .then(|| format!("{name}: {why}"))
            })
            .collect();
        said.sort();
        said.dedup();
        said.truncate(3);
        if said.is_empty() {
            String::new()
        } else {
            format!(" ({})", said.join("; "))
        }
    }
}
