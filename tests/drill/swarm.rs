//! The Swarm body on a real engine: a cluster whose machines are containers.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod in_part;
mod promises;
mod tenants;
mod there_already;

use std::path::Path;
use std::process::Command;

/// The images of the reference stacks, made unless they are there.
fn built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(root.join("scripts/build-images"))
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
}
