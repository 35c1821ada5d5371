//! Getting a stream to where requests go.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::dns::{Candidates, Names};
use super::pooled::Phase;
use super::source::{NotMade, Sources};
use super::wire::{Stream, Wire};
use super::{Destination, failure};
use crate::model::Outcome;

/// What opens streams.
#[derive(Clone)]
pub(in crate::load) struct Dialer {
    /// How TLS is spoken, where a destination is secure; `None` where that could not be foreseen.
    tls: Option<Arc<ClientConfig>>,
    names: Arc<Names>,
    sources: Sources,
    /// Why the first connection that a person should know of failed.
    trouble: Arc<OnceLock<String>>,
}

impl Dialer {
    pub(in crate::load) fn new(
        tls: Option<Arc<ClientConfig>>,
        names: Arc<Names>,
        sources: Sources,
    ) -> Self {
        Self {
            tls,
            names,
            sources,
            trouble: Arc::default(),
        }
    }

    /// A stream to `to`. `phase` says how far it got.
    pub(super) async fn open(&self, to: &Destination, phase: &mut Phase) -> Result<Wire, Outcome> {
        *phase = Phase::Resolving;
        let candidates = self.names.find(to).await?;
        *phase = Phase::Connecting;
        let tcp = self.connect(&candidates).await?;
        if !to.secure {
            return Ok(Wire::new(Stream::Plain(tcp)));
        }
        let name = ServerName::try_from(to.host.clone()).map_err(|_| Outcome::Tls)?;
        let connector = TlsConnector::from(self.tls.clone().ok_or(Outcome::Tls)?);
        match connector.connect(name, tcp).await {
            Ok(tls) => Ok(Wire::new(Stream::Tls(Box::new(tls)))),
            Err(error) => {
                let outcome = failure::of_handshake(&error);
                if outcome == Outcome::Tls {
                    self.trouble
                        .get_or_init(|| format!("TLS with {}:{}: {error}", to.host, to.port));
                }
                Err(outcome)
            }
        }
    }

    /// What a person should know of what it met.
    pub(super) fn notes(&self) -> Vec<String> {
        self.trouble.get().cloned().into_iter().collect()
    }
}

impl Dialer {
    /// Connects to the first candidate that lets it. Fails as the first did, unless that was for want of something on
    /// this machine.
    async fn connect(&self, candidates: &Candidates<'_>) -> Result<TcpStream, Outcome> {
        let within_reach: Vec<_> = candidates
            .addresses
            .iter()
            .copied()
            .filter(|to| self.sources.reach(*to))
            .collect();
        if let (true, Some(to)) = (within_reach.is_empty(), candidates.addresses.first()) {
            self.trouble.get_or_init(|| {
                format!("no connection to {to}: no source address is of its kind (IPv4, IPv6)")
            });
            return Err(Outcome::Dropped);
        }
        let mut failed = None;
        for to in within_reach {
            let attempt = candidates.attempt(to);
            let outcome = match self.sources.connect(to).await {
                Ok(stream) => {
                    attempt.made();
                    // Without it a request may wait for an acknowledgement, and no more.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(NotMade::Here) => Outcome::Dropped,
                Err(NotMade::There(error)) => failure::of_connect(&error, to),
            };
            if outcome == Outcome::Dropped {
                attempt.does_not_count();
            }
            if matches!(failed, None | Some(Outcome::Dropped)) {
                failed = Some(outcome);
            }
        }
        Err(failed.unwrap_or(Outcome::Dns))
    }
}
