//! From a postcode to a decile of deprivation, by two files that a place names.
//!
//! Postcode to 2021 LSOA: the ONS postcode directory or a cut of it, with a column of postcodes
//! (`pcds`, `pcd7`, `pcd8` or `postcode`) and one of LSOAs (`lsoa21cd`, `lsoa21`). LSOA to decile: File 1 of
//! the English Indices of Deprivation, with `LSOA code (2021)` and a column of the overall index's
//! decile (1 is the most deprived tenth).
//! <https://www.gov.uk/government/collections/english-indices-of-deprivation>
//!
//! None is shipped, and nothing here reads files.

use std::collections::{HashMap, HashSet};

use crate::config::Fault;

/// Headers of the column of postcodes, without case, spaces and signs.
const POSTCODES: [&str; 5] = ["pcds", "pcd7", "pcd8", "pcd", "postcode"];
/// Headers of the column of LSOAs in the postcode file.
const POSTCODE_LSOAS: [&str; 3] = ["lsoa21cd", "lsoa21", "lsoacode2021"];
/// Headers of the column of LSOAs in the decile file.
const DECILE_LSOAS: [&str; 3] = ["lsoacode2021", "lsoa21cd", "lsoa21"];
/// What the header of the column of deciles begins with.
const DECILES: [&str; 3] = ["indexofmultipledeprivationimddecile", "imddecile", "decile"];

/// Postcode to decile, for the postcodes asked for.
#[derive(Debug, Clone, Default)]
pub struct Deciles {
    by_postcode: HashMap<String, u8>,
}

/// A file's path and text.
pub type Named<'a> = (&'a str, &'a str);

impl Deciles {
    /// Joins the two files for `wanted` postcodes only: the directory has millions.
    ///
    /// # Errors
    /// What is wrong with either file, with its line.
    pub fn read(postcodes: Named<'_>, deciles: Named<'_>, wanted: &HashSet<String>) -> Result<Self, Vec<Fault>> {
        let by_lsoa = lsoa_deciles(deciles).map_err(|fault| vec![fault])?;
        let (mut reader, header) = open(postcodes).map_err(|fault| vec![fault])?;
        let (of, to) = (column(postcodes.0, &header, &POSTCODES), column(postcodes.0, &header, &POSTCODE_LSOAS));
        let (of, to) = (of.map_err(|fault| vec![fault])?, to.map_err(|fault| vec![fault])?);
        let mut by_postcode = HashMap::new();
        for record in reader.records().flatten() {
            let postcode = squeezed(record.get(of).unwrap_or(""));
            if wanted.contains(&postcode)
                && let Some(decile) = by_lsoa.get(record.get(to).unwrap_or("").trim())
            {
                by_postcode.insert(postcode, *decile);
            }
        }
        Ok(Self { by_postcode })
    }

    /// The decile of a postcode, 1 to 10; `None`: not in the files.
    pub fn of(&self, postcode: &str) -> Option<u8> {
        self.by_postcode.get(&squeezed(postcode)).copied()
    }
}

/// A postcode in one way of writing: capitals, no spaces.
pub fn squeezed(postcode: &str) -> String {
    postcode.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase()
}

fn lsoa_deciles(file: Named<'_>) -> Result<HashMap<String, u8>, Fault> {
    let (mut reader, header) = open(file)?;
    let (of, to) = (column(file.0, &header, &DECILE_LSOAS)?, column(file.0, &header, &DECILES)?);
    let mut out = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|why| fault(file.0, why.position().map_or(1, |at| at.line()), "is not CSV"))?;
        let line = record.position().map_or(1, csv::Position::line);
        let decile =
            record.get(to).and_then(|cell| cell.trim().parse().ok()).filter(|decile| (1..=10).contains(decile));
        let decile = decile.ok_or_else(|| fault(file.0, line, "its decile is not a number from 1 to 10"))?;
        out.insert(record.get(of).unwrap_or("").trim().to_owned(), decile);
    }
    Ok(out)
}

type Reader<'a> = csv::Reader<&'a [u8]>;

fn open<'a>((path, text): Named<'a>) -> Result<(Reader<'a>, Vec<String>), Fault> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| fault(path, 1, "is not CSV"))?;
    let plain = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let header = header.iter().map(plain).collect();
    Ok((reader, header))
}

fn column(path: &str, header: &[String], names: &[&str]) -> Result<usize, Fault> {
    let exact = names.iter().find_map(|name| header.iter().position(|column| column == name));
    let begins = || names.iter().find_map(|name| header.iter().position(|column| column.starts_with(name)));
    exact.or_else(begins).ok_or_else(|| fault(path, 1, &format!("has no column such as {}", names[0])))
}

fn fault(path: &str, line: u64, text: &str) -> Fault {
    Fault { file: path.to_owned(), line: usize::try_from(line).unwrap_or(1), text: text.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DECILE_FILE: &str = "\u{feff}LSOA code (2021),LSOA name (2021),Index of Multiple Deprivation (IMD) Rank,\
        Index of Multiple Deprivation (IMD) Decile (where 1 is most deprived 10% of LSOAs)\nE01000001,A,1,1\nE01000002,B,9,10\n";
    const POSTCODE_FILE: &str = "pcd7,pcds,lsoa21cd\nZZ991AA,ZZ99 1AA,E01000001\nZZ991AB,ZZ99 1AB,E01000002\n";

    #[test]
    fn a_postcode_has_the_decile_of_its_area() {
        let wanted = HashSet::from(["ZZ991AA".to_owned()]);
        let read = Deciles::read(("p.csv", POSTCODE_FILE), ("d.csv", DECILE_FILE), &wanted).unwrap();
        assert_eq!((read.of("zz99 1aa"), read.of("ZZ99 1AB"), read.of("")), (Some(1), None, None));
    }

    #[test]
    fn files_of_another_shape_are_named_with_their_line() {
        let fault =
            |p: &str, d: &str| Deciles::read(("p.csv", p), ("d.csv", d), &HashSet::new()).unwrap_err()[0].to_string();
        assert_eq!(fault("a,b\n", DECILE_FILE), "p.csv:1: has no column such as pcds");
        assert_eq!(
            fault(POSTCODE_FILE, "LSOA code (2021),Rank\n"),
            "d.csv:1: has no column such as indexofmultipledeprivationimddecile"
        );
        assert_eq!(
            fault(POSTCODE_FILE, "lsoa21cd,decile\nE01000001,11\n"),
            "d.csv:2: its decile is not a number from 1 to 10"
        );
    }
}
