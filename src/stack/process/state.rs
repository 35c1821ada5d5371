//! What the processes are, read from `/proc` and from their own answers.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::book::{Book, Replica};
use super::found::{self, Found, main_of};
use super::{ProcessStack, failed};
use crate::model::{Component, ComponentId, Health, Place, Ready, RunState};
use crate::stack::{StackError, Verified};

impl ProcessStack {
    /// Every living process of this run.
    pub(super) fn found(&self) -> Result<Vec<Found>, StackError> {
        // Nothing was started before the book was drawn.
        let book = Book::load(&self.book_path())?;
        let mains = book.map(|book| book.mains()).unwrap_or_default();
        found::of_run(&self.context.run, &mains).map_err(|source| StackError::Io {
            path: "/proc".to_owned(),
            source,
        })
    }

    /// The running main process of a component; one that was told to end is none.
    pub(super) fn running(&self, id: &ComponentId) -> Result<Option<Found>, StackError> {
        let ending = self.book()?.replica(id)?.ending.clone();
        let found = self.found()?;
        Ok(main_of(&found, id)
            .filter(|main| Some(main.stat.handle()) != ending)
            .cloned())
    }

    /// The running main process of a component that is about to be hurt.
    pub(super) fn victim(&self, id: &ComponentId, call: &str) -> Result<Found, StackError> {
        self.running(id)?
            .ok_or_else(|| failed(call, id, "it is not running".to_owned()))
    }

    /// Where a replica says that it is ready, secrets put in; `None` where only its start counts.
    pub(super) fn ready_url(
        &self,
        book: &Book,
        id: &ComponentId,
    ) -> Result<Option<(String, Duration)>, StackError> {
        let service = book.service(&id.service)?;
        let replica = book.replica(id)?;
        match &service.ready {
            Some(Ready {
                http: Some(http),
                within,
            }) => Ok(Some((self.late(id, replica, http)?, *within))),
            Some(Ready { http: None, .. }) | None => Ok(None),
        }
    }

    async fn health(
        &self,
        book: &Book,
        id: &ComponentId,
        state: RunState,
    ) -> Result<Health, StackError> {
        let Some((url, _)) = self.ready_url(book, id)? else {
            return Ok(Health::Unchecked);
        };
        Ok(match state {
            RunState::Running if self.prober.ask(&url).await.is_ok() => Health::Healthy,
            RunState::Running | RunState::Paused | RunState::Restarting | RunState::Exited => {
                Health::Unhealthy
            }
        })
    }

    pub(super) async fn describe(
        &self,
        book: &Book,
        found: &[Found],
        id: &ComponentId,
        replica: &Replica,
    ) -> Result<Component, StackError> {
        let main = main_of(found, id);
        let state = match main {
            Some(main) if main.stat.frozen() => RunState::Paused,
            Some(_) => RunState::Running,
            None => RunState::Exited,
        };
        let name = format!("{}-{}", id.service, id.index);
        Ok(Component {
            id: id.clone(),
            host: name.clone(),
            handle: main.map(|m| m.stat.handle()).unwrap_or_default(),
            name,
            addresses: replica.listen.iter().cloned().collect(),
            state,
            health: self.health(book, id, state).await?,
            image: main.and_then(|m| m.definition.clone()).unwrap_or_default(),
            started_ns: main.map(|m| m.stat.started_ns(self.boot_ns)),
            place: Place::default(),
        })
    }

    /// Whether every one of these runs, from this definition where one is given, and is ready.
    pub(super) async fn all_serve(
        &self,
        ids: &[ComponentId],
        fingerprint: Option<&str>,
    ) -> Result<Verified, StackError> {
        let book = self.book()?;
        let each = ids.iter().map(|id| self.serves(&book, id, fingerprint));
        let not = try_join_all(each)
            .await?
            .into_iter()
            .find(|v| *v != Verified::Holds);
        Ok(not.unwrap_or(Verified::Holds))
    }

    async fn serves(
        &self,
        book: &Book,
        id: &ComponentId,
        fingerprint: Option<&str>,
    ) -> Result<Verified, StackError> {
        let not = |why: &str| Ok(Verified::Not(format!("{id} {why}")));
        let Some(main) = self.running(id)? else {
            return not("is not running");
        };
        if main.stat.frozen() {
            return not("is paused");
        }
        if fingerprint.is_some() && main.definition.as_deref() != fingerprint {
            return not("runs another definition");
        }
        match self.ready_url(book, id)? {
            Some((url, _)) => match self.prober.ask(&url).await {
                Ok(()) => Ok(Verified::Holds),
                Err(last) => not(&format!("runs, but is not ready: {last}")),
            },
            None => Ok(Verified::Holds),
        }
    }
}
