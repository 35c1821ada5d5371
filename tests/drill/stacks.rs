//! The fake and process stacks, held to the promises, and what only they can be asked.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use firedrill::model::{
    FakeSpec, ProcessService, ProcessSpec, Ready, Redactor, StackSpec, Template,
};
use firedrill::stack::{
    DockerEnv, FakeStack, FakeWorld, Lies, Owner, Resolve, SecretStore, Stack, StackContext, open,
};
use tempfile::TempDir;

use crate::conformance::{Bed, holds_its_promises};

pub(crate) fn context(folder: &Path, run: &str) -> StackContext {
    let env = BTreeMap::from([("DRILL_PASSWORD".to_owned(), "hunter2".to_owned())]);
    StackContext {
        run: run.to_owned(),
        owner: Owner::default(),
        run_dir: folder.to_owned(),
        scenario_dir: folder.to_owned(),
        state_dir: None,
        firedrill: env!("CARGO_BIN_EXE_firedrill").into(),
        ports: BTreeMap::new(),
        secrets: Arc::new(SecretStore::new(env, folder.to_owned())),
        redactor: Redactor::new(["hunter2".to_owned()]),
        docker: DockerEnv::default(),
    }
}

pub(crate) fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

/// A backend of so many replicas.
pub(crate) fn backend(replicas: u32) -> ProcessService {
    ProcessService {
        command: ["${firedrill}", "demo", "backend", "--listen", "${listen}"]
            .map(template)
            .to_vec(),
        replicas,
        env: BTreeMap::from([("APP_VERSION".to_owned(), template("v1"))]),
        ready: Some(Ready {
            http: Some(template("http://${listen}/health")),
            within: Duration::from_secs(20),
        }),
    }
}

/// Processes in a folder of their own, under a run id of their own.
pub(crate) struct Processes {
    folder: TempDir,
    spec: StackSpec,
}

impl Processes {
    pub(crate) fn of(services: impl IntoIterator<Item = (&'static str, ProcessService)>) -> Self {
        let services = services
            .into_iter()
            .map(|(name, service)| (name.to_owned(), service))
            .collect();
        let spec = StackSpec::Process(ProcessSpec {
            services,
            ready: None,
        });
        Self {
            folder: tempfile::tempdir().unwrap(),
            spec,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self) -> String {
        self.folder
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    }
}

/// A test that fails leaves nothing behind either.
impl Drop for Processes {
    fn drop(&mut self) {
        let stack = self.open();
        let down = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .unwrap()
                .block_on(async { stack.down().await })
                .unwrap();
        };
        // A runtime of its own cannot be entered from within the test's.
        thread::scope(|scope| scope.spawn(down).join()).unwrap();
    }
}

#[async_trait]
impl Bed for Processes {
    fn spec(&self) -> StackSpec {
        self.spec.clone()
    }

    fn open(&self) -> Arc<dyn Stack> {
        open(&self.spec, context(self.folder.path(), &self.run())).unwrap()
    }

    fn service(&self) -> &str {
        "backend"
    }

    fn secrets(&self) -> Arc<dyn Resolve> {
        context(self.folder.path(), &self.run()).secrets
    }

    async fn answers(&self, address: &str) -> bool {
        reqwest::get(format!("http://{address}/"))
            .await
            .is_ok_and(|answer| answer.status() == 200)
    }

    fn bound(&self) -> Duration {
        Duration::from_secs(20)
    }
}

#[tokio::test]
async fn processes_hold_their_promises() {
    holds_its_promises(&Processes::of([("backend", backend(2))])).await;
}

struct Fake {
    world: FakeWorld,
    spec: FakeSpec,
}

#[async_trait]
impl Bed for Fake {
    fn spec(&self) -> StackSpec {
        StackSpec::Fake(self.spec.clone())
    }

    fn open(&self) -> Arc<dyn Stack> {
        Arc::new(FakeStack::new(
            self.world.clone(),
            context(Path::new("/nowhere"), "fake"),
        ))
    }

    fn service(&self) -> &str {
        "backend"
    }

    fn secrets(&self) -> Arc<dyn Resolve> {
        context(Path::new("/nowhere"), "fake").secrets
    }

    async fn answers(&self, address: &str) -> bool {
        let replicas = self.open().replicas("backend").await.unwrap();
        replicas
            .iter()
            .any(|c| c.healthy() && c.addresses.iter().any(|a| a == address))
    }

    fn bound(&self) -> Duration {
        Duration::from_secs(5)
    }
}

/// A fake in a world that deceives.
fn fake(lies: Lies) -> Fake {
    let spec = FakeSpec {
        services: BTreeMap::from([("backend".to_owned(), 2), ("cache".to_owned(), 1)]),
        effect_after: Duration::from_millis(30),
        failover_after: Duration::from_secs(1),
    };
    let world = FakeWorld::new(spec.clone());
    world.lie(lies);
    Fake { world, spec }
}

#[tokio::test(start_paused = true)]
async fn the_fake_holds_its_promises() {
    holds_its_promises(&fake(Lies::default())).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "showed no effect")]
async fn the_suite_catches_a_fault_that_does_nothing() {
    let lies = Lies {
        inert_faults: true,
        ..Lies::default()
    };
    holds_its_promises(&fake(lies)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "undoing Kill")]
async fn the_suite_catches_an_undo_that_fails() {
    let lies = Lies {
        failing_undos: 1,
        ..Lies::default()
    };
    holds_its_promises(&fake(lies)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "health: Unhealthy")]
async fn the_suite_catches_a_stack_that_stands_and_does_not_serve() {
    let lies = Lies {
        broken_version: Some("v1".to_owned()),
        ..Lies::default()
    };
    holds_its_promises(&fake(lies)).await;
}
