//! Making a fault: choosing its targets, writing down its undo, injecting it, and telling its effect from an engine's
//! events. Mending is [`crate::restore`]'s.

mod choose;
mod effect;
mod guarded;
mod inject;
mod landing;
mod limit;
mod nodes;
mod offer;
mod outline;
mod shield;
mod targets;

pub use choose::{Refused, candidates, chosen, may_change, may_replace, may_scale};
pub use effect::{Awaited, awaited, patience};
pub use guarded::guarded;
pub use inject::{InjectError, Prepared, injections, prepare};
pub use landing::landing;
pub use limit::Limit;
pub use offer::{may_offer, offers};
pub use outline::{Outline, outline};
pub use shield::{Shield, Unshielded};
pub use targets::{Known, Targets};
