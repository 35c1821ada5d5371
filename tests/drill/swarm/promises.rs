//! Swarm, held to what every stack promises.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use firedrill::model::{ComponentId, KillMode, MachinesSpec, NODE, StackSpec, SwarmSpec, Template};
use firedrill::stack::{Resolve, Stack, open};

use super::{kept, on};
use crate::compose::engine::{Bench, Flavour, remove};
use crate::conformance::{Bed, holds_its_promises};

/// Two replicas, none of them on w2, which is hit. A published port is each machine's own, so an update stops first.
const FILE: &str = r#"
version: "3.8"
services:
  web:
    image: firedrill-test/http:1
    ports: [ { target: 80, published: 8000, protocol: tcp, mode: host } ]
    stop_grace_period: 500ms
    healthcheck: { test: [ "CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/" ], interval: 500ms, timeout: 5s, retries: 3 }
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      placement: { constraints: [ "node.hostname != w2" ] }
      restart_policy: { condition: any, delay: 0s }
      update_config: { parallelism: 2, monitor: 500ms }
networks: { default: { driver: overlay } }
"#;

/// A cluster that is gone when its value is, whatever happened.
struct Cluster {
    bench: Bench,
    name: String,
    spec: SwarmSpec,
}

impl Cluster {
    fn new() -> Option<Self> {
        let bench = Bench::new(Flavour::One, "swarm", FILE)?;
        super::built();
        let name = format!("promises-{}", std::process::id());
        // A network of its own, so that a cluster somebody keeps stands in nobody's way.
        let env = [
            ("CLUSTER_NAME", format!("fd-{name}")),
            ("CLUSTER_NET", "10.213.78".to_owned()),
        ];
        let env = env.map(|(k, v)| (k.to_owned(), Template::literal(v)));
        let machines = MachinesSpec {
            name: name.clone(),
            env: env.into(),
            keep: false,
            ..kept(None)
        };
        let spec = on(machines, bench.folder.path().join("docker-compose.yml"));
        Some(Self { bench, name, spec })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        remove(&format!("fd-cluster-{}", self.name));
    }
}

#[async_trait]
impl Bed for Cluster {
    fn spec(&self) -> StackSpec {
        StackSpec::Swarm(Box::new(self.spec.clone()))
    }

    fn open(&self) -> Arc<dyn Stack> {
        open(&self.spec(), self.bench.context()).unwrap()
    }

    fn service(&self) -> &str {
        "web"
    }

    fn port(&self) -> Option<u16> {
        Some(80)
    }

    fn secrets(&self) -> Arc<dyn Resolve> {
        self.bench.secrets()
    }

    async fn answers(&self, address: &str) -> bool {
        let answer = reqwest::get(format!("http://{address}/")).await;
        answer.is_ok_and(|a| a.status().is_success())
    }

    fn kills(&self) -> KillMode {
        KillMode::RestartPolicy
    }

    fn node(&self) -> Option<ComponentId> {
        // m1, m2, m3, w1, w2.
        Some(ComponentId::new(NODE, 5))
    }

    fn bound(&self) -> Duration {
        Duration::from_secs(120)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swarm_holds_its_promises() {
    if let Some(cluster) = Cluster::new() {
        holds_its_promises(&cluster).await;
    }
}
