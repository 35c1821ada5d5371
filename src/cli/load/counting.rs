//! Counting requests as they end, one count for each shard.

use std::sync::{Arc, Mutex, PoisonError};

use crate::load::Sink;
use crate::model::RequestRecord;
use crate::timeline::event::NameTable;
use crate::timeline::tally::LoadTally;

/// What every shard has counted so far.
#[derive(Clone)]
pub(super) struct Counting {
    empty: LoadTally,
    shards: Vec<Arc<Mutex<LoadTally>>>,
}

impl Counting {
    pub(super) fn new(empty: LoadTally) -> Self {
        Self {
            empty,
            shards: Vec::new(),
        }
    }

    /// The sink of one more shard.
    pub(super) fn sink(&mut self) -> Box<dyn Sink> {
        let tally = Arc::new(Mutex::new(self.empty.clone()));
        self.shards.push(Arc::clone(&tally));
        Box::new(Shard(tally))
    }

    /// What all of them came to.
    pub(super) fn total(&self) -> LoadTally {
        let mut total = self.empty.clone();
        for shard in &self.shards {
            total.merge(&shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
        total
    }
}

struct Shard(Arc<Mutex<LoadTally>>);

impl Sink for Shard {
    fn push(&mut self, record: RequestRecord) {
        // Whoever else holds it reads counts, once a second at most.
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&record);
    }

    fn name(&mut self, _: NameTable, _: &str) -> u16 {
        0
    }
}
