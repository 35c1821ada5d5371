//! A run's journal: every whole line is either an entry or reported as damage. Once as it comes, which seldom passes the
//! checksums, and once with checksums that fit.
#![no_main]

use std::path::Path;

use firedrill::timeline::{Damage, Journal};
use libfuzzer_sys::fuzz_target;

const CRC_FIELD: &[u8] = b",\"crc\":\"";

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&summed(data));
});

fn read(text: &[u8]) {
    let lines = text.iter().filter(|b| **b == b'\n').count();
    match Journal::parse(Path::new("journal.ndjson"), text) {
        Ok(journal) => {
            let unread = journal.damage.iter();
            let unread = unread.filter(|d| matches!(d, Damage::Line { .. })).count();
            assert_eq!(journal.entries.len() + unread, lines);
            let in_order = (1..).zip(&journal.entries).all(|(n, e)| e.seq == n);
            assert!(in_order || !journal.damage.is_empty());
            let words: Vec<String> = journal.damage.iter().map(ToString::to_string).collect();
            assert!(words.iter().all(|w| !w.is_empty()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The same lines, each with the checksum of what it says.
fn summed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|b| *b == b'\n') {
        let head = line
            .windows(CRC_FIELD.len())
            .rposition(|w| w == CRC_FIELD)
            .map(|at| &line[..at]);
        match head {
            Some(head) => {
                out.extend(head);
                out.extend(CRC_FIELD);
                out.extend(format!("{:08x}\"}}\n", crc32c::crc32c(head)).bytes());
            }
            None => out.extend(line),
        }
    }
    out
}
