//! `hold-rules`: the process that holds packet rules for a limited time.

use std::io::{self, Write};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::args::HoldRules;
use super::exit::Exit;
use super::surface::Surface;
use crate::stack::{HELD, Namespace, Partition, RulesError};

/// How often it is tried to take the rules away, and how long lies between.
const TRIES: u32 = 60;
const BETWEEN: Duration = Duration::from_secs(1);

/// Cuts, waits for the limit or SIGTERM, mends.
pub(super) fn hold(surface: &Surface, args: &HoldRules) -> Exit {
    // Out of reach of whatever ends the run's session; it fails where this leads a session already, which is as good.
    let _leads = rustix::process::setsid();
    match held(args) {
        Ok(()) => Exit::Pass,
        Err(error) => surface.failed(&error, Exit::LeftBroken),
    }
}

fn held(args: &HoldRules) -> Result<(), RulesError> {
    let failed = |e: io::Error| RulesError::Holder(e.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let namespace = Namespace::apart(args.of)?;
    let partition = Partition {
        chain: args.chain.clone(),
        peers: args.peer.clone(),
        v6: args.v6,
    };
    runtime.block_on(async {
        // Heard from before the first rule on.
        let mut told = signal(SignalKind::terminate()).map_err(failed)?;
        namespace.cut(&partition).await?;
        let mut stdout = io::stdout();
        // Whoever asked may be gone by now: then the limit ends it.
        let _told = stdout
            .write_all(HELD.as_bytes())
            .and_then(|()| stdout.flush());
        let limit = Duration::from_millis(args.ms);
        let _which = tokio::time::timeout(limit, told.recv()).await;
        let mut mended = namespace.mend(&partition.chain).await;
        for _ in 0..TRIES {
            if mended.is_ok() {
                break;
            }
            tokio::time::sleep(BETWEEN).await;
            mended = namespace.mend(&partition.chain).await;
        }
        mended
    })
}
