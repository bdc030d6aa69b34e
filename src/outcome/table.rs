//! The compiled-in CSV tables of this room, row by row with their lines.

use crate::config::Fault;

/// Each row's line and trimmed cells, as many as the header has. A row that cannot be read, and a
/// header that is another, are faults.
pub fn rows(file: &str, text: &str, header: &[&str], faults: &mut Vec<Fault>) -> Vec<(usize, Vec<String>)> {
    let mut fault = |line: usize, text: String| faults.push(Fault { file: file.to_owned(), line, text });
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    if reader.headers().is_ok_and(|found| found != header.to_vec()) {
        fault(1, format!("the columns must be {}", header.join(",")));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
                let cell = |i: usize| record.get(i).unwrap_or("").trim().to_owned();
                rows.push((line, (0..header.len()).map(cell).collect()));
            }
            Err(why) => {
                let line = why.position().map_or(0, csv::Position::line);
                fault(usize::try_from(line).unwrap_or(0), "the row cannot be read as CSV".to_owned());
            }
        }
    }
    rows
}
