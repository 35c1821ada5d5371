//! Getting a stream to where requests go.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::pooled::Phase;
use super::wire::{Stream, Wire};
use super::{Destination, failure};
use crate::model::Outcome;

/// What opens streams.
#[derive(Clone)]
pub(in crate::load) struct Dialer {
    /// How TLS is spoken, where a destination is secure; `None` where that could not be foreseen.
    tls: Option<Arc<ClientConfig>>,
    /// Why the first handshake that failed did.
    refused: Arc<OnceLock<String>>,
}

impl Dialer {
    pub(in crate::load) fn new(tls: Option<Arc<ClientConfig>>) -> Self {
        Self {
            tls,
            refused: Arc::default(),
        }
    }

    /// A stream to `to`, its name resolved anew. `phase` says how far it got.
    pub(super) async fn open(&self, to: &Destination, phase: &mut Phase) -> Result<Wire, Outcome> {
        *phase = Phase::Resolving;
        let addresses = resolve(to).await?;
        *phase = Phase::Connecting;
        let tcp = connect(&addresses).await?;
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
                    self.refused
                        .get_or_init(|| format!("TLS with {}:{}: {error}", to.host, to.port));
                }
                Err(outcome)
            }
        }
    }

    /// What a person should know of what it met.
    pub(super) fn notes(&self) -> Vec<String> {
        self.refused.get().cloned().into_iter().collect()
    }
}

/// The addresses of a destination, resolved anew.
async fn resolve(to: &Destination) -> Result<Vec<SocketAddr>, Outcome> {
    if let Ok(ip) = to.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, to.port)]);
    }
    match tokio::net::lookup_host((to.host.as_str(), to.port)).await {
        Ok(found) => {
            let found: Vec<_> = found.collect();
            if found.is_empty() {
                Err(Outcome::Dns)
            } else {
                Ok(found)
            }
        }
        Err(_) => Err(Outcome::Dns),
    }
}

/// Connects to the first address that lets it. Fails as the first did, unless that was for want of something on
/// this machine.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Outcome> {
    let mut failed = None;
    for &address in addresses {
        match connect_to(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                let outcome = failure::of_connect(&error, address);
                if matches!(failed, None | Some(Outcome::Dropped)) {
                    failed = Some(outcome);
                }
            }
        }
    }
    Err(failed.unwrap_or(Outcome::Dns))
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
