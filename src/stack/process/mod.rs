//! A stack of firedrill's own child processes, each in a process group of its own.
//!
//! Nothing about them is known from memory alone: what they should be stands in `stack.json` of the run's directory,
//! what they are is read from `/proc` by the label in their environment, or by their ids in `stack.json` where they shed
//! it. So another process can mend them.

mod book;
mod change;
mod found;
mod life;
mod logs;
mod order;
mod scan;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::book::Book;
use self::found::Found;
use self::logs::HandedOver;
use super::own::{OWN, lineage, not_own};
use super::ready::Prober;
use super::{
    Applied, OwnedThing, Resolve, Stack, StackContext, StackError, Standing, Surroundings, UndoTag,
    Unheard, Verified, undo_files,
};
use crate::model::{
    Component, ComponentId, Injection, Label, ProcessSpec, Ready, StackEvent, StackEventKind, Undo,
    When,
};

pub(super) use self::found::{Stat, boot};
pub use self::order::start_order;
pub(super) use self::scan::strays;

/// How long a replaced or scaled-away process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct ProcessStack {
    spec: ProcessSpec,
    order: Vec<String>,
    context: StackContext,
    prober: Prober,
    boot_ns: i64,
    /// Held from reading the book to writing it.
    amending: Mutex<()>,
    /// Held while looking whether a process runs and starting it, or two undos would both start it.
    starting: tokio::sync::Mutex<()>,
    watchers: Watchers,
    /// Tasks that report the ends of running processes.
    deaths: Mutex<BTreeMap<ComponentId, JoinHandle<()>>>,
    /// How much of each log was handed over by [`Stack::logs`].
    handed_over: Mutex<BTreeMap<PathBuf, HandedOver>>,
}

/// Whoever listens to events.
#[derive(Clone, Default)]
struct Watchers(Arc<Mutex<Vec<mpsc::UnboundedSender<StackEvent>>>>);

impl Watchers {
    fn tell(&self, id: &ComponentId, handle: String, kind: StackEventKind) {
        let event = StackEvent {
            when: When::Here(Instant::now()),
            component: id.clone(),
            handle,
            kind,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|w| w.send(event.clone()).is_ok());
    }
}

impl ProcessStack {
    pub(super) fn new(spec: ProcessSpec, context: StackContext) -> Result<Self, StackError> {
        let order = start_order(&spec).map_err(|why| StackError::InvalidFile {
            file: "the process stack".to_owned(),
            why,
        })?;
        Ok(Self {
            spec,
            order,
            context,
            prober: Prober::default(),
            boot_ns: found::boot_ns(),
            amending: Mutex::new(()),
            starting: tokio::sync::Mutex::new(()),
            watchers: Watchers::default(),
            deaths: Mutex::new(BTreeMap::new()),
            handed_over: Mutex::new(BTreeMap::new()),
        })
    }

    fn book_path(&self) -> PathBuf {
        self.context.run_dir.join("stack.json")
    }

    /// The book as it is on disk, whoever wrote it last.
    fn book(&self) -> Result<Book, StackError> {
        Book::load(&self.book_path())?.ok_or_else(|| StackError::NotUp {
            why: "none of its processes was ever started".to_owned(),
        })
    }

    /// Changes the book, unless `change` fails; on disk when this returns.
    fn amend(
        &self,
        change: impl FnOnce(&mut Book) -> Result<(), StackError>,
    ) -> Result<(), StackError> {
        let _alone = self.amending.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.book()?;
        let mut book = before.clone();
        change(&mut book)?;
        if book == before {
            Ok(())
        } else {
            book.store(&self.book_path())
        }
    }
}

fn failed(call: &str, id: &ComponentId, why: String) -> StackError {
    StackError::Call {
        call: call.to_owned(),
        component: id.to_string(),
        why,
    }
}

fn impossible(action: &str, why: &str) -> StackError {
    StackError::Unsupported {
        action: action.to_owned(),
        platform: "process".to_owned(),
        why: why.to_owned(),
    }
}

#[async_trait]
impl Stack for ProcessStack {
    async fn up(&self) -> Result<Standing, StackError> {
        let path = self.book_path();
        if Book::load(&path)?.is_none() {
            Book::draw(&self.spec, self.order.clone(), &self.context)?.store(&path)?;
        }
        let book = self.book()?;
        for service in &book.order {
            let ids = book
                .wanted()
                .into_iter()
                .map(|(id, _)| id)
                .filter(|id| id.service == *service);
            try_join_all(ids.map(|id| async move {
                self.start(&id).await?;
                self.until_ready(&id).await
            }))
            .await?;
        }
        if let Some(Ready {
            http: Some(http),
            within,
        }) = &self.spec.ready
        {
            let values = Surroundings::gather(&self.context, self, http.variables()).await?;
            let template = |source| StackError::Template {
                place: "stack.ready".to_owned(),
                source,
            };
            let url = values.resolve(http).map_err(template)?;
            self.prober
                .until_ready(&http.to_string(), &url, *within, || Ok(()))
                .await?;
        }
        // A process without a readiness check may have ended right after its start.
        for (id, _) in book.wanted() {
            if self.running(&id)?.is_none() {
                return Err(self.ended_early(&id));
            }
        }
        Ok(Standing::default())
    }

    async fn components(&self) -> Result<Vec<Component>, StackError> {
        let book = self.book()?;
        let found = self.found()?;
        let wanted = book.wanted();
        let each = wanted
            .iter()
            .map(|(id, replica)| self.describe(&book, &found, id, replica));
        join_all(each).await.into_iter().collect()
    }

    async fn untouchable(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        let line = lineage();
        let mut own: Vec<ComponentId> = self
            .found()?
            .into_iter()
            .filter(|f| f.is_one_of(&line))
            .map(|f| f.component)
            .collect();
        own.dedup();
        Ok(own.into_iter().map(|id| (id, OWN.to_owned())).collect())
    }

    async fn labelled(&self, label: &Label) -> Result<Vec<ComponentId>, StackError> {
        Err(impossible(
            &format!("the label {label}"),
            "processes bear no labels",
        ))
    }

    async fn addresses(&self, service: &str, port: Option<u16>) -> Result<Vec<String>, StackError> {
        if let Some(port) = port {
            let why = format!("a process has no container port {port}; write ${{addr:{service}}}");
            return Err(impossible(&format!("${{addr:{service}:{port}}}"), &why));
        }
        let book = self.book()?;
        let service_book = book.service(service)?;
        let wanted = service_book.replicas.values().filter(|r| r.wanted);
        let addresses: Vec<String> = wanted.filter_map(|r| r.listen.clone()).collect();
        if addresses.is_empty() {
            let why = "no replica of it has an address; its command has to mention ${listen}";
            return Err(impossible(&format!("${{addr:{service}}}"), why));
        }
        Ok(addresses)
    }

    async fn prepare(&self, injection: &Injection) -> Result<Undo, StackError> {
        not_own(injection, &self.untouchable().await?)?;
        match injection {
            Injection::Kill { component, .. }
            | Injection::Stop { component, .. }
            | Injection::Restart { component, .. } => {
                self.victim(component, "prepare")?;
                Ok(Undo::Running {
                    component: component.clone(),
                    since_ns: None,
                })
            }
            Injection::Pause { component } => {
                self.victim(component, "prepare")?;
                Ok(Undo::Unpaused {
                    component: component.clone(),
                })
            }
            Injection::Scale { service, .. } => {
                let indexes = self.book()?.service(service)?.indexes();
                Ok(Undo::Replicas {
                    service: service.clone(),
                    indexes: indexes.into_iter().collect(),
                })
            }
            Injection::UpdateEnv { service, .. } | Injection::UpdateCommand { service, .. } => {
                self.definition_undo(service)
            }
            Injection::UpdateImage { .. } => Err(impossible("update", "a process has no image")),
            Injection::Disconnect { .. } | Injection::Partition { .. } => Err(impossible(
                "to cut it off",
                "a process shares this machine's network",
            )),
            Injection::Exec { .. } => Err(impossible(
                "exec",
                "there is no inside of a process to run it in",
            )),
            Injection::Drain { .. }
            | Injection::UpdateFiles { .. }
            | Injection::UpdateAgain { .. } => Err(impossible("this fault", "it is no cluster")),
        }
    }

    async fn apply(&self, injection: &Injection, _undo: &Undo) -> Result<Applied, StackError> {
        match injection {
            Injection::Kill {
                component, signal, ..
            } => self.kill(component, *signal).await?,
            Injection::Stop { component, grace } => self.stop(component, *grace).await?,
            Injection::Restart { component, grace } => {
                self.stop(component, *grace).await?;
                self.start(component).await?;
            }
            Injection::Pause { component } => self.freeze(component).await?,
            Injection::Scale { service, replicas } => return self.scale(service, *replicas).await,
            Injection::UpdateEnv { service, env } => {
                return self
                    .update(service, |definition| definition.env.extend(env.clone()))
                    .await;
            }
            Injection::UpdateCommand { service, command } => {
                return self
                    .update(service, |definition| definition.command.clone_from(command))
                    .await;
            }
            Injection::UpdateImage { .. }
            | Injection::Disconnect { .. }
            | Injection::Partition { .. }
            | Injection::Drain { .. }
            | Injection::UpdateFiles { .. }
            | Injection::UpdateAgain { .. }
            | Injection::Exec { .. } => {
                // Says why not.
                self.prepare(injection).await?;
            }
        }
        Ok(Applied::default())
    }

    async fn undo(&self, undo: &Undo, _secrets: &dyn Resolve) -> Result<(), StackError> {
        match undo {
            Undo::Down => self.down().await,
            Undo::Running { component, .. } | Undo::Unpaused { component } => {
                self.thaw(component).await?;
                self.start(component).await
            }
            Undo::Replicas { service, indexes } => {
                self.set_replicas(service, &indexes.iter().copied().collect())
                    .await
            }
            Undo::Definition {
                service,
                indexes,
                env,
                command,
                ..
            } => {
                self.redefine(service, indexes, env, command.as_deref())
                    .await
            }
            Undo::Nothing => Ok(()),
            Undo::Connected { .. } | Undo::Reachable { .. } => Err(impossible(
                "connect",
                "a process shares this machine's network",
            )),
            Undo::Available { .. } => Err(impossible("drain", "it has no nodes")),
            Undo::Count { .. } => Err(impossible("scale", "its replicas go by their numbers")),
            Undo::Exec { .. } => Err(impossible(
                "exec",
                "there is no inside of a process to run it in",
            )),
            Undo::Http { .. } | Undo::Command { .. } => {
                Err(impossible("undo", "it is not done through the stack"))
            }
        }
    }

    async fn verify(&self, undo: &Undo) -> Result<Verified, StackError> {
        match undo {
            Undo::Down => Ok(match self.owned().await?.first() {
                Some(left) => Verified::Not(format!("{} is still there", left.name)),
                None => Verified::Holds,
            }),
            // A process that was frozen ran before: had it ended meanwhile, only running again makes it what it was.
            Undo::Running { component, .. } | Undo::Unpaused { component } => {
                self.all_serve(std::slice::from_ref(component), None).await
            }
            Undo::Replicas { service, indexes } => {
                let only = indexes.iter().copied().collect();
                if let Some(other) = self.others(service, &only)?.first() {
                    return Ok(Verified::Not(format!("{other} runs, too")));
                }
                let wanted = self.book()?.service(service)?.indexes();
                if wanted != only {
                    return Ok(Verified::Not(format!(
                        "{service} has the replicas {wanted:?}"
                    )));
                }
                self.all_serve(&ids(service, indexes), None).await
            }
            Undo::Definition {
                service,
                indexes,
                env,
                command,
                ..
            } => {
                let definition = self.definition(service, env, command.as_deref())?;
                self.all_serve(&ids(service, indexes), Some(&definition.fingerprint()))
                    .await
            }
            Undo::Nothing => Ok(Verified::Holds),
            Undo::Connected { .. }
            | Undo::Reachable { .. }
            | Undo::Available { .. }
            | Undo::Count { .. }
            | Undo::Exec { .. }
            | Undo::Http { .. }
            | Undo::Command { .. } => Err(impossible(
                "verify",
                "it is not done through a process stack",
            )),
        }
    }

    async fn watch(
        &self,
        events: mpsc::UnboundedSender<StackEvent>,
        _: mpsc::UnboundedSender<Unheard>,
    ) -> Result<(), StackError> {
        self.watchers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(events);
        Ok(())
    }

    async fn logs(&self, since_ns: i64, path: &Path) -> Result<(), StackError> {
        self.append_logs(since_ns, path)
    }

    async fn owned(&self) -> Result<Vec<OwnedThing>, StackError> {
        let thing = |found: Found| OwnedThing {
            run: self.context.run.clone(),
            kind: "process".to_owned(),
            name: format!("{} ({})", found.stat.handle(), found.component),
        };
        Ok(self.found()?.into_iter().map(thing).collect())
    }

    async fn down(&self) -> Result<(), StackError> {
        self.end_all().await?;
        self.clean_logs()
    }

    async fn tag(&self, tag: &UndoTag) -> Result<(), StackError> {
        undo_files::keep(&self.context, tag)
    }

    async fn untag(&self, id: u64) -> Result<(), StackError> {
        undo_files::forget(&self.context, id)
    }

    async fn skew_ns(&self) -> Result<i64, StackError> {
        Ok(0)
    }
}

fn ids(service: &str, indexes: &[u32]) -> Vec<ComponentId> {
    indexes
        .iter()
        .map(|index| ComponentId::new(service, *index))
        .collect()
}
