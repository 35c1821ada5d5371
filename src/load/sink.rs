//! Where records go.

use crate::model::RequestRecord;
use crate::timeline::RequestSink;
use crate::timeline::event::NameTable;

/// Takes the record of each request. No call but the last may block, and none fails: the load never waits for its recording.
pub trait Sink: Send {
    /// Takes one record.
    fn push(&mut self, record: RequestRecord);

    /// The number of a name in a table of the recording, from 1; the same name has the same number.
    fn name(&mut self, table: NameTable, name: &str) -> u16;

    /// The load is over: whatever it still holds goes where it belongs before this returns.
    fn flush(&mut self) {}
}

impl Sink for RequestSink {
    fn push(&mut self, record: RequestRecord) {
        Self::push(self, record);
    }

    fn name(&mut self, table: NameTable, name: &str) -> u16 {
        Self::name(self, table, name)
    }

    fn flush(&mut self) {
        Self::flush(self);
    }
}
