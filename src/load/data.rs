//! The rows of `data`.

use std::path::Path;

use super::LoadError;
use crate::scenario::plan::DataTable;

/// The rows of a CSV file, all of them in memory.
#[derive(Debug, Default)]
pub(super) struct Rows {
    columns: Vec<String>,
    rows: Vec<csv::StringRecord>,
}

impl Rows {
    /// Reads the file; a relative path is relative to `folder`.
    pub(super) fn read(table: &DataTable, folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join(&table.rows);
        let bad = |why: String| LoadError::Data {
            path: path.display().to_string(),
            why,
        };
        let mut reader = csv::Reader::from_path(&path).map_err(|e| bad(e.to_string()))?;
        let columns = reader.headers().map_err(|e| bad(e.to_string()))?;
        let columns = columns.iter().map(str::to_owned).collect();
        let rows: Vec<_> = reader
            .into_records()
            .collect::<Result<_, _>>()
            .map_err(|e| bad(e.to_string()))?;
        if rows.is_empty() {
            return Err(bad("it has no row below its header line".to_owned()));
        }
        Ok(Self { columns, rows })
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c == name)
    }

    /// The columns' names, for a message.
    pub(super) fn columns(&self) -> String {
        self.columns.join(", ")
    }

    /// The field of arrival `n` in a column: rows in order, wrapping.
    pub(super) fn field(&self, n: u64, column: usize) -> &str {
        let count = self.rows.len() as u64;
        let row = n.checked_rem(count).and_then(|i| self.rows.get(i as usize));
        row.and_then(|row| row.get(column)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn table(text: &str) -> Result<Rows, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("rows.csv"), text).unwrap();
        let table = DataTable {
            rows: "rows.csv".into(),
            columns: Vec::new(),
        };
        Rows::read(&table, folder.path())
    }

    #[test]
    fn rows_come_in_order_and_wrap() {
        let rows = table("name,slug\nann,a\nbob,\"b,c\"\n").unwrap();
        let slug = rows.column("slug").unwrap();
        let seen: Vec<_> = (0..3).map(|n| rows.field(n, slug)).collect();
        assert_eq!(seen, ["a", "b,c", "a"]);
        assert_eq!(rows.column("nope"), None);
    }

    #[test]
    fn unusable_files_are_named() {
        for (text, why) in [("name\n", "no row"), ("a,b\n1\n", "fields")] {
            let message = table(text).unwrap_err().to_string();
            assert!(
                message.contains("rows.csv") && message.contains(why),
                "{message}"
            );
        }
    }
}
