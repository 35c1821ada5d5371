//! A listening socket that can be closed and opened again on the same port.

use std::future::pending;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::DemoError;

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Where callers come in.
#[derive(Debug)]
pub(super) struct Door {
    addr: SocketAddr,
    listener: Option<TcpListener>,
    /// Calls to `close` that no `open` has answered yet.
    closed: usize,
    /// Bound but not listening: it refuses by itself, and keeps the port from being drawn for somebody's outgoing
    /// connection while the door is closed (a caller could even meet itself there).
    _keeper: TcpSocket,
}

impl Door {
    /// Binds and listens; port 0 draws one.
    pub(super) fn bind(addr: SocketAddr) -> Result<Self, DemoError> {
        let open = || {
            let keeper = bound(addr)?;
            let addr = keeper.local_addr()?;
            let listener = bound(addr)?.listen(BACKLOG)?;
            Ok(Self {
                addr,
                listener: Some(listener),
                closed: 0,
                _keeper: keeper,
            })
        };
        open().map_err(|source| DemoError::Listen { addr, source })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Refuses from here on; connections not yet accepted are reset by the kernel. Takes one `open` for each `close`
    /// to listen again.
    pub(super) fn close(&mut self) {
        self.closed += 1;
        self.listener = None;
    }

    /// Takes one `close` back; after the last, listens again on the same port.
    pub(super) fn open(&mut self) -> Result<(), DemoError> {
        self.closed = self.closed.saturating_sub(1);
        if self.closed > 0 {
            return Ok(());
        }
        let listener = bound(self.addr).and_then(|socket| socket.listen(BACKLOG));
        self.listener = Some(listener.map_err(|source| DemoError::Reopen {
            addr: self.addr,
            source,
        })?);
        Ok(())
    }

    /// The next connection; waits for ever while closed.
    pub(super) async fn accept(&self) -> io::Result<TcpStream> {
        match &self.listener {
            Some(listener) => Ok(listener.accept().await?.0),
            None => pending().await,
        }
    }

    /// Closes for good and hands over the connections the kernel had completed: their callers believe they are in.
    pub(super) fn leave(self) -> Vec<TcpStream> {
        // Straight from the socket: tokio's `accept` answers from readiness it has been told of, which can lag behind.
        let Some(Ok(listener)) = self.listener.map(TcpListener::into_std) else {
            return Vec::new();
        };
        let accepted = std::iter::from_fn(|| listener.accept().ok());
        accepted
            .filter_map(|(stream, _)| {
                stream.set_nonblocking(true).ok()?;
                TcpStream::from_std(stream).ok()
            })
            .collect()
    }
}

fn bound(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn any_door() -> Door {
        Door::bind("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn refuses_while_closed_and_opens_on_the_same_port() {
        let mut door = any_door().await;
        let addr = door.addr();
        TcpStream::connect(addr).await.unwrap();
        door.close();
        door.close();
        for _ in 0..2 {
            let refused = TcpStream::connect(addr).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            door.open().unwrap();
        }
        TcpStream::connect(addr).await.unwrap();
        assert_eq!(door.addr(), addr);
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let door = any_door().await;
        let error = Door::bind(door.addr()).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on {}", door.addr())),
            "{error}"
        );
    }

    #[tokio::test]
    async fn leaving_hands_over_every_completed_connection() {
        let door = any_door().await;
        let mut callers = Vec::new();
        for _ in 0..20 {
            callers.push(TcpStream::connect(door.addr()).await.unwrap());
        }
        assert_eq!(door.leave().len(), callers.len());
    }
}
