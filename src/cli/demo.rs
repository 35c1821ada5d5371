//! `firedrill demo`.

use std::num::NonZeroU32;

use super::args::Demo;
use super::exit::Exit;
use super::surface::Surface;
use crate::demo::{Active, Backend, BackendConfig, DemoError, Edge, EdgeConfig};

/// Active checks in a row that decide: one may be bad luck.
const TWICE: NonZeroU32 = NonZeroU32::new(2).expect("two is not zero");

pub(super) fn demo(surface: &Surface, args: Demo) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return surface.failed(&error, Exit::Inconclusive),
    };
    match runtime.block_on(serve(args)) {
        Ok(()) => Exit::Pass,
        Err(error) => surface.failed(&error, Exit::Inconclusive),
    }
}

async fn serve(args: Demo) -> Result<(), DemoError> {
    match args {
        Demo::Backend(args) => {
            let config = BackendConfig {
                listen: args.listen,
                version: args.version_label,
                instance: args.instance.unwrap_or_else(|| args.listen.to_string()),
                service_time: args.service_time,
                outages: args.outages,
                seed: args.seed,
                truth_log: args.truth,
            };
            Backend::bind(config).await?.serve(told_to_stop()).await
        }
        Demo::Edge(args) => {
            let mut config = EdgeConfig::new(args.listen, args.backends);
            config.retries = args.retries;
            if args.no_passive_checks {
                config.passive = None;
            }
            config.active = args.check.map(|path| Active {
                interval: args.check_interval,
                timeout: args.check_interval,
                path,
                rise: TWICE,
                fall: TWICE,
            });
            Edge::bind(config).await?.serve(told_to_stop()).await
        }
    }
}

/// SIGTERM or SIGINT. Where the handlers cannot be installed, the signals end the process as they do by default.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
