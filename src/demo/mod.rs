//! The demo system inside the binary: a small backend with scriptable outages and a load-balancing edge.
//!
//! The quickstart needs nothing else, and tests find here a ground truth they did not measure themselves: the backend
//! writes down when each outage began and ended, and what became of each request.
//!
//! ```text
//! callers ──► Edge ──► Backend ×n        each Backend: routes ◄── script ◄── outages (given at the start,
//!             balance, retry,                   │         │                       or by POST /_outage)
//!             health checks                  metrics    truth log
//! ```
//!
//! Both serve in two steps, `bind` then `serve(shutdown)`, so that port 0 works: `addr()` tells the port in between.

mod backend;
mod door;
mod edge;
mod metrics;
mod outage;
mod script;
mod serve;
mod truth;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use backend::{Backend, BackendConfig};
pub use edge::{Active, Edge, EdgeConfig, Passive};
pub use outage::{Mode, Outage, ParseOutageError};

/// Why the demo system cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {addr}: {source}; choose another address, or port 0 for any free one"
    )]
    Listen { addr: SocketAddr, source: io::Error },
    /// After an outage of mode `refuse`, the address could not be listened on again.
    #[error(
        "cannot listen on {addr} again after the outage: {source}; another process may have taken the port"
    )]
    Reopen { addr: SocketAddr, source: io::Error },
    /// An edge without a backend.
    #[error("an edge needs at least one backend; give each as host:port")]
    NoBackends,
    /// A backend's address that is not `host:port`.
    #[error("`{address}` is no backend address; write host:port, as in 127.0.0.1:8000")]
    BadBackend { address: String },
    /// A time of the edge's configuration that cannot be kept.
    #[error("{what} of {} cannot be kept; give more than 0 and at most 30d", humantime::format_duration(*time))]
    BadTime { what: &'static str, time: Duration },
    /// The path of active health checks cannot be asked for.
    #[error(
        "`{path}` is no path for health checks; write one with its leading slash, as in /health"
    )]
    BadCheckPath { path: String },
    /// The truth log cannot be opened or written.
    #[error("cannot write the truth log {}: {source}; a log with holes would not be the truth", path.display())]
    TruthLog { path: PathBuf, source: io::Error },
}
