//! A stack whose calls hang, panic or reach the platform late, as a test likes.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use firedrill::model::{Component, ComponentId, Injection, Label, StackEvent, Undo};
use firedrill::stack::{
    Applied, OwnedThing, Resolve, Stack, StackError, Standing, Unheard, Verified,
};
use tokio::sync::mpsc::UnboundedSender;

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// The stack below.
    Fine,
    /// Nothing, ever.
    Hangs,
    /// A bug.
    Panics,
    /// The stack below, so much later, whether or not the caller still waits.
    Late(Duration),
}

/// A call, by the method's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'static str,
    pub(crate) undo: Option<&'a Undo>,
}

/// What each call meets.
pub(crate) type Moods = Arc<dyn Fn(Call<'_>) -> Mood + Send + Sync>;

/// A stack in front of another.
pub(crate) struct MoodyStack {
    below: Arc<dyn Stack>,
    moods: Moods,
}

impl MoodyStack {
    pub(crate) fn new(below: Arc<dyn Stack>, moods: Moods) -> Self {
        Self { below, moods }
    }

    async fn met(&self, name: &'static str, undo: Option<&Undo>) {
        match (self.moods)(Call { name, undo }) {
            Mood::Fine => {}
            Mood::Hangs => pending().await,
            Mood::Panics => panic!("{name} panics"),
            Mood::Late(by) => tokio::time::sleep(by).await,
        }
    }
}

#[async_trait]
impl Stack for MoodyStack {
    async fn up(&self) -> Result<Standing, StackError> {
        self.met("up", None).await;
        self.below.up().await
    }

    async fn components(&self) -> Result<Vec<Component>, StackError> {
        self.met("components", None).await;
        self.below.components().await
    }

    async fn untouchable(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        self.met("untouchable", None).await;
        self.below.untouchable().await
    }

    async fn labelled(&self, label: &Label) -> Result<Vec<ComponentId>, StackError> {
        self.met("labelled", None).await;
        self.below.labelled(label).await
    }

    async fn addresses(&self, service: &str, port: Option<u16>) -> Result<Vec<String>, StackError> {
        self.met("addresses", None).await;
        self.below.addresses(service, port).await
    }

    async fn prepare(&self, injection: &Injection) -> Result<Undo, StackError> {
        self.met("prepare", None).await;
        self.below.prepare(injection).await
    }

    async fn apply(&self, injection: &Injection, undo: &Undo) -> Result<Applied, StackError> {
        let call = Call {
            name: "apply",
            undo: Some(undo),
        };
        let Mood::Late(by) = (self.moods)(call) else {
            self.met("apply", Some(undo)).await;
            return self.below.apply(injection, undo).await;
        };
        let below = Arc::clone(&self.below);
        let (injection, undo) = (injection.clone(), undo.clone());
        let on_its_way = tokio::spawn(async move {
            tokio::time::sleep(by).await;
            below.apply(&injection, &undo).await
        });
        on_its_way.await.unwrap()
    }

    async fn undo(&self, undo: &Undo, secrets: &dyn Resolve) -> Result<(), StackError> {
        self.met("undo", Some(undo)).await;
        self.below.undo(undo, secrets).await
    }

    async fn verify(&self, undo: &Undo) -> Result<Verified, StackError> {
        self.met("verify", Some(undo)).await;
        self.below.verify(undo).await
    }

    async fn watch(
        &self,
        events: UnboundedSender<StackEvent>,
        unheard: UnboundedSender<Unheard>,
    ) -> Result<(), StackError> {
        self.met("watch", None).await;
        self.below.watch(events, unheard).await
    }

    async fn logs(&self, since_ns: i64, path: &Path) -> Result<(), StackError> {
        self.met("logs", None).await;
        self.below.logs(since_ns, path).await
    }

    async fn owned(&self) -> Result<Vec<OwnedThing>, StackError> {
        self.met("owned", None).await;
        self.below.owned().await
    }

    async fn down(&self) -> Result<(), StackError> {
        self.met("down", None).await;
        self.below.down().await
    }

    async fn skew_ns(&self) -> Result<i64, StackError> {
        self.met("skew_ns", None).await;
        self.below.skew_ns().await
    }
}
