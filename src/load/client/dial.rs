//! Getting a stream to where requests go.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;

use super::connects::Connects;
use super::dns::{Attempt, Candidates, Names};
use super::pooled::Phase;
use super::source::{NotMade, Sources};
use super::wire::{Stream, Wire};
use super::{Destination, failure};
use crate::model::Outcome;

/// How far attempts to connect lie apart that are made for one connection (RFC 8305, section 8: "Connection Attempt Delay").
const ATTEMPTS_APART: Duration = Duration::from_millis(250);

/// What opens streams.
#[derive(Clone)]
pub(in crate::load) struct Dialer {
    /// How TLS is spoken, where a destination is secure; `None` where that could not be foreseen.
    tls: Option<Arc<ClientConfig>>,
    names: Arc<Names>,
    sources: Sources,
    connects: Arc<Connects>,
    /// Why the first connection that a person should know of failed.
    trouble: Arc<OnceLock<String>>,
}

impl Dialer {
    pub(in crate::load) fn new(
        tls: Option<Arc<ClientConfig>>,
        names: Arc<Names>,
        sources: Sources,
        connects: Arc<Connects>,
    ) -> Self {
        Self {
            tls,
            names,
            sources,
            connects,
            trouble: Arc::default(),
        }
    }

    /// A stream to `to`, if there is one by the `deadline`. `phase` says how far it got.
    pub(super) async fn open(
        &self,
        to: &Destination,
        deadline: Instant,
        phase: &mut Phase,
    ) -> Result<Wire, Outcome> {
        *phase = Phase::Resolving;
        let candidates = self.names.find(to).await?;
        *phase = Phase::Connecting;
        self.connects.another(Instant::now());
        let tcp = self.connect(&candidates, deadline).await?;
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
    /// Connects to whichever candidate lets it first. They are tried in turn, each as soon as the one before has failed or
    /// has not answered for a while; that one goes on meanwhile (RFC 8305, section 5). So an address where nobody answers
    /// does not use up the time of the others. Fails as the first of them did, unless that was for want of something on this
    /// machine.
    async fn connect(
        &self,
        candidates: &Candidates<'_>,
        deadline: Instant,
    ) -> Result<TcpStream, Outcome> {
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
        let mut untried = within_reach.iter().copied();
        let mut attempts: Vec<Option<Attempt<'_>>> = Vec::new();
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        let mut under_way = FuturesUnordered::new();
        loop {
            if let Some(to) = untried.next() {
                let number = attempts.len();
                attempts.push(Some(candidates.attempt(to)));
                outcomes.push(None);
                under_way.push(async move { (number, to, self.sources.connect(to).await) });
            }
            let next_at = next_attempt(untried.len(), deadline);
            let (number, to, connected) = tokio::select! {
                biased;
                ended = under_way.next() => match ended {
                    Some(ended) => ended,
                    None => break,
                },
                () = sleep_until(next_at), if untried.len() > 0 => continue,
            };
            let attempt = attempts[number].take();
            let outcome = match connected {
                Ok(stream) => {
                    if let Some(attempt) = attempt {
                        attempt.made();
                    }
                    // Those before it had their chance.
                    for later in attempts.drain(number..).flatten() {
                        later.does_not_count();
                    }
                    // Without it a request may wait for an acknowledgement, and no more.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(NotMade::Here) => Outcome::Dropped,
                Err(NotMade::There(error)) => failure::of_connect(&error, to),
            };
            if let (Outcome::Dropped, Some(attempt)) = (outcome, attempt) {
                attempt.does_not_count();
            }
            outcomes[number] = Some(outcome);
        }
        let mut failed = outcomes.into_iter().flatten();
        let first = failed.next().unwrap_or(Outcome::Dns);
        Err(match first {
            Outcome::Dropped => failed.find(|o| *o != Outcome::Dropped).unwrap_or(first),
            _ => first,
        })
    }
}

/// When it is the turn of the next of so many candidates that were not tried: soon, and in time for all of them.
fn next_attempt(untried: usize, deadline: Instant) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    let share = left / u32::try_from(untried + 1).unwrap_or(u32::MAX);
    now + share.min(ATTEMPTS_APART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_candidate_has_its_turn_before_the_deadline() {
        let now = Instant::now();
        let turn = |untried, ms| next_attempt(untried, now + Duration::from_millis(ms)) - now;
        assert_eq!(turn(1, 5_000), Duration::from_millis(250));
        assert_eq!(turn(1, 300), Duration::from_millis(150));
        assert_eq!(turn(3, 300), Duration::from_millis(75));
        assert_eq!(turn(1, 0), Duration::ZERO);
    }
}
