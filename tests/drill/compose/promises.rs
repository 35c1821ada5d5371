//! Compose, held to what every stack promises.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use firedrill::model::StackSpec;
use firedrill::stack::{Resolve, Stack, open};

use super::engine::{Bench, Flavour};
use crate::conformance::{Bed, holds_its_promises};

const FILE: &str = r#"
services:
  web:
    image: firedrill-test/http:1
    scale: 2
    restart: unless-stopped
    ports: [ "80" ]
    healthcheck: { test: [ "CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/" ], interval: 1s, timeout: 5s, retries: 3 }
"#;

#[async_trait]
impl Bed for Bench {
    fn spec(&self) -> StackSpec {
        StackSpec::Compose(self.spec.clone())
    }

    fn open(&self) -> Arc<dyn Stack> {
        open(&StackSpec::Compose(self.spec.clone()), self.context()).unwrap()
    }

    fn service(&self) -> &str {
        "web"
    }

    fn port(&self) -> Option<u16> {
        Some(80)
    }

    fn secrets(&self) -> Arc<dyn Resolve> {
        self.secrets()
    }

    async fn answers(&self, address: &str) -> bool {
        let answer = reqwest::get(format!("http://{address}/")).await;
        answer.is_ok_and(|a| a.status().is_success())
    }

    fn bound(&self) -> Duration {
        Duration::from_secs(60)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_1_holds_its_promises() {
    if let Some(bench) = Bench::new(Flavour::One, "promises", FILE) {
        holds_its_promises(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_2_holds_its_promises() {
    if let Some(bench) = Bench::new(Flavour::Two, "promises", FILE) {
        holds_its_promises(&bench).await;
    }
}
