//! Waiting until an address answers.

use std::error::Error;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use super::StackError;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// Limit of one try; a server that hangs is asked again.
const TRY: Duration = Duration::from_secs(1);

/// Asks addresses whether they are ready: a GET answered with 2xx.
#[derive(Debug, Default)]
pub(super) struct Prober {
    /// Made when first needed: reading this machine's TLS certificates takes time that a mere `down` need not spend.
    client: OnceCell<reqwest::Client>,
}

impl Prober {
    async fn client(&self) -> Result<&reqwest::Client, String> {
        let build = || async {
            reqwest::Client::builder()
                // Either could answer in the address's place.
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(TRY)
                // A kept connection to a process that has died since would fail the next try.
                .pool_max_idle_per_host(0)
                .build()
        };
        self.client
            .get_or_try_init(build)
            .await
            .map_err(|error| cause(&error))
    }

    /// One try.
    ///
    /// # Errors
    /// What came instead of a 2xx answer; never the address, which may hold a secret.
    pub(super) async fn ask(&self, url: &str) -> Result<(), String> {
        let answer = self
            .client()
            .await?
            .get(url)
            .send()
            .await
            .map_err(|error| cause(&error.without_url()))?;
        let status = answer.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("answered with {status}"))
        }
    }

    /// Asks until it is ready. `still` says after each try why there is nothing left to wait for, if so.
    ///
    /// # Errors
    /// That of `still`, or [`StackError::NotReady`] for `what` with the last answer.
    pub(super) async fn until_ready(
        &self,
        what: &str,
        url: &str,
        within: Duration,
        still: impl Fn() -> Result<(), StackError> + Send + Sync,
    ) -> Result<(), StackError> {
        let deadline = Instant::now() + within;
        loop {
            let answer = self.ask(url).await;
            // Asked after the answer, which may have come from another program at the same address.
            still()?;
            let Err(last) = answer else { return Ok(()) };
            if Instant::now() + PAUSE > deadline {
                let within = humantime::format_duration(within).to_string();
                return Err(StackError::NotReady {
                    what: what.to_owned(),
                    within,
                    last,
                });
            }
            sleep(PAUSE).await;
        }
    }
}

/// An error with its causes, outermost first.
fn cause(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        text = format!("{text}: {inner}");
        next = inner.source();
    }
    text
}
