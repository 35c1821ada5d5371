//! Which outcome an error is.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use rustix::io::Errno;

use crate::model::Outcome;

/// The outcome of a connection to `address` that could not be made.
pub(super) fn of_connect(error: &io::Error, address: SocketAddr) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionRefused => Outcome::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Outcome::Reset,
        ErrorKind::TimedOut => Outcome::ConnectTimeout,
        // For IPv6 the machine has no such address to speak from; for IPv4 its ports are used up.
        ErrorKind::AddrNotAvailable if address.is_ipv4() => Outcome::Dropped,
        _ if is_own_shortage(error) => Outcome::Dropped,
        _ => Outcome::Unreachable,
    }
}

/// Whether the generator's own machine ran out of something.
pub(super) fn is_own_shortage(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|e| {
        matches!(
            e,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM
        )
    })
}

/// The outcome of a TLS handshake that failed on an open connection.
pub(super) fn of_handshake(error: &io::Error) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Outcome::Reset,
        ErrorKind::TimedOut => Outcome::ConnectTimeout,
        _ => Outcome::Tls,
    }
}

/// The outcome of an exchange that broke off on an established connection.
pub(super) fn of_exchange(error: &(dyn Error + 'static)) -> Outcome {
    let mut next = Some(error);
    let mut hung_up = false;
    while let Some(error) = next {
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            if hyper.is_incomplete_message() {
                return Outcome::Eof;
            }
            if hyper.is_parse() {
                return Outcome::Protocol;
            }
            hung_up = hyper.is_canceled();
        }
        if let Some(h2) = error.downcast_ref::<h2::Error>()
            && let Some(outcome) = of_stream_of_http2(h2)
        {
            return outcome;
        }
        if let Some(io) = error.downcast_ref::<io::Error>()
            && let Some(outcome) = of_stream(io)
        {
            return outcome;
        }
        next = error.source();
    }
    // hyper cancels what it had not begun to write when the peer hangs up in between. What else remains are bytes
    // that nobody asked for.
    if hung_up {
        Outcome::Eof
    } else {
        Outcome::Protocol
    }
}

/// A stream that the peer reset, or a connection that it gave up (RFC 9113, sections 5.4 and 6.8).
fn of_stream_of_http2(error: &h2::Error) -> Option<Outcome> {
    if error.is_io() {
        error.get_io().and_then(of_stream)
    } else if error.is_remote() && error.is_reset() {
        Some(Outcome::Reset)
    } else if error.is_remote() && error.is_go_away() {
        Some(Outcome::Eof)
    } else {
        Some(Outcome::Protocol)
    }
}

fn of_stream(error: &io::Error) -> Option<Outcome> {
    if error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
    {
        return Some(Outcome::Tls);
    }
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Some(Outcome::Reset),
        // Linux answers a write with EPIPE, not ECONNRESET, where a FIN had come before the RST.
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => Some(Outcome::Eof),
        ErrorKind::TimedOut => Some(Outcome::Timeout),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Some(Outcome::Unreachable)
        }
        ErrorKind::InvalidData | ErrorKind::InvalidInput => Some(Outcome::Protocol),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn connects_fail_by_their_errno() {
        let of = |errno: Errno, address: &str| of_connect(&io::Error::from(errno), at(address));
        assert_eq!(of(Errno::CONNREFUSED, "127.0.0.1:1"), Outcome::Refused);
        assert_eq!(of(Errno::HOSTUNREACH, "127.0.0.1:1"), Outcome::Unreachable);
        assert_eq!(of(Errno::NETUNREACH, "127.0.0.1:1"), Outcome::Unreachable);
        assert_eq!(of(Errno::TIMEDOUT, "127.0.0.1:1"), Outcome::ConnectTimeout);
        assert_eq!(of(Errno::ADDRNOTAVAIL, "[::1]:1"), Outcome::Unreachable);
    }

    #[test]
    fn what_the_own_machine_lacks_is_not_the_systems_fault() {
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::ADDRNOTAVAIL,
            Errno::NOBUFS,
        ] {
            let outcome = of_connect(&io::Error::from(errno), at("127.0.0.1:1"));
            assert_eq!(outcome, Outcome::Dropped, "{errno}");
        }
    }

    #[test]
    fn streams_break_by_their_kind() {
        for (errno, outcome) in [
            (Errno::CONNRESET, Outcome::Reset),
            (Errno::PIPE, Outcome::Eof),
            (Errno::TIMEDOUT, Outcome::Timeout),
            (Errno::HOSTUNREACH, Outcome::Unreachable),
        ] {
            assert_eq!(of_exchange(&io::Error::from(errno)), outcome, "{errno}");
        }
    }
}
