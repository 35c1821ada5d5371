//! The system under test: one seam, and a folder per platform.

mod compose;
mod context;
mod docker;
mod external;
mod fake;
mod group;
mod hands;
pub mod host;
mod own;
mod owner;
mod ports;
mod process;
mod ready;
mod rules;
mod scan;
mod seam;
mod secrets;
mod supports;
mod surroundings;
mod swarm;
mod tag;
mod undo_files;

use std::sync::Arc;

use self::external::ExternalStack;
use self::process::ProcessStack;
use crate::model::StackSpec;

pub use compose::{Checkup, ComposeStack, Engine, checkup};
pub use context::{DockerEnv, StackContext};
pub use fake::{FakeAnswer, FakeReply, FakeStack, FakeWorld, Lies};
pub use group::GroupGuard;
pub use hands::{hand, own_hand, stay_hands};
pub use owner::{Life, Owner};
pub use ports::free_ports;
pub use process::start_order;
pub use rules::{HELD, Namespace, Partition, RulesError};
pub use scan::{Scan, Stray, scan};
pub use seam::{Applied, OwnedThing, Resolve, Stack, StackError, Standing, Unheard, Verified};
pub use secrets::SecretStore;
pub use supports::{revives, supports};
pub use surroundings::Surroundings;
pub use swarm::SwarmStack;
pub use tag::UndoTag;

/// The stack of a run. Touches nothing: what an earlier value of the same run did (in another process, even) is read
/// back from the platform and the run's directory when it is needed.
///
/// # Errors
/// [`StackError`] where the definition cannot be used at all.
pub fn open(spec: &StackSpec, context: StackContext) -> Result<Arc<dyn Stack>, StackError> {
    match spec {
        StackSpec::Process(spec) => Ok(Arc::new(ProcessStack::new(spec.clone(), context)?)),
        StackSpec::Fake(spec) => Ok(Arc::new(FakeStack::new(
            FakeWorld::new(spec.clone()),
            context,
        ))),
        StackSpec::External(spec) => {
            let adopt = |project: String| {
                Arc::new(ComposeStack::adopt(project, context.clone())) as Arc<dyn Stack>
            };
            let project = spec.compose_project.clone().map(adopt);
            Ok(Arc::new(ExternalStack::new(spec.clone(), context, project)))
        }
        StackSpec::Swarm(spec) => Ok(Arc::new(SwarmStack::new((**spec).clone(), context))),
        StackSpec::Compose(spec) => Ok(Arc::new(ComposeStack::new(spec.clone(), context))),
    }
}
