//! One sheet of an .xlsx workbook as rows of cells: enough of ECMA-376 for a published table.
//! <https://ecma-international.org/publications-and-standards/standards/ecma-376/>
//!
//! Not here: formulas (their cached values are read), formats, dates (a date is its day number).

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::TableRows;

/// The largest part of the workbook that is read, in bytes, unpacked.
const PART_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// The most rows of a sheet.
const ROWS_MAX: usize = 100_000;
/// The most columns of a row.
const COLUMNS_MAX: usize = 256;

/// The rows of the sheet with that name.
///
/// # Errors
/// In words: what is not as a workbook must be.
pub fn rows(bytes: &[u8], sheet: &str) -> Result<TableRows, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| "not a workbook: damaged".to_owned())?;
    let workbook = part(&mut archive, "xl/workbook.xml")?.ok_or("not a workbook: it has no xl/workbook.xml")?;
    let relation = relation_of(&workbook, sheet)?;
    let relations = part(&mut archive, "xl/_rels/workbook.xml.rels")?.unwrap_or_default();
    let target = target_of(&relations, &relation).ok_or("not a workbook: the sheet is named but not there")?;
    let path = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
    let strings = shared_strings(&part(&mut archive, "xl/sharedStrings.xml")?.unwrap_or_default())?;
    let text = part(&mut archive, &path)?.ok_or("not a workbook: the sheet is named but not there")?;
    cells(&text, &strings)
}

fn part(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Option<String>, String> {
    let Ok(file) = archive.by_name(name) else { return Ok(None) };
    let mut text = String::new();
    let read = file.take(PART_BYTES_MAX + 1).read_to_string(&mut text);
    match read {
        Ok(count) if count as u64 <= PART_BYTES_MAX => Ok(Some(text)),
        Ok(_) => Err(format!("{name} is larger than {} MiB", PART_BYTES_MAX >> 20)),
        Err(_) => Err(format!("{name} cannot be read")),
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|one| one.key.local_name().as_ref() == name)?;
    found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok().map(|value| value.into_owned())
}

/// Calls `take` with each event of a part.
fn each(text: &str, mut take: impl FnMut(&Event<'_>)) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return Ok(()),
            Ok(Event::DocType(_)) => return Err("a workbook part has a document type".to_owned()),
            Ok(event) => take(&event),
            Err(_) => return Err("a workbook part is not XML".to_owned()),
        }
    }
}

fn relation_of(workbook: &str, sheet: &str) -> Result<String, String> {
    let (mut found, mut names) = (None, Vec::new());
    each(workbook, |event| {
        if let Event::Start(tag) | Event::Empty(tag) = event
            && tag.local_name().as_ref() == "sheet"
        {
            let name = attribute(tag, "name").unwrap_or_default();
            if name.trim().eq_ignore_ascii_case(sheet) {
                found = attribute(tag, "id");
            }
            names.push(name);
        }
    })?;
    found.ok_or_else(|| format!("the workbook has no sheet '{sheet}'; it has {}", names.join(", ")))
}

fn target_of(relations: &str, id: &str) -> Option<String> {
    let mut found = None;
    each(relations, |event| {
        if let Event::Start(tag) | Event::Empty(tag) = event
            && attribute(tag, "Id").as_deref() == Some(id)
        {
            found = attribute(tag, "Target");
        }
    })
    .ok()?;
    found
}

fn shared_strings(text: &str) -> Result<Vec<String>, String> {
    let (mut strings, mut inside, mut phonetic) = (Vec::<String>::new(), false, false);
    each(text, |event| match event {
        Event::Start(tag) if tag.local_name().as_ref() == "si" => strings.push(String::new()),
        Event::Start(tag) if tag.local_name().as_ref() == "rPh" => phonetic = true,
        Event::End(tag) if tag.local_name().as_ref() == "rPh" => phonetic = false,
        Event::Start(tag) if tag.local_name().as_ref() == "t" => inside = !phonetic,
        Event::End(tag) if tag.local_name().as_ref() == "t" => inside = false,
        Event::Text(words) if inside => append(strings.last_mut(), &words.xml10_content()),
        Event::GeneralRef(name) if inside => append(strings.last_mut(), &reference(&name.xml10_content())),
        _ => {}
    })?;
    Ok(strings)
}

fn append(to: Option<&mut String>, words: &str) {
    if let Some(to) = to {
        to.push_str(words);
    }
}

/// The five named characters and numbered ones.
fn reference(name: &str) -> String {
    let numbered = |digits: &str, base| u32::from_str_radix(digits, base).ok().and_then(char::from_u32);
    let found = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            name.strip_prefix("#x").and_then(|hex| numbered(hex, 16)).or_else(|| numbered(name.strip_prefix('#')?, 10))
        }
    };
    found.map(String::from).unwrap_or_default()
}

fn cells(text: &str, strings: &[String]) -> Result<TableRows, String> {
    let mut rows: TableRows = Vec::new();
    let (mut column, mut kind, mut value, mut inside) = (0_usize, String::new(), String::new(), false);
    each(text, |event| match event {
        Event::Start(tag) if tag.local_name().as_ref() == "row" && rows.len() < ROWS_MAX => {
            let line = attribute(tag, "r").and_then(|r| r.parse().ok()).unwrap_or(rows.len() + 1);
            rows.push((line, Vec::new()));
            column = 0;
        }
        Event::Start(tag) if tag.local_name().as_ref() == "c" => {
            column = attribute(tag, "r").and_then(|at| index(&at)).unwrap_or(column);
            kind = attribute(tag, "t").unwrap_or_default();
            value.clear();
        }
        Event::Start(tag) => inside = matches!(tag.local_name().as_ref(), "v" | "t"),
        Event::Text(words) if inside => value.push_str(&words.xml10_content()),
        Event::GeneralRef(name) if inside => value.push_str(&reference(&name.xml10_content())),
        Event::End(tag) if tag.local_name().as_ref() == "c" => {
            let shared = || value.parse::<usize>().ok().and_then(|at| strings.get(at)).cloned();
            let cell = if kind == "s" { shared().unwrap_or_default() } else { value.clone() };
            if let Some((_, row)) = rows.last_mut().filter(|_| column < COLUMNS_MAX) {
                row.resize(row.len().max(column + 1), String::new());
                row[column] = cell.trim().to_owned();
            }
            column += 1;
        }
        Event::End(_) => inside = false,
        _ => {}
    })?;
    rows.retain(|(_, row)| row.iter().any(|cell| !cell.is_empty()));
    Ok(rows)
}

/// `C12` is column 2.
fn index(cell: &str) -> Option<usize> {
    let letters = cell.bytes().take_while(u8::is_ascii_uppercase);
    letters.fold(None, |at: Option<usize>, letter| {
        at.map_or(Some(0), |at| Some(at + 1)).and_then(|at| at.checked_mul(26)?.checked_add(usize::from(letter - b'A')))
    })
}
