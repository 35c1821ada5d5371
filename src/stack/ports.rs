//! Free ports.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Lowest port drawn: below lie the well-known ones, and those people give their own servers.
const LOWEST: u16 = 15_000;
/// Draws for each port before giving up.
const DRAWS: usize = 200;

/// So many different ports of 127.0.0.1 that nothing listens on.
///
/// They lie outside the range from which the kernel draws ports for outgoing connections
/// (`net.ipv4.ip_local_port_range`), so that none of those takes a port while its process is down.
///
/// # Errors
/// When no free port was found in many draws.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    free_ports_besides(count, &BTreeSet::new())
}

/// [`free_ports`], and none of `besides`, which this run drew before.
pub(super) fn free_ports_besides(count: usize, besides: &BTreeSet<u16>) -> io::Result<Vec<u16>> {
    let draw_from = LOWEST..first_ephemeral().unwrap_or(u16::MAX);
    // Bound until all are found, so that they differ.
    let mut held: Vec<TcpListener> = Vec::with_capacity(count);
    let mut ports = Vec::with_capacity(count);
    for _ in 0..count * DRAWS {
        if ports.len() == count {
            return Ok(ports);
        }
        // An empty range lets the kernel choose.
        let port = draw(draw_from.start, draw_from.end).unwrap_or(0);
        let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else {
            continue;
        };
        let port = listener.local_addr()?.port();
        if !besides.contains(&port) {
            ports.push(port);
            held.push(listener);
        }
    }
    if ports.len() == count {
        return Ok(ports);
    }
    let found = format!(
        "found only {} of {count} free ports on 127.0.0.1",
        ports.len()
    );
    Err(io::Error::new(io::ErrorKind::AddrInUse, found))
}

/// A random port in `from..to`. Runs side by side must not try the same ports in the same order, so it is not seeded.
fn draw(from: u16, to: u16) -> Option<u16> {
    let span = u64::from(to.checked_sub(from)?);
    let offset = RandomState::new()
        .build_hasher()
        .finish()
        .checked_rem(span)?;
    Some(from + u16::try_from(offset).ok()?)
}

fn first_ephemeral() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_are_free_and_lie_outside_the_kernels_range() {
        let ports = free_ports(20).unwrap();
        let different: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), 20);
        for port in ports {
            assert!(
                port >= LOWEST
                    && first_ephemeral().is_none_or(|first| port < first || first <= LOWEST)
            );
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn a_port_drawn_before_is_not_drawn_again() {
        let all_but: BTreeSet<u16> = (0..=u16::MAX).collect();
        let error = free_ports_besides(1, &all_but).unwrap_err();
        assert_eq!(
            error.to_string(),
            "found only 0 of 1 free ports on 127.0.0.1"
        );
    }

    #[test]
    fn an_empty_range_draws_nothing() {
        assert_eq!((draw(5, 5), draw(6, 5)), (None, None));
        assert_eq!(draw(5, 6), Some(5));
    }
}
