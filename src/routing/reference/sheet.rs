//! A place's CSV file as lines: rows can be changed and added, all else - comments, the order, the
//! way in which a line is written - stays as it was.

use std::collections::BTreeMap;

use crate::config::Fault;

/// A file's lines.
#[derive(Debug, Clone)]
pub struct Sheet {
    columns: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
enum Line {
    /// A comment, the header, an empty line.
    Kept(String),
    /// A row, with its text while nobody has changed it.
    Row { cells: Vec<String>, text: Option<String> },
}

impl Sheet {
    /// Reads a file; an empty one becomes a header of `columns`.
    ///
    /// # Errors
    /// A row that is not one line, or that does not have the header's length.
    pub fn read(file: &str, text: &str, columns: &[&str]) -> Result<Self, Fault> {
        let fault = |line: usize, text: &str| Fault { file: file.to_owned(), line, text: text.to_owned() };
        let mut sheet = Self { columns: Vec::new(), lines: Vec::new() };
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                sheet.lines.push(Line::Kept(line.to_owned()));
                continue;
            }
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
            let record =
                reader.records().next().and_then(Result::ok).ok_or_else(|| fault(at + 1, "not one CSV row"))?;
            let cells: Vec<String> = record.iter().map(|cell| cell.trim().to_owned()).collect();
            if sheet.columns.is_empty() {
                sheet.columns = cells;
                sheet.lines.push(Line::Kept(line.to_owned()));
            } else if cells.len() == sheet.columns.len() {
                sheet.lines.push(Line::Row { cells, text: Some(line.to_owned()) });
            } else {
                return Err(fault(at + 1, "does not have as many cells as the header"));
            }
        }
        if sheet.columns.is_empty() {
            sheet.columns = columns.iter().map(|column| (*column).to_owned()).collect();
            sheet.lines.push(Line::Kept(columns.join(",")));
        }
        match columns.iter().find(|column| !sheet.columns.iter().any(|name| name == *column)) {
            Some(missing) => Err(fault(1, &format!("has no column {missing}"))),
            None => Ok(sheet),
        }
    }

    /// The rows, by their place among the lines.
    pub fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.lines.iter().enumerate().filter(|(_, line)| matches!(line, Line::Row { .. })).map(|(at, _)| at)
    }

    /// A cell of a row; `""` where there is none.
    pub fn cell(&self, row: usize, column: &str) -> &str {
        let index = self.columns.iter().position(|name| name == column);
        match (self.lines.get(row), index) {
            (Some(Line::Row { cells, .. }), Some(index)) => &cells[index],
            _ => "",
        }
    }

    /// Changes a cell of a row.
    pub fn set(&mut self, row: usize, column: &str, value: &str) {
        let index = self.columns.iter().position(|name| name == column);
        if let (Some(Line::Row { cells, text }), Some(index)) = (self.lines.get_mut(row), index)
            && cells[index] != value
        {
            value.clone_into(&mut cells[index]);
            *text = None;
        }
    }

    /// Adds rows: each after the row that it is given with, or at the end.
    #[allow(clippy::type_complexity)] // a place, and cells by the name of their column
    pub fn add(&mut self, rows: Vec<(Option<usize>, Vec<(&str, String)>)>) {
        let mut after: BTreeMap<usize, Vec<Line>> = BTreeMap::new();
        for (place, cells) in rows {
            let at = place.unwrap_or(self.lines.len());
            let cell = |column: &String| cells.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value);
            let cells = self.columns.iter().map(|column| cell(column).to_owned()).collect();
            after.entry(at).or_default().push(Line::Row { cells, text: None });
        }
        let mut lines = Vec::with_capacity(self.lines.len());
        for (at, line) in std::mem::take(&mut self.lines).into_iter().enumerate() {
            lines.push(line);
            lines.extend(after.remove(&at).into_iter().flatten());
        }
        lines.extend(after.into_values().flatten());
        self.lines = lines;
    }

    /// Takes rows out.
    pub fn remove(&mut self, rows: &[usize]) {
        let mut at = 0;
        self.lines.retain(|_| {
            at += 1;
            !rows.contains(&(at - 1))
        });
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Kept(line) | Line::Row { text: Some(line), .. } => text.push_str(line),
                Line::Row { cells, text: None } => text.push_str(&written(cells)),
            }
            text.push('\n');
        }
        text
    }
}

fn written(cells: &[String]) -> String {
    let quoted = |cell: &String| match cell.contains([',', '"', '\n']) || cell.starts_with('#') {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.clone(),
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_as_it_was() {
        let text = "# a note\nods,name,valid_to\nA1,\"Two, Three\" ,\n\n# more\nA2,x,2020-01-01\n";
        let mut sheet = Sheet::read("f", text, &["ods", "valid_to"]).unwrap();
        assert_eq!(sheet.text(), text);
        let rows: Vec<usize> = sheet.rows().collect();
        assert_eq!(sheet.cell(rows[0], "name"), "Two, Three");
        sheet.set(rows[0], "valid_to", "2021-01-01");
        sheet.add(vec![(Some(rows[0]), vec![("ods", "A1".into()), ("name", "say \"so\"".into())])]);
        assert_eq!(
            sheet.text(),
            "# a note\nods,name,valid_to\nA1,\"Two, Three\",2021-01-01\nA1,\"say \"\"so\"\"\",\n\n# more\nA2,x,2020-01-01\n"
        );
        assert!(Sheet::read("f", "ods\nA1,2\n", &["ods"]).is_err());
        assert!(Sheet::read("f", "name\n", &["ods"]).is_err());
        assert_eq!(Sheet::read("f", "", &["ods"]).unwrap().text(), "ods\n");
    }
}
