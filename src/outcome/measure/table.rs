//! Reading and checking the table of measures and its conversions, every fault with its line.

use super::{Better, Items, LOCAL, Measures, Missing, Number, Part, Scale};
use crate::config::Fault;
use crate::fhir::ids::{SNOMED, SnomedCode};

/// The columns, in order.
const COLUMNS: [&str; 18] = [
    "id", "measure", "part", "display", "code", "system", "also", "range", "number", "items", "missing", "better",
    "version", "link", "grade", "owner", "reviewed", "why",
];
/// Items that one measure may have.
const ITEMS_MAX: usize = 100;

struct Reader<'a> {
    file: &'a str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, line: usize, text: impl Into<String>) {
        self.faults.push(Fault { file: self.file.to_owned(), line, text: text.into() });
    }

    /// The rows of a CSV text with their lines.
    fn rows(&mut self, text: &str, columns: &[&str]) -> Vec<(usize, csv::StringRecord)> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        if !reader.headers().is_ok_and(|header| header == columns.to_vec()) {
            self.fault(1, format!("the columns must be {}", columns.join(",")));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            match record {
                Ok(record) => {
                    let line = record.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
                    if record.len() == columns.len() {
                        rows.push((line, record));
                    } else {
                        self.fault(line, format!("has {} cells, not {}", record.len(), columns.len()));
                    }
                }
                Err(why) => {
                    let line = why.position().map_or(0, csv::Position::line);
                    self.fault(usize::try_from(line).unwrap_or(0), "the row cannot be read as CSV");
                }
            }
        }
        rows
    }

    /// The meaning of a word; a fault and the first meaning where it has none.
    fn word<T: Copy>(&mut self, line: usize, column: &str, word: &str, known: &[(&str, T)]) -> T {
        if let Some((_, meaning)) = known.iter().find(|(name, _)| *name == word) {
            return *meaning;
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        self.fault(line, format!("{column} '{word}' is not one of {}", names.join(", ")));
        known[0].1
    }

    fn scale(&mut self, line: usize, record: &csv::StringRecord) -> Scale {
        let cell = |column: &str| {
            let at = COLUMNS.iter().position(|known| *known == column);
            at.and_then(|at| record.get(at)).unwrap_or("").trim()
        };
        for column in ["id", "measure", "display", "code", "system", "grade", "owner", "why"] {
            if cell(column).is_empty() {
                self.fault(line, format!("{column} is empty"));
            }
        }
        if cell("reviewed").parse::<jiff::civil::Date>().is_err() {
            self.fault(line, "reviewed is not a date such as 2026-01-31");
        }
        let parts = [
            ("sum", Part::Sum),
            ("stated", Part::Stated),
            ("panel", Part::Panel),
            ("group", Part::Group),
            ("item", Part::Item),
            ("converted", Part::Converted),
        ];
        let missing = [
            ("-", Missing::Apart),
            ("refuse", Missing::Refuse),
            ("no-total", Missing::NoTotal),
            ("apart", Missing::Apart),
        ];
        let better = [
            ("-", Better::Unstated),
            ("higher", Better::Higher),
            ("lower", Better::Lower),
            ("unstated", Better::Unstated),
        ];
        let scale = Scale {
            id: cell("id").to_owned(),
            measure: cell("measure").to_owned(),
            part: self.word(line, "part", cell("part"), &parts),
            display: cell("display").to_owned(),
            code: cell("code").to_owned(),
            system: cell("system").to_owned(),
            also: self.also(line, cell("also")),
            range: self.range(line, cell("range")),
            is_whole: self.word(line, "number", cell("number"), &[("whole", true), ("decimal", false)]),
            items: self.items(line, cell("items")),
            missing: self.word(line, "missing", cell("missing"), &missing),
            better: self.word(line, "better", cell("better"), &better),
            needs_version: self.word(line, "version", cell("version"), &[("free", false), ("named", true)]),
            link: cell("link").split_whitespace().map(str::to_owned).collect(),
        };
        // What only a memory vouches for is not a fact to check a person's score by.
        if cell("grade") == "D" && (scale.range.is_some() || scale.better != Better::Unstated) {
            self.fault(line, "grade D: neither a range nor a direction is shipped");
        }
        self.codes(line, &scale);
        scale
    }

    fn codes(&mut self, line: usize, scale: &Scale) {
        let own = [(scale.system.clone(), scale.code.clone())];
        for (_, code) in own.iter().chain(&scale.also).filter(|(system, _)| system == SNOMED) {
            if let Err(why) = SnomedCode::parse(code) {
                self.fault(line, format!("SNOMED CT id {code} {why}"));
            }
        }
        match scale.system.as_str() {
            SNOMED => {}
            LOCAL if scale.code == scale.id => {}
            LOCAL => self.fault(line, "a local code is the line's id"),
            _ => self.fault(line, format!("system must be {SNOMED} or {LOCAL}")),
        }
        let plain = |word: &String| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !scale.link.iter().all(plain) {
            self.fault(line, "link is words of lower-case letters and digits");
        }
        if scale.link.is_empty() != (scale.part == Part::Converted) {
            self.fault(line, "link: every line but a converted one is named by a word");
        }
    }

    fn also(&mut self, line: usize, text: &str) -> Vec<(String, String)> {
        let mut codes = Vec::new();
        for one in text.split_whitespace() {
            match one.split_once('|') {
                Some((system, code)) => codes.push((system.to_owned(), code.to_owned())),
                None => self.fault(line, format!("also: '{one}' is not SYSTEM|CODE")),
            }
        }
        codes
    }

    /// `7 to 35`, or nothing.
    fn range(&mut self, line: usize, text: &str) -> Option<(Number, Number)> {
        if text.is_empty() {
            return None;
        }
        let ends = text.split_once(" to ").and_then(|(low, high)| Some((Number::parse(low)?, Number::parse(high)?)));
        let good = ends.filter(|(low, high)| low < high);
        if good.is_none() {
            self.fault(line, format!("'{text}' is not a range such as 7 to 35"));
        }
        good
    }

    /// `7 of 1 to 5`, `3` where the items' range is not confirmed, or nothing.
    fn items(&mut self, line: usize, text: &str) -> Option<Items> {
        if text.is_empty() {
            return None;
        }
        let (count, range) = text.split_once(" of ").unwrap_or((text, ""));
        match count.parse::<usize>() {
            Ok(count) if (1..=ITEMS_MAX).contains(&count) => Some(Items { count, range: self.range(line, range) }),
            _ => {
                self.fault(line, format!("'{text}' is not items such as 7 of 1 to 5"));
                None
            }
        }
    }

    /// What lines must be true of each other.
    fn between(&mut self, scales: &[(usize, Scale)]) {
        for (i, (line, scale)) in scales.iter().enumerate() {
            let earlier = &scales[..i];
            if earlier.iter().any(|(_, other)| other.id == scale.id) {
                self.fault(*line, format!("'{}' has a line already", scale.id));
            }
            let same = |other: &Scale| other.system == scale.system && other.code == scale.code;
            if earlier.iter().any(|(_, other)| same(other)) {
                self.fault(*line, format!("the code {} has a line already", scale.code));
            }
            let heads = scales.iter().map(|(_, head)| head).filter(|head| head.id == scale.measure);
            let head = heads.clone().find(|head| head.id != scale.id);
            match scale.part {
                Part::Item if !head.is_some_and(|head| matches!(head.part, Part::Panel | Part::Group)) => {
                    self.fault(*line, format!("there is no panel or group '{}'", scale.measure));
                }
                Part::Converted if head.is_none_or(|head| head.part != Part::Sum) => {
                    self.fault(*line, format!("there is no sum '{}'", scale.measure));
                }
                Part::Panel | Part::Group => {
                    let own = scales.iter().filter(|(_, item)| item.part == Part::Item && item.measure == scale.id);
                    let count = own.count();
                    if scale.items.is_none_or(|items| items.count != count) {
                        self.fault(*line, format!("items says another number than the {count} item lines"));
                    }
                }
                Part::Sum => self.sum(*line, scale),
                _ => {}
            }
        }
    }

    /// A total's range is what its items can sum to.
    fn sum(&mut self, line: usize, scale: &Scale) {
        let Some(items) = scale.items else { return self.fault(line, "a sum has items") };
        let many = |one: Number| (0..items.count).fold(Number::ZERO, |sum, _| sum + one);
        let reach = items.range.map(|(low, high)| (many(low), many(high)));
        if reach.is_none() || reach != scale.range {
            self.fault(line, "range is not what the items can sum to");
        }
    }

    /// A conversion has each raw total once, and its scores rise with them.
    fn conversion(&mut self, scales: &[Scale], id: &str, text: &str) -> Vec<(String, Number, String)> {
        let Some(converted) = scales.iter().find(|scale| scale.id == id && scale.part == Part::Converted) else {
            self.fault(1, format!("no converted line '{id}' uses it"));
            return Vec::new();
        };
        let total = scales.iter().find(|scale| scale.id == converted.measure);
        let mut next = total.and_then(|total| total.range).map(|(low, _)| low);
        let mut out: Vec<(String, Number, String)> = Vec::new();
        let mut before = None;
        for (line, record) in self.rows(text, &["raw", "converted"]) {
            let (raw, score) = (record.get(0).and_then(Number::parse), record.get(1).and_then(Number::parse));
            let (Some(raw), Some(score)) = (raw, score) else {
                self.fault(line, "raw and converted are numbers");
                continue;
            };
            if next != Some(raw) {
                self.fault(line, "the raw totals must follow each other from the least to the most");
            }
            if before.is_some_and(|before| score <= before) {
                self.fault(line, "the converted scores must rise");
            }
            next = Number::whole(1).map(|one| raw + one);
            before = Some(score);
            out.push((id.to_owned(), raw, record.get(1).unwrap_or("").to_owned()));
        }
        if out.last().map(|(_, raw, _)| *raw) != total.and_then(|total| total.range).map(|(_, high)| high) {
            self.fault(1, "it does not reach the highest raw total");
        }
        out
    }
}

/// Reads the table and its conversions, `(id, file, text)` each.
///
/// # Errors
/// Every fault with its file and line.
pub fn parse(file: &str, text: &str, conversions: &[(&str, &str, &str)]) -> Result<Measures, Vec<Fault>> {
    let mut reader = Reader { file, faults: Vec::new() };
    let rows = reader.rows(text, &COLUMNS);
    let scales: Vec<(usize, Scale)> = rows.iter().map(|(line, record)| (*line, reader.scale(*line, record))).collect();
    reader.between(&scales);
    let mut faults = reader.faults;
    let scales: Vec<Scale> = scales.into_iter().map(|(_, scale)| scale).collect();
    let mut measures = Measures { scales, conversions: Vec::new() };
    for (id, file, text) in conversions {
        let mut reader = Reader { file, faults: Vec::new() };
        measures.conversions.extend(reader.conversion(&measures.scales, id, text));
        faults.extend(reader.faults);
    }
    let has = |scale: &&Scale| !measures.conversions.iter().any(|(id, ..)| *id == scale.id);
    if let Some(bare) = measures.scales.iter().filter(|scale| scale.part == Part::Converted).find(has) {
        faults.push(Fault { file: file.to_owned(), line: 1, text: format!("'{}' has no conversion table", bare.id) });
    }
    if faults.is_empty() { Ok(measures) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::super::{CONVERSIONS, FILE, check};
    use super::*;

    #[test]
    fn the_shipped_table_is_whole() {
        assert_eq!(check(), []);
    }

    #[test]
    fn faults_have_their_line() {
        let text = FILE.1;
        let faulty = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            let faults = parse("f.csv", &text.replacen(from, to, 1), &CONVERSIONS).err().unwrap_or_default();
            faults.into_iter().map(|fault| format!("{}:{}", fault.line, fault.text)).collect::<Vec<_>>().join("; ")
        };
        assert!(faulty("718426000", "718426001").starts_with("4:SNOMED CT id"));
        assert!(faulty(",14 to 70,", ",14 to 71,").starts_with("4:range is not what"));
        assert!(faulty("ons4-anxiety,ons4,", "ons4-anxiety,ons5,").contains("there is no panel or group 'ons5'"));
        assert!(faulty(",panel,MYCaW", ",panle,MYCaW").contains("part 'panle' is not one of"));
        assert!(faulty("unstated,named,pamlevel", "lower,named,pamlevel").contains("grade D"));
        assert!(faulty(",2026-11-25,", ",soon,").starts_with("2:reviewed"));
    }

    #[test]
    fn a_conversion_must_be_whole_and_rise() {
        let (id, file, table) = CONVERSIONS[0];
        let faulty = |from: &str, to: &str| {
            let broken = table.replacen(from, to, 1);
            parse(FILE.0, FILE.1, &[(id, file, &broken)]).err().unwrap_or_default().len()
        };
        assert_eq!(faulty("8,9.51\n", ""), 1);
        assert_eq!(faulty("9.51", "11.25"), 1);
        assert_eq!(faulty("35,35.00\n", ""), 1);
        assert!(parse(FILE.0, FILE.1, &[]).is_err());
    }
}
