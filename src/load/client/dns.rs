//! Names and their addresses: asked for again when their time to live has ended, taken in turn, counted apart.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
    ServerOrderingStrategy,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, system_conf};
use tokio::time::Instant;

use super::{Destination, failure};
use crate::model::Outcome;

/// The names that a load connects to; one for all of its clients.
pub(in crate::load) struct Names {
    asked: Asked,
    /// /etc/hosts, as it was when the load was prepared.
    hosts: Hosts,
    known: Mutex<HashMap<String, Known>>,
}

/// Who is asked for addresses.
enum Asked {
    /// DNS servers.
    Dns {
        config: ResolverConfig,
        options: Box<ResolverOpts>,
    },
    /// The system's own lookup, which tells no time to live: each connection asks.
    System { why: String },
}

/// A name that was asked for.
#[derive(Default)]
struct Known {
    /// In order, so that whose turn it is outlives an answer in another order.
    addresses: Arc<[IpAddr]>,
    until: Option<Instant>,
    turn: usize,
    counts: BTreeMap<IpAddr, Count>,
}

/// What became of connections to an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    made: u64,
    failed: u64,
}

impl Count {
    fn is_any(&self) -> bool {
        *self != Self::default()
    }
}

/// The addresses for one connection, in the order in which they are to be tried.
pub(super) struct Candidates<'a> {
    pub(super) addresses: Vec<SocketAddr>,
    /// Where the attempts are counted; nowhere for an address as it stands.
    counted: Option<(&'a Names, &'a str)>,
}

/// An attempt under way. Dropped without a word, it has failed: its deadline has passed.
pub(super) struct Attempt<'a> {
    counted: Option<(&'a Names, &'a str)>,
    to: IpAddr,
}

impl Names {
    /// Names as `server` tells them; without one, as this machine's configuration (/etc/resolv.conf) says.
    pub(in crate::load) fn new(server: Option<SocketAddr>) -> Self {
        let asked = match server {
            Some(server) => {
                // Names stand as written: a search list belongs to the servers that it was configured with.
                let config = ResolverConfig::from_name_servers(vec![name_server(server)]);
                Asked::dns(config, ResolverOpts::default())
            }
            None => match system_conf::read_system_conf() {
                Ok((config, options)) => Asked::dns(config, options),
                Err(error) => Asked::System {
                    why: error.to_string(),
                },
            },
        };
        Self {
            asked,
            hosts: Hosts::from_system().unwrap_or_default(),
            known: Mutex::default(),
        }
    }

    /// The addresses of a destination for a new connection.
    pub(super) async fn find<'a>(&'a self, to: &'a Destination) -> Result<Candidates<'a>, Outcome> {
        let host = to.host.as_str();
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Candidates::uncounted(vec![SocketAddr::new(ip, to.port)]));
        }
        if self.is_local(host) {
            return Ok(Candidates::uncounted(of_the_system(host, to.port).await?));
        }
        let addresses = match self.take_turn(host, Instant::now()) {
            Some(addresses) => addresses,
            None => {
                let (addresses, until) = self.ask(host).await?;
                self.learn(host, addresses, until)
            }
        };
        let addresses = addresses.into_iter();
        Ok(Candidates {
            addresses: addresses.map(|ip| SocketAddr::new(ip, to.port)).collect(),
            counted: Some((self, host)),
        })
    }

    /// What a person should know: how many connections each address of a name got.
    pub(in crate::load) fn notes(&self) -> Vec<String> {
        let known = self.known();
        let mut notes: Vec<_> = known
            .iter()
            // reqwest does not tell which of its connections were made.
            .filter(|(_, known)| known.counts.len() > 1 && known.counts.values().any(Count::is_any))
            .map(|(name, known)| format!("{name}: {}", told(&known.counts)))
            .collect();
        notes.sort();
        if let Asked::System { why } = &self.asked
            && !known.is_empty()
        {
            notes.push(format!(
                "/etc/resolv.conf names no server ({why}): names were looked up by the system for every connection"
            ));
        }
        notes
    }

    /// Whether this machine knows the name by itself (RFC 6761, section 6.3; /etc/hosts).
    fn is_local(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if host == "localhost" || host.ends_with(".localhost") {
            return true;
        }
        let Ok(name) = Name::from_str_relaxed(&host) else {
            return false;
        };
        [RecordType::A, RecordType::AAAA].into_iter().any(|kind| {
            let found = self
                .hosts
                .lookup_static_host(&Query::query(name.clone(), kind));
            found.is_some()
        })
    }

    /// The addresses of a name in the next connection's order, if they still hold.
    fn take_turn(&self, host: &str, now: Instant) -> Option<Vec<IpAddr>> {
        let mut known = self.known();
        let known = known.get_mut(host)?;
        known
            .until
            .is_some_and(|until| now < until)
            .then(|| known.in_turn())
    }

    fn learn(&self, host: &str, addresses: Vec<IpAddr>, until: Instant) -> Vec<IpAddr> {
        let mut known = self.known();
        let known = known.entry(host.to_owned()).or_default();
        for address in &addresses {
            known.counts.entry(*address).or_default();
        }
        known.addresses = addresses.into();
        known.until = Some(until);
        known.in_turn()
    }

    /// Asks for a name's addresses. They hold until a time that is over already where they are not to be kept.
    async fn ask(&self, host: &str) -> Result<(Vec<IpAddr>, Instant), Outcome> {
        let (mut addresses, until) = match &self.asked {
            Asked::Dns { config, options } => {
                let name = Name::from_str_relaxed(host).map_err(|_| Outcome::Dns)?;
                // What a resolver has open belongs to the runtime that it was first used on; this one ends with the
                // answer, and what is kept of it is kept here, for all of them.
                let provider = TokioRuntimeProvider::default();
                let resolver = TokioResolver::builder_with_config(config.clone(), provider)
                    .with_options((**options).clone())
                    .build()
                    .map_err(|error| of_lookup(&error))?;
                let found = resolver.lookup_ip(name).await;
                let found = found.map_err(|error| of_lookup(&error))?;
                let until = Instant::from_std(found.valid_until());
                (found.iter().collect::<Vec<_>>(), until)
            }
            Asked::System { .. } => {
                let found = of_the_system(host, 0).await?;
                (found.iter().map(SocketAddr::ip).collect(), Instant::now())
            }
        };
        if addresses.is_empty() {
            return Err(Outcome::Dns);
        }
        leave_unroutable(&mut addresses);
        addresses.sort_unstable();
        addresses.dedup();
        Ok((addresses, until))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn dns(config: ResolverConfig, mut options: ResolverOpts) -> Self {
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        // Without statistics of earlier answers, the order of the configuration.
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        Self::Dns {
            config,
            options: Box::new(options),
        }
    }
}

impl Known {
    fn in_turn(&mut self) -> Vec<IpAddr> {
        let mut addresses = self.addresses.to_vec();
        let first = self.turn.checked_rem(addresses.len()).unwrap_or(0);
        addresses.rotate_left(first);
        self.turn = self.turn.wrapping_add(1);
        addresses
    }
}

impl<'a> Candidates<'a> {
    fn uncounted(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            counted: None,
        }
    }

    /// A connection to one of them is being tried.
    pub(super) fn attempt(&self, to: SocketAddr) -> Attempt<'a> {
        Attempt {
            counted: self.counted,
            to: to.ip(),
        }
    }
}

impl Attempt<'_> {
    /// It led to a connection.
    pub(super) fn made(mut self) {
        self.count(|count| count.made += 1);
    }

    /// It failed for something that has nothing to do with the address.
    pub(super) fn does_not_count(mut self) {
        self.counted = None;
    }

    fn count(&mut self, change: impl FnOnce(&mut Count)) {
        if let Some((names, host)) = self.counted.take()
            && let Some(known) = names.known().get_mut(host)
        {
            change(known.counts.entry(self.to).or_default());
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.count(|count| count.failed += 1);
    }
}

fn name_server(at: SocketAddr) -> NameServerConfig {
    let connection = |mut config: ConnectionConfig| {
        config.port = at.port();
        config
    };
    NameServerConfig::new(
        at.ip(),
        true,
        vec![
            connection(ConnectionConfig::udp()),
            connection(ConnectionConfig::tcp()),
        ],
    )
}

/// What the system's own lookup says.
async fn of_the_system(host: &str, port: u16) -> Result<Vec<SocketAddr>, Outcome> {
    let found = tokio::net::lookup_host((host, port)).await;
    let found: Vec<_> = found.map_err(|_| Outcome::Dns)?.collect();
    if found.is_empty() {
        return Err(Outcome::Dns);
    }
    Ok(found)
}

fn of_lookup(error: &NetError) -> Outcome {
    match error {
        NetError::Io(error) if failure::is_own_shortage(error) => Outcome::Dropped,
        _ => Outcome::Dns,
    }
}

/// Of IPv4 and IPv6 addresses, leaves out those that this machine has no route to (RFC 6724, section 6, rule 1): else
/// every other connection would go to nowhere first.
fn leave_unroutable(addresses: &mut Vec<IpAddr>) {
    let mixed = addresses.iter().any(IpAddr::is_ipv4) && addresses.iter().any(IpAddr::is_ipv6);
    if mixed && addresses.iter().any(|ip| is_routable(*ip)) {
        addresses.retain(|ip| is_routable(*ip));
    }
}

/// Whether this machine has a route there. Sends nothing.
fn is_routable(to: IpAddr) -> bool {
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect((to, 9)).is_ok())
}

fn told(counts: &BTreeMap<IpAddr, Count>) -> String {
    let each = counts.iter().map(|(address, count)| {
        let plural = if count.made == 1 { "" } else { "s" };
        let failed = match count.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        format!("{address} {} connection{plural}{failed}", count.made)
    });
    each.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(asked: Asked) -> Names {
        Names {
            asked,
            hosts: Hosts::default(),
            known: Mutex::default(),
        }
    }

    fn to(host: &str) -> Destination {
        Destination {
            host: host.to_owned(),
            port: 81,
            secure: false,
        }
    }

    /// Asks whom nobody can be asked.
    fn mute() -> Names {
        names(Asked::dns(
            ResolverConfig::from_parts(None, vec![], vec![]),
            ResolverOpts::default(),
        ))
    }

    #[tokio::test]
    async fn nobody_is_asked_for_what_is_known_here() {
        let names = mute();
        for (host, first) in [("192.0.2.1", "192.0.2.1:81"), ("::1", "[::1]:81")] {
            let to = to(host);
            let found = names.find(&to).await.unwrap();
            assert_eq!(found.addresses, [first.parse::<SocketAddr>().unwrap()]);
        }
        let localhost = to("localhost");
        let found = names.find(&localhost).await.unwrap();
        assert!(found.addresses.iter().all(|a| a.ip().is_loopback()));
        let other = to("shop.example");
        assert_eq!(names.find(&other).await.err(), Some(Outcome::Dns));
    }

    #[tokio::test]
    async fn without_servers_the_system_is_asked_and_a_note_says_so() {
        let names = names(Asked::System {
            why: "no such file".to_owned(),
        });
        assert_eq!(names.notes(), Vec::<String>::new());
        let nowhere = to("nowhere.invalid");
        assert_eq!(names.find(&nowhere).await.err(), Some(Outcome::Dns));
        let (addresses, _) = names.ask("localhost").await.unwrap();
        names.learn("machine", addresses, Instant::now());
        assert!(names.notes()[0].contains("(no such file)"));
    }

    #[test]
    fn addresses_take_turns_in_whatever_order_they_come_and_are_counted() {
        let names = mute();
        let [one, two]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let until = Instant::now() + std::time::Duration::from_secs(60);
        assert_eq!(names.learn("n", vec![one, two], until), [one, two]);
        assert_eq!(names.take_turn("n", Instant::now()), Some(vec![two, one]));
        assert_eq!(names.take_turn("n", Instant::now()), Some(vec![one, two]));
        assert_eq!(names.take_turn("n", until), None);

        let candidates = Candidates {
            addresses: Vec::new(),
            counted: Some((&names, "n")),
        };
        let attempt = |ip| candidates.attempt(SocketAddr::new(ip, 80));
        attempt(one).made();
        attempt(one).made();
        attempt(two).made();
        drop(attempt(two));
        attempt(two).does_not_count();
        assert_eq!(
            names.notes(),
            ["n: 10.0.0.1 2 connections; 10.0.0.2 1 connection, 1 failed"]
        );
    }

    #[test]
    fn addresses_without_a_route_are_left_out_beside_others() {
        let [here, nowhere] = ["127.0.0.1", "2001:db8::1"].map(|ip| ip.parse().unwrap());
        // Of one kind alone, connecting tells.
        let mut alone = vec![nowhere];
        leave_unroutable(&mut alone);
        assert_eq!(alone, [nowhere]);
        let mut both = vec![here, nowhere];
        leave_unroutable(&mut both);
        assert_eq!(both.contains(&nowhere), is_routable(nowhere));
        assert!(both.contains(&here));
    }
}
