//! How the load is generated.

use super::Checker;
use crate::scenario::error::Problem;
use crate::scenario::file::load::Load;
use crate::scenario::plan::{Driver, EnginePlan, ReusePlan, TlsPlan};

impl Checker<'_> {
    pub(super) fn engine(&mut self, load: &Load) -> EnginePlan {
        let connections = load.connections.as_ref();
        let engine = load.engine.as_ref();
        let driver = engine.and_then(|e| e.driver).unwrap_or_default();
        let streams = connections.and_then(|c| c.streams);
        if let Some(streams) = streams {
            let problem = if streams.value == 0 {
                Some("without streams nothing can be asked")
            } else if driver != Driver::Hyper2 {
                Some("only HTTP/2 has streams: set `engine: { driver: hyper2 }`")
            } else {
                None
            };
            self.problems
                .extend(problem.map(|why| Problem::invalid(streams.at, why)));
        }
        let shards = engine.and_then(|e| e.shards);
        if let Some(zero) = shards.filter(|n| n.value == 0) {
            self.problems.push(
                Problem::invalid(zero.at, "without a thread nothing can be sent")
                    .help("leave it out: firedrill takes as many as the rate needs"),
            );
        }
        EnginePlan {
            driver,
            streams: streams.map(|n| n.value),
            tls: self.tls(load),
            reuse: ReusePlan {
                max_age: self.not_zero(
                    connections.and_then(|c| c.max_age),
                    "a connection of no age could never be used",
                ),
                stale_retry: connections.and_then(|c| c.stale_retry).unwrap_or(false),
            },
            pacing: engine.and_then(|e| e.pacing).unwrap_or_default(),
            shards: shards.map(|n| n.value),
        }
    }

    fn tls(&mut self, load: &Load) -> TlsPlan {
        let Some(tls) = &load.tls else {
            return TlsPlan::default();
        };
        let written = &tls.value;
        let identity = match (&written.cert, &written.key) {
            (Some(cert), Some(key)) => Some((cert.value.clone().into(), key.value.clone().into())),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                self.problems.push(Problem::invalid(
                    tls.at,
                    "a client certificate needs both `cert` and `key`",
                ));
                None
            }
        };
        let insecure = written.insecure.unwrap_or(false);
        if let (Some(ca), true) = (&written.ca, insecure) {
            self.problems.push(Problem::invalid(
                ca.at,
                "`insecure` trusts whoever answers, so `ca` would change nothing; leave one of them out",
            ));
        }
        TlsPlan {
            ca: written.ca.as_ref().map(|ca| ca.value.clone().into()),
            identity,
            insecure,
        }
    }
}
