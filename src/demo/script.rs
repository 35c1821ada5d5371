//! Outages on stage: begins and ends them on time, and decides the fate of each request meanwhile.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::outage::{Mode, Outage};
use super::serve::Order;
use super::truth::Truth;

/// What an outage does to one request.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    Reset,
    Hang,
    /// Answered once this is cancelled.
    Stall(CancellationToken),
    Slow(Duration),
    Status(u16),
    Cut,
}

/// The outages of one backend: those to come and those that last.
#[derive(Debug)]
pub(super) struct Script {
    stage: Mutex<Stage>,
    truth: Arc<Truth>,
    door: mpsc::Sender<Order>,
}

#[derive(Debug)]
struct Stage {
    lasting: Vec<Lasting>,
    draws: ChaCha8Rng,
    /// Cancelled to end all outages, begun or not.
    curtain: CancellationToken,
}

#[derive(Debug)]
struct Lasting {
    mode: Mode,
    share: f64,
    over: CancellationToken,
}

impl Script {
    /// `seed` decides which requests an outage with a share hits.
    pub(super) fn new(seed: u64, truth: Arc<Truth>, door: mpsc::Sender<Order>) -> Self {
        let draws = ChaCha8Rng::seed_from_u64(seed);
        let stage = Stage {
            lasting: Vec::new(),
            draws,
            curtain: CancellationToken::new(),
        };
        Self {
            stage: Mutex::new(stage),
            truth,
            door,
        }
    }

    /// Plays an outage whose times count from `zero`, in a task of its own.
    pub(super) fn play(self: &Arc<Self>, outage: Outage, zero: Instant) {
        let curtain = self.stage().curtain.clone();
        tokio::spawn(Arc::clone(self).perform(outage, zero, curtain));
    }

    /// Ends every outage at once, those to come included.
    pub(super) fn end_all(&self) {
        let mut stage = self.stage();
        stage.curtain.cancel();
        stage.curtain = CancellationToken::new();
    }

    /// What becomes of the request at hand: the first lasting outage that draws it decides.
    pub(super) fn fate(&self) -> Option<Fate> {
        let stage = &mut *self.stage();
        let hit = stage
            .lasting
            .iter()
            .find(|outage| stage.draws.random_bool(outage.share))?;
        Some(match hit.mode {
            // Came in by a connection that is about to be reset.
            Mode::Refuse | Mode::Reset => Fate::Reset,
            Mode::Hang => Fate::Hang,
            Mode::Stall => Fate::Stall(hit.over.clone()),
            Mode::Slow(by) => Fate::Slow(by),
            Mode::Status(status) => Fate::Status(status),
            Mode::Cut => Fate::Cut,
        })
    }

    async fn perform(self: Arc<Self>, outage: Outage, zero: Instant, curtain: CancellationToken) {
        for turn in 0..outage.times {
            let begin = zero + outage.at + outage.every * turn;
            if curtain
                .run_until_cancelled(sleep_until(begin))
                .await
                .is_none()
            {
                return;
            }
            let over = CancellationToken::new();
            self.stage().lasting.push(Lasting {
                mode: outage.mode,
                share: outage.share,
                over: over.clone(),
            });
            if outage.mode == Mode::Refuse {
                self.order(Order::Close).await;
            }
            self.truth.begin(outage.mode.name());
            let ended = curtain
                .run_until_cancelled(sleep_until(begin + outage.lasts))
                .await;
            over.cancel();
            self.stage()
                .lasting
                .retain(|lasting| !lasting.over.is_cancelled());
            if outage.mode == Mode::Refuse {
                self.order(Order::Open).await;
            }
            self.truth.end(outage.mode.name());
            if ended.is_none() {
                return;
            }
        }
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (done, obeyed) = oneshot::channel();
        if self.door.send(order(done)).await.is_ok() {
            // An error says that the server has stopped, and its door with it.
            let _ = obeyed.await;
        }
    }

    fn stage(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.stage
            .lock()
            .expect("nobody panics while holding the stage")
    }
}
