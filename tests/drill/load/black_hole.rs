//! Addresses where nobody answers, and where nobody listens.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// A listener whose queue is full and never emptied: the kernel leaves further connects unanswered.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _fillers: Vec<TcpStream>,
}

impl BlackHole {
    pub(crate) async fn on(listen: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(listen.parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut fillers = Vec::new();
        let patience = Duration::from_millis(300);
        while let Ok(connected) = timeout(patience, TcpStream::connect(address)).await {
            fillers.push(connected.unwrap());
        }
        Self {
            address,
            _listener: listener,
            _fillers: fillers,
        }
    }
}

/// A port that is taken, and that nobody listens on: connections are refused, and no other process gets it meanwhile.
pub(crate) struct Closed {
    pub(crate) address: SocketAddr,
    _socket: TcpSocket,
}

impl Closed {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            _socket: socket,
        }
    }
}
