//! Where records go.

use crate::model::RequestRecord;
use crate::timeline::RequestSink;
use crate::timeline::event::NameTable;

/// Takes the record of each request. Neither call may block or fail: the load never waits for its recording.
pub trait Sink: Send {
    /// Takes one record.
    fn push(&mut self, record: RequestRecord);

    /// The number of a name in a table of the recording, from 1; the same name has the same number.
    fn name(&mut self, table: NameTable, name: &str) -> u16;
}

impl Sink for RequestSink {
    fn push(&mut self, record: RequestRecord) {
        Self::push(self, record);
    }

    fn name(&mut self, table: NameTable, name: &str) -> u16 {
        Self::name(self, table, name)
    }
}
