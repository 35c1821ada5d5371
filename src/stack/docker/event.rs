//! What an engine's events say.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::timestamp;
use crate::model::{Health, StackEventKind};

/// How long an engine is given to tell what it remembers.
pub(in crate::stack) const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// The events that say something of a component, for the engine's filter.
pub(in crate::stack) const EVENTS: [&str; 11] = [
    "create",
    "start",
    "die",
    "pause",
    "unpause",
    "kill",
    "oom",
    "destroy",
    "health_status",
    "connect",
    "disconnect",
];

/// What the event `action` says of a container, or of a network that it is on; `None` for what says nothing here.
pub(in crate::stack) fn event_kind(
    action: &str,
    attributes: &HashMap<String, String>,
) -> Option<StackEventKind> {
    let network = || attributes.get("name").cloned().unwrap_or_default();
    Some(
        match action
            .split_once(": ")
            .map_or((action, ""), |(name, more)| (name, more))
        {
            ("create", _) => StackEventKind::Created,
            ("start", _) => StackEventKind::Started,
            ("die", _) => StackEventKind::Died {
                code: attributes
                    .get("exitCode")
                    .and_then(|c| c.parse().ok())
                    .unwrap_or(-1),
            },
            ("pause", _) => StackEventKind::Paused,
            ("unpause", _) => StackEventKind::Unpaused,
            ("kill", _) => StackEventKind::Signalled {
                signal: signal_name(attributes.get("signal").map_or("", String::as_str)),
            },
            ("oom", _) => StackEventKind::OutOfMemory,
            ("destroy", _) => StackEventKind::Destroyed,
            ("health_status", "healthy") => StackEventKind::Health {
                health: Health::Healthy,
            },
            ("health_status", "unhealthy") => StackEventKind::Health {
                health: Health::Unhealthy,
            },
            ("connect", _) => StackEventKind::Connected { network: network() },
            ("disconnect", _) => StackEventKind::Disconnected { network: network() },
            _ => return None,
        },
    )
}

/// The engine gives numbers.
fn signal_name(number: &str) -> String {
    let name = match number {
        "1" => "SIGHUP",
        "2" => "SIGINT",
        "3" => "SIGQUIT",
        "6" => "SIGABRT",
        "9" => "SIGKILL",
        "10" => "SIGUSR1",
        "12" => "SIGUSR2",
        "15" => "SIGTERM",
        other => other,
    };
    name.to_owned()
}

/// The oldest event of a stretch of its wall clock that an engine remembers; `None` where it does not say within
/// [`TOLD_WITHIN`].
pub(in crate::stack) async fn oldest_event(
    docker: &Docker,
    from_ns: i64,
    until_ns: i64,
    filters: &HashMap<&str, Vec<&str>>,
) -> Option<Result<Option<EventMessage>, Error>> {
    let options = EventsOptionsBuilder::default()
        .since(&timestamp(from_ns))
        .until(&timestamp(until_ns))
        .filters(filters)
        .build();
    let mut events = Box::pin(docker.events(Some(options)));
    let first = timeout(TOLD_WITHIN, events.next()).await.ok()?;
    Some(first.transpose())
}
