//! What this machine lets firedrill do. Looked at without leaving a trace: nothing is changed but in a network namespace that
//! is gone with the probe.

mod kernel;
mod limits;
mod rights;

use std::ffi::OsString;
use std::path::Path;

pub use kernel::{Feature, Kernel};
pub use limits::Limits;
pub use rights::Rights;

/// What this machine lets firedrill do.
#[derive(Debug, Clone)]
pub struct Host {
    /// What its kernel, and the programs that speak to it, can do.
    pub kernel: Kernel,
    /// What this process may do.
    pub rights: Rights,
    /// What it may use up.
    pub limits: Limits,
}

/// Looks at this machine. `path` is where programs are looked for, `reports` the folder that runs will be kept in.
pub async fn look(path: Option<OsString>, reports: &Path) -> Host {
    let rights = Rights::of_this_process();
    Host {
        kernel: Kernel::probe(path, rights.root).await,
        limits: Limits::of_this_process(reports),
        rights,
    }
}
