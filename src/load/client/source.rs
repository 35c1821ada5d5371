//! The addresses of this machine that connections come from.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpSocket, TcpStream};

/// Addresses that take turns; none for whatever the system chooses. Clones share whose turn it is.
#[derive(Debug, Clone, Default)]
pub(in crate::load) struct Sources {
    addresses: Arc<[IpAddr]>,
    turn: Arc<AtomicUsize>,
}

/// Why a connection was not made.
#[derive(Debug)]
pub(super) enum NotMade {
    /// No port, or no address of this kind, is left on this machine.
    Here,
    /// The other side, or the way there.
    There(io::Error),
}

impl Sources {
    /// Connections from these addresses.
    ///
    /// # Errors
    /// The first that is not this machine's, and what binding it met.
    pub(in crate::load) fn new(addresses: &[IpAddr]) -> Result<Self, (IpAddr, io::Error)> {
        for &address in addresses {
            TcpListener::bind((address, 0)).map_err(|error| (address, error))?;
        }
        Ok(Self {
            addresses: addresses.into(),
            turn: Arc::default(),
        })
    }

    /// Whether a connection there can come from one of them.
    pub(super) fn reach(&self, to: SocketAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|a| a.is_ipv4() == to.is_ipv4())
    }

    /// Connects from the next of them.
    pub(super) async fn connect(&self, to: SocketAddr) -> Result<TcpStream, NotMade> {
        if self.addresses.is_empty() {
            return TcpStream::connect(to).await.map_err(NotMade::There);
        }
        let from = self.next(to).ok_or(NotMade::Here)?;
        let socket = match to {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.map_err(NotMade::There)?;
        socket
            .bind(SocketAddr::new(from, 0))
            .map_err(|_| NotMade::Here)?;
        socket.connect(to).await.map_err(NotMade::There)
    }

    /// Whose turn it is among those of the same kind as `to`.
    fn next(&self, to: SocketAddr) -> Option<IpAddr> {
        let fitting = || {
            self.addresses
                .iter()
                .filter(|a| a.is_ipv4() == to.is_ipv4())
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let at = turn.checked_rem(fitting().count())?;
        fitting().nth(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_the_same_kind_take_turns() {
        let all = ["127.0.0.2", "127.0.0.3"].map(|a| a.parse().unwrap());
        let sources = Sources::new(&all).unwrap();
        let to = "127.0.0.1:80".parse().unwrap();
        let clone = sources.clone();
        assert_eq!(
            [sources.next(to), clone.next(to), sources.next(to)],
            [Some(all[0]), Some(all[1]), Some(all[0])]
        );
        let six = "[::1]:80".parse().unwrap();
        assert!(sources.reach(to) && !sources.reach(six));
        assert_eq!(sources.next(six), None);
        assert!(Sources::default().reach(six));
    }

    #[test]
    fn the_one_that_is_not_this_machines_is_named() {
        let all = ["127.0.0.2", "192.0.2.1"].map(|a| a.parse().unwrap());
        assert_eq!(Sources::new(&all).unwrap_err().0, all[1]);
    }
}
