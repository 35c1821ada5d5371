//! A Swarm that is there already, reached by one manager's address: what is deployed, rolled out, drained and put back there.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use firedrill::model::{
    ComponentId, Health, Injection, ManagerSpec, NODE, StackSpec, SwarmSpec, Template, Undo,
};
use firedrill::stack::{Stack, StackContext, Verified, open};
use futures_util::FutureExt;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::{engine_of, kept, on};
use crate::compose::engine::{Bench, Flavour, IMAGE, SECOND, docker};
use crate::load::tls;

const FILE: &str = r#"
version: "3.8"
services:
  web:
    image: firedrill-test/http:1
    stop_grace_period: 2s
    healthcheck: { test: [ "CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/" ], interval: 1s, timeout: 5s, retries: 3 }
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      update_config: { parallelism: 1, monitor: 1s, order: start-first }
networks: { default: { driver: overlay } }
"#;

/// A new version, a replica more, and a service more.
const CHANGE: &str = r#"
version: "3.8"
services:
  web:
    image: firedrill-test/http:2
    deploy: { replicas: 3 }
  extra:
    image: firedrill-test/http:1
    deploy: { endpoint_mode: dnsrr }
"#;

/// The stack file, on the machines that the bundled drills keep or by the address of one of their managers.
fn spec(bench: &Bench, manager: Option<ManagerSpec>) -> StackSpec {
    let file = bench.folder.path().join("docker-compose.yml");
    StackSpec::Swarm(Box::new(SwarmSpec {
        images: [IMAGE, SECOND].map(Template::literal).into(),
        machines: manager.is_none().then(|| kept(None)),
        manager,
        ..on(kept(None), file)
    }))
}

/// An engine by TLS, for those alone who show a certificate of its authority: what an operator's port 2376 is.
struct Guarded {
    port: u16,
    /// `ca.pem`, `cert.pem` and `key.pem`, as Docker calls them.
    certs: TempDir,
    task: AbortHandle,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Guarded {
    async fn before(engine: String) -> Self {
        let (config, certs) = tls::server(true);
        for (ours, dockers) in [("client.pem", "cert.pem"), ("client.key", "key.pem")] {
            fs::rename(certs.path().join(ours), certs.path().join(dockers)).unwrap();
        }
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (acceptor, engine) = (acceptor.clone(), engine.clone());
                tokio::spawn(async move {
                    // Who shows no certificate comes no further.
                    let Ok(mut tls) = acceptor.accept(tcp).await else {
                        return;
                    };
                    let mut tcp = TcpStream::connect(engine).await.unwrap();
                    // Either side may hang up.
                    let _ = tokio::io::copy_bidirectional(&mut tls, &mut tcp).await;
                });
            }
        });
        Self {
            port,
            certs,
            task: task.abort_handle(),
        }
    }

    fn address(&self) -> String {
        format!("tcp://localhost:{}", self.port)
    }

    /// A folder of the command line's settings with a context that leads here.
    fn context(&self, name: &str) -> TempDir {
        let settings = tempfile::tempdir().unwrap();
        let file = |name: &str| self.certs.path().join(name).display().to_string();
        let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(file);
        let endpoint = format!("host={},ca={ca},cert={cert},key={key}", self.address());
        let made = Command::new("docker")
            .args(["context", "create", name, "--docker", &endpoint])
            .env("DOCKER_CONFIG", settings.path())
            .env_remove("DOCKER_HOST")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        settings
    }
}

/// The volumes of stacks, on all machines.
fn volumes() -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for machine in ["m1", "m2", "m3", "w1", "w2"] {
        let label = "label=com.docker.stack.namespace";
        let asked = ["volume", "ls", "-q", "--filter", label];
        let said = docker(&[&["-H", &engine_of(machine)?], asked.as_slice()].concat())?;
        names.extend(said.lines().map(str::to_owned));
    }
    Ok(names)
}

/// By service, how many replicas of each image.
async fn replicas(stack: &dyn Stack) -> BTreeMap<(String, String), usize> {
    let mut all = BTreeMap::new();
    for component in stack.components().await.unwrap() {
        if component.id.service != NODE {
            *all.entry((component.id.service, component.image))
                .or_default() += 1;
        }
    }
    all
}

fn of(service: &str, image: &str, count: usize) -> ((String, String), usize) {
    ((service.to_owned(), image.to_owned()), count)
}

/// Makes a fault, looks at what it made, and has somebody who knows only the undo put it back.
async fn there_and_back(
    spec: &StackSpec,
    context: &StackContext,
    injection: Injection,
    made: impl AsyncFn(&dyn Stack),
) {
    let stack = open(spec, context.clone()).unwrap();
    let before = replicas(&*stack).await;
    let undo = stack.prepare(&injection).await.unwrap();
    let text = serde_json::to_string(&undo).unwrap();
    stack
        .apply(&injection, &undo)
        .await
        .unwrap_or_else(|e| panic!("{injection:?}: {e}"));
    made(&*stack).await;
    // A definition that is rolled out again is the same, once the last of the old tasks has ended.
    if !matches!(injection, Injection::UpdateAgain { .. }) {
        let verified = stack.verify(&undo).await.unwrap();
        assert_ne!(verified, Verified::Holds, "{injection:?} changed nothing");
    }

    let undo: Undo = serde_json::from_str(&text).unwrap();
    let another = open(spec, context.clone()).unwrap();
    for _ in 0..2 {
        another.undo(&undo, &*context.secrets).await.unwrap();
        assert_eq!(another.verify(&undo).await.unwrap(), Verified::Holds);
    }
    assert_eq!(replicas(&*another).await, before);
}

async fn faults(spec: &StackSpec, context: &StackContext) {
    let web = || "web".to_owned();
    let again = Injection::UpdateAgain { service: web() };
    there_and_back(spec, context, again, async |stack| {
        assert_eq!(replicas(stack).await, [of("web", IMAGE, 2)].into());
    })
    .await;

    let env = Injection::UpdateEnv {
        service: web(),
        env: BTreeMap::from([("LEVEL".to_owned(), Template::literal("2"))]),
    };
    there_and_back(spec, context, env, async |stack| {
        // What an update does not speak of stays as it is.
        let all = stack.replicas("web").await.unwrap();
        assert!(all.iter().all(|c| c.health == Health::Healthy), "{all:?}");
    })
    .await;

    let drained = ComponentId::new(NODE, 5);
    let drain = Injection::Drain { component: drained };
    there_and_back(spec, context, drain, async |_| {}).await;
}

/// Deploys from changed files, and from unchanged ones.
async fn files(spec: &StackSpec, context: &StackContext, bench: &Bench) {
    let web = || "web".to_owned();
    let files = ["docker-compose.yml", "change.yml"].map(|name| bench.folder.path().join(name));
    let deploy = Injection::UpdateFiles {
        service: web(),
        files: files.into(),
    };
    there_and_back(spec, context, deploy, async |stack| {
        let deployed = [of("web", SECOND, 3), of("extra", IMAGE, 1)];
        assert_eq!(replicas(stack).await, deployed.into());
    })
    .await;

    let stack = open(spec, context.clone()).unwrap();
    let same = Injection::UpdateFiles {
        service: web(),
        files: vec![bench.folder.path().join("docker-compose.yml")],
    };
    let undo = stack.prepare(&same).await.unwrap();
    let why = stack.apply(&same, &undo).await.unwrap_err().to_string();
    assert!(why.contains("changed nothing"), "{why}");
}

/// What comes and goes while no manager answers is known to be lost.
async fn silence_is_told(spec: &StackSpec, context: &StackContext) {
    let stack = open(spec, context.clone()).unwrap();
    let (events, _nobody) = tokio::sync::mpsc::unbounded_channel();
    let (unheard, mut lost) = tokio::sync::mpsc::unbounded_channel();
    stack.watch(events, unheard).await.unwrap();
    for _ in 0..2 {
        let told = tokio::time::timeout(Duration::from_secs(60), lost.recv());
        let told = told.await.unwrap().unwrap();
        assert!(!told.over && told.why.contains("managers"), "{told:?}");
    }
}

/// One run at a time: another neither stands up beside it nor, taken down, takes anything of it away.
async fn another_run_is_kept_off(spec: &StackSpec, bench: &Bench) {
    let mut context = bench.context();
    context.run = format!("{}-other", context.run);
    let other = open(spec, context).unwrap();
    let why = other.up().await.unwrap_err().to_string();
    assert!(
        why.contains("another run's stack is on this cluster"),
        "{why}"
    );
    other.down().await.unwrap();
    let again = other.up().await.unwrap_err().to_string();
    assert_eq!(again, why);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_that_is_there_is_changed_and_put_back_by_its_manager() {
    let Some(bench) = Bench::new(Flavour::One, "there", FILE) else {
        return;
    };
    super::built();
    fs::write(bench.folder.path().join("change.yml"), CHANGE).unwrap();
    // Brings the images to the machines, which stay; what the stack had there does not.
    let file = bench.folder.path().join("docker-compose.yml");
    let grace = "stop_grace_period: 2s";
    let with_data = FILE.replace(grace, &format!("{grace}\n    volumes: [ \"data:/data\" ]"));
    fs::write(&file, format!("{with_data}volumes: {{ data: {{}} }}\n")).unwrap();
    let making = open(&spec(&bench, None), bench.context()).unwrap();
    let made = making.up().await;
    let had = volumes();
    making.down().await.unwrap();
    made.unwrap();
    let had = had.unwrap();
    assert_eq!(had.len(), 2, "one for each replica: {had:?}");
    assert_eq!(volumes().unwrap(), [""; 0]);
    fs::write(&file, FILE).unwrap();

    let engine = engine_of("m1").unwrap();
    let there = |manager| spec(&bench, Some(manager));
    let guarded = Guarded::before(engine.replace("tcp://", "")).await;
    let plain = there(ManagerSpec::At {
        address: engine,
        certs: None,
    });
    let by_tls = there(ManagerSpec::At {
        address: guarded.address(),
        certs: Some(guarded.certs.path().to_owned()),
    });
    let by_name = there(ManagerSpec::Context("drills".to_owned()));
    let settings = guarded.context("drills");
    let mut named = bench.context();
    named.docker.docker_config = Some(settings.path().to_owned());

    let stack = open(&plain, bench.context()).unwrap();
    let tried = std::panic::AssertUnwindSafe(async {
        let unshown = there(ManagerSpec::At {
            address: guarded.address(),
            certs: None,
        });
        let unshown = open(&unshown, bench.context()).unwrap();
        let why = unshown.up().await.unwrap_err().to_string();
        assert!(why.contains(&guarded.address()), "{why}");

        let nobody = there(ManagerSpec::At {
            address: "tcp://127.0.0.1:1".to_owned(),
            certs: None,
        });
        silence_is_told(&nobody, &bench.context()).await;

        open(&by_tls, bench.context()).unwrap().up().await.unwrap();
        faults(&by_tls, &bench.context()).await;
        files(&by_name, &named, &bench).await;
        another_run_is_kept_off(&plain, &bench).await;
    });
    let tried = tried.catch_unwind().await;
    stack.down().await.unwrap();
    assert_eq!(stack.owned().await.unwrap(), []);
    if let Err(panic) = tried {
        std::panic::resume_unwind(panic);
    }
}
