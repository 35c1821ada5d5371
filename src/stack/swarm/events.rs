//! What the engines and the managers report: machines and what stands outside by the engine at hand, tasks by the engines of
//! their own machines or, where those are out of reach, by the managers, nodes by the managers. Three voices, one stream.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout};

use super::SwarmStack;
use super::machines::Machine;
use super::services::NAMESPACE;
use super::tasks::identity;
use crate::model::{Component, ComponentId, NodeSaid, RunState, StackEvent, StackEventKind, When};
use crate::stack::docker::{EVENTS, Endpoint, chain, event_kind, timestamp, wall_ns};
use crate::stack::{Stack, StackError, Unheard};

/// Time between two looks at the managers' list of nodes.
const LOOK: Duration = Duration::from_millis(250);
/// Time between two looks for machines that there were not before.
const FIND: Duration = Duration::from_secs(3);
/// Pause before a broken stream is opened again.
const REOPEN: Duration = Duration::from_millis(250);
/// How long an engine whose stream broke is given for one answer.
const ASKED: Duration = Duration::from_secs(2);

/// Machines that this run has cut off their network: that they are not heard is what was asked for.
pub(super) type Cut = Arc<std::sync::Mutex<HashSet<ComponentId>>>;

impl SwarmStack {
    /// From now on nothing can be heard of this machine.
    pub(super) fn cut_off(&self, node: &ComponentId) {
        self.cut().insert(node.clone());
    }

    /// It is back.
    pub(super) fn joined_up(&self, node: &ComponentId) {
        self.cut().remove(node);
    }

    pub(super) fn cut(&self) -> std::sync::MutexGuard<'_, HashSet<ComponentId>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports from now on, until nobody listens.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn report(
        &self,
        events: UnboundedSender<StackEvent>,
        unheard: UnboundedSender<Unheard>,
    ) -> Result<(), StackError> {
        if let Some(outside) = &self.outside {
            outside.watch(events.clone(), unheard.clone()).await?;
        }
        // A stack of its own for what goes on beside every call.
        let watcher = Arc::new(self.another());
        if let Some(machines) = &self.machines {
            let (of_machines, mut raw) = unbounded_channel();
            machines
                .project()
                .watch(of_machines, unheard.clone())
                .await?;
            let info = machines.engine().await?.info().await;
            let since = info
                .ok()
                .and_then(|i| i.system_time)
                .as_deref()
                .and_then(wall_ns);
            let (named, sink) = (Arc::clone(&watcher), events.clone());
            tokio::spawn(async move {
                let mut names: BTreeMap<ComponentId, ComponentId> = BTreeMap::new();
                while let Some(event) = raw.recv().await {
                    if !names.contains_key(&event.component) {
                        names = named.names_of_machines().await;
                    }
                    let Some(node) = names.get(&event.component) else {
                        continue;
                    };
                    let component = node.clone();
                    if sink.send(StackEvent { component, ..event }).is_err() {
                        return;
                    }
                }
            });
            let (finder, sink) = (Arc::clone(&watcher), events.clone());
            tokio::spawn(async move {
                finder
                    .follow_engines(since.unwrap_or_default(), sink, unheard)
                    .await;
            });
        } else {
            let (looker, sink) = (Arc::clone(&watcher), events.clone());
            tokio::spawn(async move { looker.look_at_tasks(sink, unheard).await });
        }
        tokio::spawn(async move { watcher.look_at_nodes(events).await });
        Ok(())
    }

    async fn names_of_machines(&self) -> BTreeMap<ComponentId, ComponentId> {
        let all = self.machine_list().await.ok().flatten().unwrap_or_default();
        all.into_iter().map(|m| (m.container.id, m.node)).collect()
    }

    /// Follows each machine's engine, from the moment the machine is found.
    async fn follow_engines(
        self: Arc<Self>,
        since_ns: i64,
        events: UnboundedSender<StackEvent>,
        unheard: UnboundedSender<Unheard>,
    ) {
        let mut followed = BTreeSet::new();
        loop {
            let machines = self.machine_list().await.ok().flatten().unwrap_or_default();
            for machine in machines {
                let Some(endpoint) = machine.engine() else {
                    continue;
                };
                if followed.insert(machine.node.clone()) {
                    let (stack, events, unheard) =
                        (Arc::clone(&self), events.clone(), unheard.clone());
                    tokio::spawn(async move {
                        stack
                            .follow(&machine.node, &endpoint, since_ns, &events, &unheard)
                            .await;
                    });
                }
            }
            tokio::select! {
                () = tokio::time::sleep(FIND) => {}
                () = events.closed() => return,
            }
        }
    }

    /// Reports what the engine of one machine says of tasks. It replays what it remembers when it is heard again.
    async fn follow(
        &self,
        node: &ComponentId,
        endpoint: &Endpoint,
        since_ns: i64,
        events: &UnboundedSender<StackEvent>,
        unheard: &UnboundedSender<Unheard>,
    ) {
        let mut since = since_ns;
        let mut lost: Option<(Instant, String)> = None;
        loop {
            let broken = match self.engines.reach(endpoint).await {
                Err(e) => e.to_string(),
                Ok(docker) => {
                    let mut stream = Box::pin(docker.events(Some(options(since, &self.name))));
                    // The stream itself says nothing until something happens.
                    if let (Some((from, why)), Ok(Ok(_))) =
                        (&lost, timeout(ASKED, docker.info()).await)
                    {
                        self.say_unheard(node, (*from, why), true, unheard).await;
                        lost = None;
                    }
                    loop {
                        let next = tokio::select! {
                            next = stream.next() => next,
                            () = events.closed() => return,
                        };
                        let message = match next {
                            Some(Ok(message)) => message,
                            Some(Err(error)) => break chain(&error),
                            None => break "it closed the stream".to_owned(),
                        };
                        since = message.time_nano.map_or(since, |at| at + 1);
                        if let Some(event) = translate(&message, &self.name, node)
                            && events.send(event).is_err()
                        {
                            return;
                        }
                    }
                }
            };
            let (from, why) = lost.get_or_insert_with(|| (Instant::now(), broken));
            self.say_unheard(node, (*from, why), false, unheard).await;
            *from = Instant::now();
            tokio::select! {
                () = tokio::time::sleep(REOPEN) => {}
                () = events.closed() => return,
            }
        }
    }

    /// A machine that does not run, or that was cut off, has nothing to say. Of any other, what it would have said is
    /// lost.
    async fn say_unheard(
        &self,
        node: &ComponentId,
        (from, why): (Instant, &str),
        over: bool,
        unheard: &UnboundedSender<Unheard>,
    ) {
        let expected = |m: &Machine| m.container.state != RunState::Running;
        let machines = self.machine_list().await.ok().flatten().unwrap_or_default();
        let silent = machines
            .iter()
            .find(|m| m.node == *node)
            .is_none_or(expected);
        if silent || self.cut().contains(node) {
            return;
        }
        // A listener that does not want to know of it is not owed it.
        let _unwanted = unheard.send(Unheard {
            from,
            to: Instant::now(),
            over,
            why: format!("the stream of events from the engine of {node} broke: {why}"),
        });
    }

    /// Reports each change of what the managers say of a node.
    async fn look_at_nodes(&self, events: UnboundedSender<StackEvent>) {
        let mut known: BTreeMap<ComponentId, NodeSaid> = BTreeMap::new();
        let mut machines = None;
        let mut looked_up: Option<Instant> = None;
        loop {
            if looked_up.is_none_or(|at| at.elapsed() >= FIND) {
                machines = self.machine_list().await.unwrap_or(machines);
                looked_up = Some(Instant::now());
            }
            // Without a quorum nobody says anything new.
            let nodes = self.nodes_among(machines.as_deref()).await;
            for node in nodes.unwrap_or_default() {
                let mut said = node.said();
                if node.is_unknown()
                    && let Some(before) = known.get(&node.node)
                {
                    said.ready = before.ready;
                }
                if known.insert(node.node.clone(), said) == Some(said) {
                    continue;
                }
                let event = StackEvent {
                    when: When::Here(Instant::now()),
                    component: node.node,
                    handle: node.id,
                    kind: StackEventKind::Node { said },
                };
                if events.send(event).is_err() {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = events.closed() => return,
            }
        }
    }

    /// Reports tasks that come and go, where only the managers can tell. What comes and goes while they do not answer is lost.
    async fn look_at_tasks(
        &self,
        events: UnboundedSender<StackEvent>,
        unheard: UnboundedSender<Unheard>,
    ) {
        let mut known: BTreeMap<ComponentId, Component> = BTreeMap::new();
        let mut heard = Instant::now();
        let mut lost: Option<String> = None;
        loop {
            let seen = async {
                let nodes = self.node_components().await?;
                self.task_components(&nodes).await
            };
            let seen = seen.await;
            let over = seen.is_ok();
            if let Err(error) = &seen {
                lost = Some(error.to_string());
            }
            if let Some(why) = &lost {
                let to = Instant::now();
                // A listener that does not want to know of it is not owed it.
                let _unwanted = unheard.send(Unheard {
                    from: std::mem::replace(&mut heard, to),
                    to,
                    over,
                    why: format!("the managers did not say what runs: {why}"),
                });
            }
            if let Ok(tasks) = seen {
                (heard, lost) = (Instant::now(), None);
                let now: BTreeMap<_, _> = tasks.into_iter().map(|t| (t.id.clone(), t)).collect();
                for event in differences(&known, &now) {
                    if events.send(event).is_err() {
                        return;
                    }
                }
                known = now;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = events.closed() => return,
            }
        }
    }
}

/// What became of each replica between two looks.
fn differences(
    before: &BTreeMap<ComponentId, Component>,
    now: &BTreeMap<ComponentId, Component>,
) -> Vec<StackEvent> {
    let ran = |c: &&Component| c.state == RunState::Running;
    let event = |c: &Component, kind| StackEvent {
        when: When::Here(Instant::now()),
        component: c.id.clone(),
        handle: c.handle.clone(),
        kind,
    };
    let mut events = Vec::new();
    let ids: BTreeSet<&ComponentId> = before.keys().chain(now.keys()).collect();
    for id in ids {
        let was = before.get(id).filter(ran);
        let is = now.get(id).filter(ran);
        if was.map(|c| &c.handle) == is.map(|c| &c.handle) {
            if let (Some(was), Some(is)) = (was, is)
                && was.health != is.health
            {
                events.push(event(is, StackEventKind::Health { health: is.health }));
            }
            continue;
        }
        if let Some(was) = was {
            // The managers keep no exit code of a task that they replace.
            events.push(event(was, StackEventKind::Died { code: -1 }));
        }
        if let Some(is) = is {
            events.push(event(is, StackEventKind::Started));
            events.push(event(is, StackEventKind::Health { health: is.health }));
        }
    }
    events
}

fn options(since_ns: i64, stack: &str) -> bollard::query_parameters::EventsOptions {
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("event".to_owned(), EVENTS.map(str::to_owned).to_vec()),
        ("label".to_owned(), vec![format!("{NAMESPACE}={stack}")]),
    ]);
    EventsOptionsBuilder::default()
        .since(&timestamp(since_ns))
        .filters(&filters)
        .build()
}

fn translate(
    message: &bollard::models::EventMessage,
    stack: &str,
    node: &ComponentId,
) -> Option<StackEvent> {
    let actor = message.actor.as_ref()?;
    let attributes = actor.attributes.as_ref()?;
    Some(StackEvent {
        when: When::Wall(message.time_nano?),
        component: identity(attributes, stack, node)?,
        handle: actor.id.clone()?,
        kind: event_kind(message.action.as_deref()?, attributes)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Health, Place};

    fn replica(handle: &str, state: RunState, health: Health) -> (ComponentId, Component) {
        let id = ComponentId::new("a-app", 1);
        let component = Component {
            id: id.clone(),
            host: String::new(),
            handle: handle.to_owned(),
            name: String::new(),
            addresses: Vec::new(),
            state,
            health,
            image: String::new(),
            started_ns: None,
            place: Place::default(),
        };
        (id, component)
    }

    fn kinds(
        before: Option<(ComponentId, Component)>,
        now: Option<(ComponentId, Component)>,
    ) -> Vec<(String, StackEventKind)> {
        let events = differences(&before.into_iter().collect(), &now.into_iter().collect());
        events.into_iter().map(|e| (e.handle, e.kind)).collect()
    }

    #[test]
    fn a_replaced_task_died_and_another_started() {
        let old = replica("old", RunState::Running, Health::Healthy);
        let new = replica("new", RunState::Running, Health::Starting);
        let seen = kinds(Some(old.clone()), Some(new.clone()));
        let starting = StackEventKind::Health {
            health: Health::Starting,
        };
        assert_eq!(
            seen,
            [
                ("old".to_owned(), StackEventKind::Died { code: -1 }),
                ("new".to_owned(), StackEventKind::Started),
                ("new".to_owned(), starting),
            ]
        );
        assert_eq!(kinds(Some(old.clone()), Some(old.clone())), []);
        let well = replica("new", RunState::Running, Health::Healthy);
        assert_eq!(kinds(Some(new), Some(well)).len(), 1);
        let gone = kinds(Some(old), None);
        assert_eq!(
            gone,
            [("old".to_owned(), StackEventKind::Died { code: -1 })]
        );
    }
}
