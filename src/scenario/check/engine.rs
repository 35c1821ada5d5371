//! How the load is generated.

use std::iter;
use std::net::{IpAddr, SocketAddr};

use super::{Checker, key_at};
use crate::scenario::error::Problem;
use crate::scenario::file::load::{Connections, Dns, Load};
use crate::scenario::plan::{Driver, EnginePlan, ProxyPlan, ReusePlan, TlsPlan, dns_server};
use crate::scenario::shape::At;
use crate::scenario::vars::Place;

impl Checker<'_> {
    pub(super) fn engine(&mut self, load: &Load) -> EnginePlan {
        let connections = load.connections.as_ref();
        let engine = load.engine.as_ref();
        let driver = engine.and_then(|e| e.driver).unwrap_or_default();
        let streams = connections.and_then(|c| c.streams);
        if let Some(streams) = streams {
            let problem = if streams.value == 0 {
                Some("without streams nothing can be asked")
            } else if matches!(driver, Driver::Hyper1 | Driver::Raw1) {
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
        let connecting = connections.and_then(|c| c.connecting);
        if let Some(zero) = connecting.filter(|n| n.value == 0) {
            self.problems.push(
                Problem::invalid(zero.at, "no connection could ever be made")
                    .help("leave it out: each thread makes 64 at a time"),
            );
        }
        let plan = EnginePlan {
            driver,
            streams: streams.map(|n| n.value),
            connecting: connecting.map(|n| n.value),
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
            dns: load.dns.as_ref().and_then(|dns| self.dns(dns)),
            sources: connections.map_or_else(Vec::new, |c| self.sources(c)),
            redirects: load.redirects.map(|n| n.value),
            proxy: load.proxy.as_ref().map(|proxy| self.proxy(proxy)),
        };
        if let Some(option) = plan.unsupported() {
            let path: Vec<&str> = iter::once("load").chain(option.split('.')).collect();
            let message = format!(
                "`{option}` is not supported by driver {}",
                plan.driver.name()
            );
            let help = if driver == Driver::Reqwest {
                "leave it out, or take another driver: `engine: { driver: hyper1 }`"
            } else {
                "set `engine: { driver: reqwest }`"
            };
            let problem = Problem::invalid(key_at(self.root, &path), message);
            self.problems.push(problem.help(help));
        }
        plan
    }

    fn proxy(&mut self, written: &At<String>) -> ProxyPlan {
        if written.value == ProxyPlan::ENVIRONMENT {
            return ProxyPlan::Environment;
        }
        ProxyPlan::Url(self.absolute_url(written, Place::Running))
    }

    fn dns(&mut self, dns: &Dns) -> Option<SocketAddr> {
        let server = self.fixed(&dns.server, "the DNS server")?;
        let read = dns_server(&server);
        if read.is_none() {
            self.problems.push(
                Problem::invalid(
                    dns.server.at,
                    format!("`{server}` is not the address of a DNS server"),
                )
                .help("write an IP address, with a port unless it is 53: `127.0.0.1:5353`"),
            );
        }
        read
    }

    fn sources(&mut self, connections: &Connections) -> Vec<IpAddr> {
        let Some(written) = &connections.source else {
            return Vec::new();
        };
        if written.value.is_empty() {
            self.problem_unless_broken(
                written.at,
                Problem::invalid(written.at, "`source` names no address")
                    .help("leave it out: the system chooses"),
            );
        }
        let mut sources = Vec::new();
        for source in &written.value {
            let Some(text) = self.fixed(source, "a source address") else {
                continue;
            };
            match text.parse() {
                Ok(address) => sources.push(address),
                Err(_) => self.problems.push(
                    Problem::invalid(source.at, format!("`{text}` is not an IP address"))
                        .help("write one of the addresses of the machine that firedrill runs on"),
                ),
            }
        }
        sources
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
