//! Writing to stdout and stderr. A reader that has gone away (`| head`) ends the command quietly.

use std::io::{BufWriter, ErrorKind, Write};

/// Writes text and a line end to stdout.
pub fn say(text: impl AsRef<str>) {
    write(text.as_ref().as_bytes());
    write(b"\n");
}

/// Writes bytes to stdout as they are.
pub fn write(bytes: &[u8]) {
    if let Err(why) = std::io::stdout().lock().write_all(bytes) {
        // Nobody reads: there is nothing left to do. Anything else (a full disk) is a fault.
        std::process::exit(if why.kind() == ErrorKind::BrokenPipe { 0 } else { 3 });
    }
}

/// Writes a value as indented JSON, as it is made: the text of a large one takes no memory.
pub fn json(value: &impl serde::Serialize) {
    let mut out = BufWriter::new(Lines);
    if let Err(why) = serde_json::to_writer_pretty(&mut out, value) {
        warn(&format!("cannot be shown as JSON: {why}"));
    }
    drop(writeln!(out).and_then(|()| out.flush()));
}

/// Writes text and a line end to stderr; that nobody reads it changes nothing.
pub fn warn(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Lays rows out in columns as wide as their widest cell; the last is not padded.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.trim_end().to_owned()
}

/// Stdout for those who write to a [`Write`]; ends as [`write`] does.
#[derive(Debug)]
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().flush()
    }
}

/// A list that is written a page at a time, so that one of any length takes no more memory than a
/// page: a JSON array with a row a line, or a table whose heading stands once.
#[derive(Debug)]
pub struct Pages {
    as_json: bool,
    begun: bool,
}

impl Pages {
    /// An empty list; nothing is written yet.
    pub const fn new(as_json: bool) -> Self {
        Self { as_json, begun: false }
    }

    /// Writes a page: each row as a machine and as a person sees it.
    pub fn write(&mut self, heading: &[&str], rows: impl Iterator<Item = (serde_json::Value, Vec<String>)>) {
        let mut lines = Vec::new();
        for (value, cells) in rows {
            if self.as_json {
                write(if self.begun { b",\n  " } else { b"[\n  " });
                write(value.to_string().as_bytes());
            } else {
                if !self.begun {
                    lines.push(heading.iter().map(|cell| (*cell).to_owned()).collect());
                }
                lines.push(cells);
            }
            self.begun = true;
        }
        if !lines.is_empty() {
            say(table(&lines));
        }
    }

    /// Ends the list; `none` is said to a person where there was no row.
    pub fn end(self, none: &str) {
        match (self.as_json, self.begun) {
            (true, false) => say("[]"),
            (true, true) => say("\n]"),
            (false, false) => say(none),
            (false, true) => {}
        }
    }
}
