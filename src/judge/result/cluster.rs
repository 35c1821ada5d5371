//! `steps[].cluster`: what became of nodes that a step took, and of what they ran.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a cluster made of the loss of nodes: its own clock, beside the callers'. Times are µs since the dispatch,
/// `node_ready_us` since the heal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterResult {
    /// What ran on the nodes when they were taken.
    pub carried: Vec<String>,
    /// When the managers said of the last of the nodes that it was not ready.
    pub node_down_us: Option<i64>,
    /// When another replica was up, and healthy where its health is checked, for the last of those that ran on the nodes;
    /// those of which each node runs its own apart. `null` also where there was none to replace.
    pub replaced_us: Option<i64>,
    /// Since the heal: when the managers said of the last of the nodes that it was ready again; negative if earlier.
    pub node_ready_us: Option<i64>,
    /// When another node led, where one of those taken had.
    pub leader_us: Option<i64>,
}
