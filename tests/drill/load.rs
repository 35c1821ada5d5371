//! The load engine against servers whose misbehaviour is known, and against a client that does as it is told.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod bench;
mod bodies;
mod books;
mod deadlines;
mod dns;
mod fake;
mod misbehaving;
mod outcomes;
mod reuse;
mod shards;
mod sources;
mod tls;
mod users;
