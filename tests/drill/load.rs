//! The load engine against servers whose misbehaviour is known, and against a client that does as it is told.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod bench;
mod black_hole;
mod bodies;
mod books;
mod cookies;
mod deadlines;
mod dns;
mod fake;
mod held_up;
mod misbehaving;
mod misbehaving_http2;
mod outcomes;
mod planted;
mod real_client;
mod repaced;
mod retries;
mod reuse;
mod shards;
mod sources;
pub(crate) mod tls;
mod users;
