//! What happened: events and requests on one clock, appended to disk, and read back.

pub mod clock;
mod error;
pub mod event;
mod follow;
mod journal;
mod live;
mod lock;
mod reader;
mod recorder;
mod redaction;
mod requests_file;
mod resume;
mod rundir;
pub mod tally;
mod writer;

pub use error::TimelineError;
pub use follow::{Added, Follower};
pub use journal::{Damage, Entry, Journal};
pub use live::{Answered, Live, Second, Totals, Watched};
pub use lock::RunLock;
pub use reader::{Names, Recording};
pub use recorder::{Recorder, RequestSink};
pub use resume::boot_id;
pub use rundir::RunDir;
