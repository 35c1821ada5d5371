//! Engine events as the stack's.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};

use super::containers::{PROJECT, identity};
use super::engine::Project;
use crate::model::{ComponentId, StackEvent, When};
use crate::stack::docker::{
    Container, EVENTS, TOLD_WITHIN, chain, event_kind, oldest_event, timestamp, wall_ns,
};
use crate::stack::{StackError, Unheard};

/// Pause before a broken stream is opened again.
const REOPEN: Duration = Duration::from_millis(250);
/// How long an engine whose stream broke is given for one answer.
const ASKED: Duration = Duration::from_secs(2);
/// What the engine knows of signals that it has sent to a running container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signals {
    /// None.
    None,
    /// At least one.
    Sent,
    /// It runs since before the fault, and the engine does not remember all that happened since.
    Forgotten,
}

impl Project {
    /// The engine's wall clock, in ns since 1970.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn engine_ns(&self) -> Result<i64, StackError> {
        let info = self.docker.info().await;
        let info = info.map_err(|e| self.error("ask for the time", &self.endpoint, &e))?;
        info.system_time
            .as_deref()
            .and_then(wall_ns)
            .ok_or_else(|| StackError::Call {
                call: "ask for the time".to_owned(),
                component: self.endpoint.to_string(),
                why: "its answer holds none".to_owned(),
            })
    }

    /// Whether the engine has sent a running container a signal since its start. It remembers the last 256 events of
    /// every kind, which health checks alone can fill in seconds: `since_ns` is from when on it must remember all.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn signals(
        &self,
        container: &Container,
        since_ns: Option<i64>,
    ) -> Result<Signals, StackError> {
        let Some(started) = container.component().started_ns else {
            return Ok(Signals::None);
        };
        let until = self.engine_ns().await?;
        let kills = HashMap::from([
            ("container", vec![container.handle()]),
            ("event", vec!["kill"]),
        ]);
        if self.remembered(started, until, &kills).await?.is_some() {
            return Ok(Signals::Sent);
        }
        let Some(since) = since_ns.filter(|since| started <= *since) else {
            return Ok(Signals::None);
        };
        let oldest = self.remembered(1, until, &HashMap::new()).await?;
        let at = oldest.and_then(|event| event.time_nano);
        Ok(match at {
            Some(at) if at <= since => Signals::None,
            Some(_) | None => Signals::Forgotten,
        })
    }

    /// The oldest event of a stretch that the engine remembers.
    async fn remembered(
        &self,
        from_ns: i64,
        until_ns: i64,
        filters: &HashMap<&str, Vec<&str>>,
    ) -> Result<Option<EventMessage>, StackError> {
        let Some(first) = oldest_event(&self.docker, from_ns, until_ns, filters).await else {
            return Err(StackError::Call {
                call: "ask for the events".to_owned(),
                component: self.endpoint.to_string(),
                why: format!(
                    "no answer within {TOLD_WITHIN:?}; see by `docker info` whether the engine still answers"
                ),
            });
        };
        first.map_err(|e| self.error("ask for the events", &self.name, &e))
    }

    /// Reports events from now on, until nobody listens. The engine replays what happened since a given time on its
    /// own clock, so nothing is lost between this call and the stream's opening. Where a stream breaks off it replays
    /// what it remembers; one that was started anew remembers nothing, so that stretch is reported as unheard.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn watch(
        &self,
        events: UnboundedSender<StackEvent>,
        unheard: UnboundedSender<Unheard>,
    ) -> Result<(), StackError> {
        let mut since = self.engine_ns().await?;
        // Events of networks name containers by id alone.
        let mut known: HashMap<String, ComponentId> = HashMap::new();
        for container in self.containers().await? {
            known.insert(container.handle().to_owned(), container.id);
        }
        let project = self.clone();
        tokio::spawn(async move {
            loop {
                let mut stream = Box::pin(project.docker.events(Some(options(since))));
                let broken = loop {
                    let next = tokio::select! {
                        next = stream.next() => next,
                        () = events.closed() => return,
                    };
                    // Opened again from the last event seen.
                    let message = match next {
                        Some(Ok(message)) => message,
                        Some(Err(error)) => break chain(&error),
                        None => break "it closed the stream".to_owned(),
                    };
                    since = message.time_nano.map_or(since, |at| at + 1);
                    if let Some(event) = translate(&message, &project.name, &mut known)
                        && events.send(event).is_err()
                    {
                        return;
                    }
                };
                tokio::select! {
                    () = project.await_engine(&broken, &unheard) => {}
                    () = events.closed() => return,
                }
            }
        });
        Ok(())
    }

    /// Returns when the engine answers again. Whatever ends the wait, the stretch is reported up to the last try.
    async fn await_engine(&self, broken: &str, unheard: &UnboundedSender<Unheard>) {
        let why = format!(
            "the stream of events from {} broke: {broken}",
            self.endpoint
        );
        let mut from = Instant::now();
        loop {
            tokio::time::sleep(REOPEN).await;
            let answered = timeout(ASKED, self.engine_ns()).await;
            let (to, over) = (Instant::now(), matches!(answered, Ok(Ok(_))));
            // A listener that does not want to know of it is not owed it.
            let _unwanted = unheard.send(Unheard {
                from,
                to,
                over,
                why: why.clone(),
            });
            if over {
                return;
            }
            from = to;
        }
    }
}

fn options(since_ns: i64) -> bollard::query_parameters::EventsOptions {
    let filters = HashMap::from([
        ("type", vec!["container", "network"]),
        ("event", EVENTS.to_vec()),
    ]);
    EventsOptionsBuilder::default()
        .since(&timestamp(since_ns))
        .filters(&filters)
        .build()
}

/// `None` for what does not concern the project's components.
fn translate(
    message: &EventMessage,
    project: &str,
    known: &mut HashMap<String, ComponentId>,
) -> Option<StackEvent> {
    let actor = message.actor.as_ref()?;
    let attributes = actor.attributes.as_ref()?;
    let action = message.action.as_deref()?;
    let (handle, component) = if message.typ == Some(EventMessageTypeEnum::NETWORK) {
        let handle = attributes.get("container")?.clone();
        let component = known.get(&handle)?.clone();
        (handle, component)
    } else {
        if attributes.get(PROJECT).map(String::as_str) != Some(project) {
            return None;
        }
        let handle = actor.id.clone()?;
        let component = identity(attributes)?;
        known.insert(handle.clone(), component.clone());
        (handle, component)
    };
    let kind = event_kind(action, attributes)?;
    Some(StackEvent {
        when: When::Wall(message.time_nano?),
        component,
        handle,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Health, StackEventKind};

    fn message(json: serde_json::Value) -> EventMessage {
        serde_json::from_value(json).unwrap()
    }

    fn container(action: &str, attributes: &[(&str, &str)]) -> EventMessage {
        let mut all = serde_json::json!({ PROJECT: "p", "com.docker.compose.service": "web",
            "com.docker.compose.container-number": "2" });
        for (k, v) in attributes {
            all[*k] = (*v).into();
        }
        message(
            serde_json::json!({ "Type": "container", "Action": action, "timeNano": 5,
            "Actor": { "ID": "abc", "Attributes": all } }),
        )
    }

    #[test]
    fn container_events_are_told_by_their_labels() {
        let mut known = HashMap::new();
        let died = translate(&container("die", &[("exitCode", "137")]), "p", &mut known).unwrap();
        assert_eq!(died.kind, StackEventKind::Died { code: 137 });
        assert_eq!(died.component, ComponentId::new("web", 2));
        assert!(matches!(died.when, When::Wall(5)));
        let killed = translate(&container("kill", &[("signal", "9")]), "p", &mut known).unwrap();
        assert_eq!(
            killed.kind,
            StackEventKind::Signalled {
                signal: "SIGKILL".into()
            }
        );
        let sick = translate(&container("health_status: unhealthy", &[]), "p", &mut known).unwrap();
        assert_eq!(
            sick.kind,
            StackEventKind::Health {
                health: Health::Unhealthy
            }
        );
        assert!(translate(&container("die", &[]), "other", &mut known).is_none());
        assert!(translate(&container("exec_die", &[]), "p", &mut known).is_none());
    }

    #[test]
    fn network_events_are_told_by_the_containers_id() {
        let cut = message(
            serde_json::json!({ "Type": "network", "Action": "disconnect", "timeNano": 6,
            "Actor": { "ID": "n", "Attributes": { "container": "abc", "name": "p_default" } } }),
        );
        let mut known = HashMap::new();
        assert!(translate(&cut, "p", &mut known).is_none(), "a stranger's");
        translate(&container("start", &[]), "p", &mut known).unwrap();
        let event = translate(&cut, "p", &mut known).unwrap();
        assert_eq!(
            event.kind,
            StackEventKind::Disconnected {
                network: "p_default".into()
            }
        );
        assert_eq!(event.component, ComponentId::new("web", 2));
    }
}
