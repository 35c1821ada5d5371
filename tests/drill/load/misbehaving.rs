//! An HTTP/1.1 server that misbehaves on purpose and counts what it did. It speaks raw bytes, so that nothing of
//! firedrill's own HTTP is needed to know the truth.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// The server. It ends when dropped.
pub(crate) struct Misbehaving {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    /// What was done, by path.
    seen: Mutex<Vec<Seen>>,
    came: Mutex<Vec<Came>>,
    /// While true, `/stall` and `/fifo` are not answered.
    stalled: watch::Sender<bool>,
    hang: AtomicBool,
    accepted: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    /// The token that `/login` gives, and that `/private` wants.
    token: AtomicUsize,
}

/// One connection as the server saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    pub(crate) from: IpAddr,
    /// Which of the server's addresses it came to.
    pub(crate) to: IpAddr,
    pub(crate) at: Instant,
}

/// One request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// The same, byte for byte.
    pub(crate) bytes: Vec<u8>,
}

impl Misbehaving {
    pub(crate) async fn start() -> Self {
        Self::on("127.0.0.1:0").await
    }

    pub(crate) async fn on(listen: &str) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            came: Mutex::default(),
            stalled: watch::Sender::new(false),
            hang: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            token: AtomicUsize::new(1),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(Arc::clone(&serving).connection(stream));
            }
        });
        Self {
            address,
            shared,
            task: task.abort_handle(),
        }
    }

    /// Every request so far, in the order in which they were read.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Every connection so far, in the order in which they came.
    pub(crate) fn came(&self) -> Vec<Came> {
        self.shared.came.lock().unwrap().clone()
    }

    /// How many requests came for each path.
    pub(crate) fn by_path(&self) -> BTreeMap<String, usize> {
        let mut by_path = BTreeMap::new();
        for seen in self.seen() {
            let path = seen.line.split(' ').nth(1).unwrap_or_default();
            *by_path.entry(path.to_owned()).or_default() += 1;
        }
        by_path
    }

    pub(crate) fn stall(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }

    pub(crate) fn hang(&self, hang: bool) {
        self.shared.hang.store(hang, Ordering::SeqCst);
    }

    /// From now on `/private` wants a token that only the next `/login` gives.
    pub(crate) fn revoke(&self) {
        self.shared.token.fetch_add(1, Ordering::SeqCst);
    }

    /// How many connections were accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn most_open(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Next {
    Keep,
    Close,
    Reset,
}

impl Shared {
    async fn connection(self: Arc<Self>, mut stream: TcpStream) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        if let (Ok(from), Ok(to)) = (stream.peer_addr(), stream.local_addr()) {
            self.came.lock().unwrap().push(Came {
                from: from.ip(),
                to: to.ip(),
                at: Instant::now(),
            });
        }
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        // An error is the client's hanging up.
        if let Ok(Next::Reset) = self.converse(&mut stream).await {
            stream.set_zero_linger().unwrap();
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    async fn converse(&self, stream: &mut TcpStream) -> io::Result<Next> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::new();
        let mut answered = 0;
        loop {
            let Some(seen) = read_request(stream, &mut buffer).await? else {
                return Ok(Next::Close);
            };
            self.seen.lock().unwrap().push(seen.clone());
            if answered > 0 && seen.line.contains(" /once ") {
                // Read, and never answered: what a server does that closes an idle connection a moment too late.
                return Ok(Next::Close);
            }
            match self.answer(stream, &seen).await? {
                Next::Keep => answered += 1,
                end => return Ok(end),
            }
        }
    }

    async fn answer(&self, stream: &mut TcpStream, seen: &Seen) -> io::Result<Next> {
        let path = seen.line.split(' ').nth(1).unwrap_or_default();
        if self.hang.load(Ordering::SeqCst) {
            return hang(stream).await;
        }
        let mut stalled = self.stalled.subscribe();
        stalled.wait_for(|stalled| !stalled).await.unwrap();
        let token = self.token.load(Ordering::SeqCst);
        // The first request for a target fails in its own way, every further one is answered.
        let first = self
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter(|s| s.line == seen.line)
            .count()
            == 1;
        let path = match path.split_once('?') {
            Some((flaky, _)) if flaky.starts_with("/flaky/") || flaky.starts_with("/wait/") => {
                flaky
            }
            _ => path,
        };
        let half = "HTTP/1.1 200 X\r\nContent-Length: 100\r\nX-Backend: half\r\n\r\nhalf";
        let (text, next) = match path {
            "/flaky/eof" if first => return Ok(Next::Close),
            "/flaky/reset" if first => return Ok(Next::Reset),
            "/flaky/503" if first => (answer(503, "", "flaky"), Next::Keep),
            "/wait/1" if first => (answer(503, "Retry-After: 1\r\n", "later"), Next::Keep),
            "/wait/9" if first => (answer(429, "Retry-After: 9\r\n", "later"), Next::Keep),
            "/wait/60" if first => (answer(503, "Retry-After: 60\r\n", "later"), Next::Keep),
            "/hops/3" => (answer(302, "Location: /hops/2\r\n", ""), Next::Keep),
            "/hops/2" => (answer(307, "Location: /hops/1\r\n", ""), Next::Keep),
            "/hops/1" => (answer(303, "Location: /hops/0\r\n", ""), Next::Keep),
            "/eof" => return Ok(Next::Close),
            "/reset" => return Ok(Next::Reset),
            "/hang" => return hang(stream).await,
            "/eof-mid" => (half.to_owned(), Next::Close),
            "/hang-mid" => {
                stream.write_all(half.as_bytes()).await?;
                return hang(stream).await;
            }
            "/reset-mid" => {
                stream.write_all(half.as_bytes()).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
                return Ok(Next::Reset);
            }
            "/frame" => ("HTP/9 whatever\r\n\r\n".to_owned(), Next::Close),
            "/bad-chunk" => (
                "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n".to_owned(),
                Next::Close,
            ),
            "/close" => (answer(200, "Connection: close\r\n", "bye"), Next::Close),
            // Says nothing of closing, and does: the next request meets a dead connection.
            "/silent-close" => (answer(200, "", "bye"), Next::Close),
            "/chunked" => (
                "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n".to_owned(),
                Next::Keep,
            ),
            "/late" => {
                tokio::time::sleep(Duration::from_millis(30)).await;
                (answer(200, "", "late"), Next::Keep)
            }
            "/login" => (
                answer(200, "", &format!(r#"{{"user": {{"token": "t{token}"}}}}"#)),
                Next::Keep,
            ),
            "/private" => {
                let known = seen.headers.get("authorization").is_some_and(|a| *a == format!("Token t{token}"));
                (answer(if known { 200 } else { 401 }, "", "private"), Next::Keep)
            }
            to if to.starts_with("/to/") => {
                let headers = format!("Location: {}\r\nSet-Cookie: hop=1;Path=/\r\n", &to[3..]);
                (answer(302, &headers, ""), Next::Keep)
            }
            _ => match (path.strip_prefix("/status/"), path.strip_prefix("/cookie/")) {
                (Some(status), _) => (answer(status.parse().unwrap(), "", "status"), Next::Keep),
                (None, Some(cookie)) => (answer(200, &format!("Set-Cookie: {cookie}\r\n"), "cookie"), Next::Keep),
                (None, None) => (answer(200, "X-Version: v7\r\n", r#"{"slug": "a b", "n": 5}"#), Next::Keep),
            },
        };
        stream.write_all(text.as_bytes()).await?;
        Ok(next)
    }
}

/// Never answers, until the client hangs up.
async fn hang(stream: &mut TcpStream) -> io::Result<Next> {
    let mut rest = [0; 256];
    while stream.read(&mut rest).await? > 0 {}
    Ok(Next::Close)
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nX-Backend: one\r\n{headers}\r\n{body}"
    )
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Seen>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let mut lines = head.split("\r\n");
            let line = lines.next().unwrap_or_default().to_owned();
            let headers: BTreeMap<_, _> = lines
                .filter_map(|l| l.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length: usize = headers
                .get("content-length")
                .map_or(0, |l| l.parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let rest = buffer.split_off(end + 4 + length);
                let bytes = buffer[end + 4..].to_vec();
                let body = String::from_utf8_lossy(&bytes).into_owned();
                *buffer = rest;
                return Ok(Some(Seen {
                    line,
                    headers,
                    body,
                    bytes,
                }));
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
