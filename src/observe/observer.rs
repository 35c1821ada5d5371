//! What every source of evidence has in common.

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::model::{ComponentId, Template};

/// A source of evidence outside of firedrill. What it sees goes into the recording.
#[async_trait]
pub(super) trait Observer: Send + Sync {
    /// Watches until it is over.
    async fn watch(&self, over: CancellationToken);

    /// Reads, after the load, what is only complete then.
    async fn collect(&self, order: &CollectOrder);
}

/// What to read after the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectOrder {
    /// Begin of the stretch that matters, µs since the run's zero.
    pub from_us: i64,
    /// Its end.
    pub to_us: i64,
    /// The detection objectives' queries.
    pub detections: Vec<DetectionQuery>,
}

/// A detection objective's query for one victim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectionQuery {
    /// The step whose objective it is.
    pub step: String,
    /// The victim that the query names.
    pub victim: Option<ComponentId>,
    /// The PromQL, variables filled in.
    pub query: String,
    /// As the scenario has it.
    pub written: Template,
}
