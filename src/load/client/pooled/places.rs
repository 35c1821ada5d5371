//! How many connections several clients may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Places for connections, shared by all clones.
#[derive(Debug, Clone)]
pub(in crate::load) struct Places(Arc<AtomicUsize>);

impl Places {
    /// So many, at least one.
    pub(in crate::load) fn new(most: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(most.max(1))))
    }

    /// None until some are given.
    pub(in crate::load) fn none() -> Self {
        Self(Arc::default())
    }

    /// Takes one, if one is free.
    pub(in crate::load) fn take(&self) -> bool {
        let less = |free: usize| free.checked_sub(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    /// Gives one, or gives it back.
    pub(in crate::load) fn give(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
