//! The demo system, met over real sockets: what its outages look like to a caller, and how its edge copes.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod edge;
mod outages;
mod routes;
mod stop;

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use firedrill::demo::{Backend, BackendConfig, DemoError, Edge, EdgeConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Patience for what must come: far beyond any machine's noise.
const SOON: Duration = Duration::from_secs(20);

/// A server of the demo system in a task of its own; ended when dropped.
struct Running {
    addr: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<std::result::Result<(), DemoError>>,
}

impl Running {
    async fn backend(config: BackendConfig) -> Self {
        let backend = Backend::bind(config).await.unwrap();
        let (addr, stop) = (backend.addr(), CancellationToken::new());
        let task = tokio::spawn(backend.serve(stop.clone().cancelled_owned()));
        Self { addr, stop, task }
    }

    async fn edge(config: EdgeConfig) -> Self {
        let edge = Edge::bind(config).await.unwrap();
        let (addr, stop) = (edge.addr(), CancellationToken::new());
        let task = tokio::spawn(edge.serve(stop.clone().cancelled_owned()));
        Self { addr, stop, task }
    }

    /// Stops it gracefully and waits until it has.
    async fn stopped(&mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(SOON, &mut self.task)
            .await
            .expect("it stops in time");
        ended.unwrap().unwrap();
    }

    async fn get(&self, target: &str) -> Answer {
        ask(self.addr, "GET", target, "").await.unwrap()
    }

    /// Starts an outage.
    async fn outage(&self, words: &str) {
        let answer = ask(self.addr, "POST", &format!("/_outage?{words}"), "")
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn named(instance: &str) -> BackendConfig {
    BackendConfig {
        instance: instance.to_owned(),
        ..BackendConfig::new(anywhere())
    }
}

/// A whole answer, as it came over the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A caller with a connection of its own, who knows just enough HTTP to see what a server does to it.
struct Caller {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Caller {
    async fn connect(addr: SocketAddr) -> Result<Self> {
        Ok(Self {
            stream: TcpStream::connect(addr).await?,
            read: Vec::new(),
        })
    }

    async fn send(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Result<()> {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: demo\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await
    }

    /// The next answer: to its last byte, or an `UnexpectedEof` where the server closes before.
    async fn answer(&mut self) -> Result<Answer> {
        let head_end = loop {
            if let Some(at) = self
                .read
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break at + 4;
            }
            self.read_more().await?;
        };
        let head = String::from_utf8(self.read.drain(..head_end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let length = answer
            .header("content-length")
            .expect("the demo's answers have a length")
            .parse()
            .unwrap();
        while self.read.len() < length {
            self.read_more().await?;
        }
        answer.body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        Ok(answer)
    }

    async fn read_more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(Error::from(ErrorKind::UnexpectedEof)),
            _ => Ok(()),
        }
    }

    async fn ask(&mut self, method: &str, target: &str, body: &str) -> Result<Answer> {
        self.send(method, target, "", body).await?;
        self.answer().await
    }
}

/// One request on a connection of its own.
async fn ask(addr: SocketAddr, method: &str, target: &str, body: &str) -> Result<Answer> {
    let asked = async { Caller::connect(addr).await?.ask(method, target, body).await };
    tokio::time::timeout(SOON, asked)
        .await
        .expect("an answer or an error comes in time")
}

/// Asks until `wanted` holds of the answer.
async fn until(addr: SocketAddr, target: &str, wanted: impl Fn(&Answer) -> bool) {
    let asking = async {
        while !ask(addr, "GET", target, "")
            .await
            .is_ok_and(|answer| wanted(&answer))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, asking)
        .await
        .expect("it comes to hold in time");
}

/// A truth log and the folder that goes with it.
struct TruthLog {
    path: PathBuf,
    _folder: TempDir,
}

impl TruthLog {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            path: folder.path().join("truth.ndjson"),
            _folder: folder,
        }
    }

    fn config(&self, instance: &str) -> BackendConfig {
        BackendConfig {
            truth_log: Some(self.path.clone()),
            ..named(instance)
        }
    }

    fn lines(&self) -> Vec<Value> {
        lines(&self.path)
    }

    /// Nanoseconds at which outages began and ended, in the order of the log.
    fn marks(&self, event: &str) -> Vec<u64> {
        self.lines()
            .iter()
            .filter(|line| line["ev"] == event)
            .map(|line| line["t"].as_u64().unwrap())
            .collect()
    }

    /// Waits until the log holds `count` events of that kind.
    async fn holds(&self, event: &str, count: usize) {
        let watching = async {
            while self.marks(event).len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(SOON, watching)
            .await
            .expect("the log gets there in time");
    }

    /// What became of the requests for `path`.
    fn did(&self, path: &str) -> Vec<String> {
        let lines = self.lines().into_iter().filter(|line| line["path"] == path);
        lines
            .map(|line| line["did"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
