//! HTTP/1.1: one exchange at a time on each connection.

mod framing;
mod hyper;
mod raw;

use super::dial::Dialer;
use super::pooled::{Link, Places, Pooled};
use crate::scenario::plan::ReusePlan;

/// HTTP/1.1 by hyper.
pub(in crate::load) type Http1 = Pooled<hyper::Connection>;

/// Plain HTTP/1.1 by hand, for the last of the throughput.
pub(in crate::load) type Raw1 = Pooled<raw::Connection>;

impl<L: Link<Opener = Dialer>> Pooled<L> {
    /// A client of at most `connections` connections, each its own link and in one of these places; at most `connecting` are made
    /// at a time.
    pub(in crate::load) fn over(
        connections: u32,
        connecting: u32,
        places: Places,
        dialer: Dialer,
        reuse: ReusePlan,
    ) -> Self {
        Self::of(connections as usize, connecting, places, dialer, reuse)
    }
}

#[cfg(test)]
pub(super) use hyper::Connection;
