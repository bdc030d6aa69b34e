//! Records of one file, streamed. No record is held longer than it is looked at.

use std::cell::Cell;
use std::io::Read;
use std::rc::Rc;

use csv::ByteRecord;
use serde_json::{Map, Value};

use super::cells::guid;
use super::{Columns, Table, Unreadable};

/// The longest record taken, in bytes; cells of the specification add up to well under 32 KiB.
pub const RECORD_BYTES_MAX: u64 = 1024 * 1024;

/// Where the record's bytes are kept when they could not be read: base64 under this name, which no
/// column has.
pub const DAMAGED: &str = "#damaged";

/// Records of one file.
pub struct Rows<R: Read> {
    reader: csv::Reader<Metered<R>>,
    given: Rc<Cell<u64>>,
    record: ByteRecord,
    /// The reader counts a line when it meets its LF, which in a CRLF file is after the record.
    lag: u64,
    /// Where the columns stand.
    pub columns: Columns,
}

impl<R: Read> Rows<R> {
    /// Reads the header row.
    ///
    /// # Errors
    /// When the file is not one of `table`.
    pub fn open(table: Table, bytes: R) -> Result<Self, Unreadable> {
        let given = Rc::new(Cell::new(0));
        let metered = Metered { inner: bytes, given: Rc::clone(&given) };
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(metered);
        let mut record = ByteRecord::new();
        let found = reader.read_byte_record(&mut record).map_err(|fault| broken(&fault, 0))?;
        let header: Option<Vec<String>> =
            record.iter().map(|cell| std::str::from_utf8(cell).ok().map(str::to_owned)).collect();
        let header = header.filter(|_| found).ok_or(Unreadable::NoHeader)?;
        let lag = u64::from(reader.position().line() == 1);
        Ok(Self { reader, given, record, lag, columns: Columns::find(table, &header)? })
    }

    /// The next record, or `None` at the end.
    ///
    /// # Errors
    /// When the rest of the file cannot be read.
    pub fn next_row(&mut self) -> Result<Option<View<'_>>, Unreadable> {
        let line = self.reader.position().line() + self.lag;
        self.given.set(0);
        loop {
            let more = self.reader.read_byte_record(&mut self.record).map_err(|fault| broken(&fault, line))?;
            if !more {
                return Ok(None);
            }
            // A line with nothing in it is not a record.
            if self.record.len() > 1 || self.record.get(0).is_some_and(|cell| !cell.is_empty()) {
                break;
            }
        }
        let line = self.record.position().map_or(line, |at| at.line() + self.lag);
        Ok(Some(View { record: &self.record, columns: &self.columns, line }))
    }
}

/// Why the CSV reader stopped.
fn broken(fault: &csv::Error, line: u64) -> Unreadable {
    match fault.kind() {
        csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::FileTooLarge => {
            Unreadable::TooLong { line, limit: RECORD_BYTES_MAX }
        }
        csv::ErrorKind::Io(io) => Unreadable::Read { line, why: io.kind().to_string() },
        _ => Unreadable::Read { line, why: "it is not CSV".into() },
    }
}

/// Refuses to feed one record without end. The reader's own buffer makes the limit inexact, not open.
struct Metered<R> {
    inner: R,
    given: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.given.get() > RECORD_BYTES_MAX {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let count = self.inner.read(into)?;
        self.given.set(self.given.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// One record, borrowed from the reader.
#[derive(Clone, Copy)]
pub struct View<'a> {
    record: &'a ByteRecord,
    columns: &'a Columns,
    /// The line on which it begins, from 1.
    pub line: u64,
}

impl<'a> View<'a> {
    /// A record that was taken off its reader.
    pub fn of(record: &'a ByteRecord, columns: &'a Columns, line: u64) -> Self {
        Self { record, columns, line }
    }

    /// The record, to be kept.
    pub fn record(&self) -> ByteRecord {
        self.record.clone()
    }

    /// A cell without surrounding space; empty when the column is absent or its bytes are not text.
    pub fn text(&self, column: &str) -> &'a str {
        let cell = self.columns.at(column).and_then(|at| self.record.get(at)).unwrap_or_default();
        std::str::from_utf8(cell).map_or("", str::trim)
    }

    /// A GUID cell, normalised; empty when it is blank or not a GUID.
    pub fn guid(&self, column: &str) -> String {
        guid(self.text(column)).unwrap_or_default()
    }

    /// True when the record does not have a cell for each header, or a cell is not UTF-8 text.
    pub fn is_damaged(&self) -> bool {
        self.record.len() != self.columns.known.len()
            || self.record.iter().any(|cell| cell.contains(&0) || std::str::from_utf8(cell).is_err())
    }

    /// The known cells that are not blank, GUIDs normalised. A damaged record also keeps its bytes.
    pub fn cells(&self) -> Map<String, Value> {
        let mut cells = Map::new();
        for (at, name) in self.columns.known.iter().enumerate() {
            let Some(name) = name else { continue };
            let Ok(text) = std::str::from_utf8(self.record.get(at).unwrap_or_default()) else { continue };
            if text.trim().is_empty() || text.contains('\0') {
                continue;
            }
            let value = if name.ends_with("Guid") { guid(text) } else { None };
            cells.insert((*name).to_owned(), Value::String(value.unwrap_or_else(|| text.to_owned())));
        }
        if self.is_damaged() {
            cells.insert(DAMAGED.to_owned(), Value::String(self.raw()));
        }
        cells
    }

    /// The record's bytes, written again as CSV, in base64.
    fn raw(&self) -> String {
        use base64::Engine as _;
        let mut out = csv::Writer::from_writer(Vec::new());
        // Writing to memory does not fail; an empty text would only mean that nothing was kept.
        let _ = out.write_byte_record(self.record);
        let bytes = out.into_inner().unwrap_or_default();
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rows(text: &[u8]) -> Rows<&[u8]> {
        Rows::open(Table::UserInRole, text).unwrap()
    }

    #[test]
    fn quotes_commas_line_ends_and_backslashes_are_text() {
        let mut rows =
            rows(b"\xef\xbb\xbfUserInRoleGuid,Surname,Title\r\n{A},\"O\"\"Neil, \r\nA\\\",\\\r\n\r\n{B},\xc3\xa9,\r\n");
        let first = rows.next_row().unwrap().unwrap();
        assert_eq!((first.text("Surname"), first.text("Title"), first.line), ("O\"Neil, \r\nA\\", "\\", 2));
        let second = rows.next_row().unwrap().unwrap();
        assert_eq!(second.text("Surname"), "é");
        assert!(!second.cells().contains_key("Title"));
        assert!(rows.next_row().unwrap().is_none());
    }

    #[test]
    fn bytes_that_are_not_utf8_and_ragged_records_are_damaged_and_kept() {
        let mut rows = rows(b"UserInRoleGuid,Surname\n{A},caf\xe9\n{B}\n{C},x\0y\n{D},fine\n");
        for _ in 0..3 {
            let row = rows.next_row().unwrap().unwrap();
            assert!(row.is_damaged());
            assert!(row.cells().contains_key(DAMAGED));
            assert!(!row.cells().contains_key("Surname"));
        }
        assert!(!rows.next_row().unwrap().unwrap().is_damaged());
    }

    #[test]
    fn a_quote_left_open_ends_the_file_not_the_memory() {
        let endless = b"UserInRoleGuid,Surname\n{A},\"".chain(std::io::repeat(b'x'));
        let mut rows = Rows::open(Table::UserInRole, endless).unwrap();
        assert!(matches!(rows.next_row().err(), Some(Unreadable::TooLong { .. })));
    }

    #[test]
    fn nothing_and_utf16_are_unreadable() {
        assert!(Rows::open(Table::Patient, &b""[..]).is_err());
        assert!(Rows::open(Table::Patient, &b"\xff\xfeP\0a\0"[..]).is_err());
        assert!(Rows::open(Table::Patient, &b"PK\x03\x04"[..]).is_err());
    }
}
