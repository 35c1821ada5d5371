//! How far the engine's clock is from ours.

use super::engine::Project;
use crate::stack::StackError;
use crate::stack::docker::skew_ns;

impl Project {
    /// The engine's wall clock less ours at the middle of a round trip, in ns.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn skew_ns(&self) -> Result<i64, StackError> {
        skew_ns(|| self.engine_ns()).await
    }
}
