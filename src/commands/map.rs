//! `fingerpost map`: one input through one mapping; nothing is stored.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, Options, open, out};
use crate::fhir::bundle;
use crate::fhir::wire::{self, Form};
use crate::mapping::{Mappings, SourceTree, tree_from_text};
use crate::opening::Reference;
use crate::parsing::message;

/// The largest file that is read, in bytes: what the HTTP door takes by default.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Map one input and store nothing; print the FHIR Bundle
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost map --mapping emis-extract inputs.yaml --explain\n\n\
                  FILE holds a mapping's inputs as YAML or JSON (or a case with them under `given`), or, \
                  for the mapping bars, a FHIR Bundle in JSON or XML.")]
pub struct Map {
    /// The mapping: a folder under mappings/
    #[arg(long, value_name = "NAME")]
    mapping: String,
    /// The input
    file: PathBuf,
    /// Print instead where each element came from and what became of each source column
    #[arg(long)]
    explain: bool,
}

impl Map {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let loaded = open::loaded(options)?;
        let mappings = Reference::load(&loaded.config, &|path| loaded.at(path))?.mappings;
        if !mappings.names().any(|name| name == self.mapping) {
            let names: Vec<_> = mappings.names().collect();
            return Err(Failure::usage(format!(
                "there is no mapping '{}'; there are {}",
                self.mapping,
                names.join(", ")
            )));
        }
        let tree = read(&self.mapping, &self.file)?;
        self.show(&mappings, &tree, options.json)
    }

    fn show(&self, mappings: &Mappings, tree: &SourceTree, as_json: bool) -> Result<(), Failure> {
        let mapped = mappings.map(&self.mapping, tree)?;
        if self.explain {
            let explanation = mappings.explain(&self.mapping, tree, &mapped)?;
            if as_json { out::json(&explanation.to_json()) } else { out::say(explanation.to_text().trim_end()) }
        } else {
            let review: Vec<Value> = mapped
                .review
                .iter()
                .map(|review| json!({"row": review.row, "cause": review.cause, "text": review.text}))
                .collect();
            let bundle = bundle::collection(&mapped.resources);
            if as_json { out::json(&json!({"bundle": bundle, "review": review})) } else { out::json(&bundle) }
        }
        // As with `ingest`, what needs review is accounted for: the command did what it was asked.
        for review in &mapped.review {
            out::warn(&format!("needs review: {} [{}]", review.text, review.cause.word()));
        }
        Ok(())
    }
}

fn read(mapping: &str, file: &Path) -> Result<SourceTree, Failure> {
    let bytes = read_bounded(file)?;
    let first = bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf));
    let is_bundle = serde_json::from_slice::<Value>(&bytes).is_ok_and(|value| value["resourceType"].is_string());
    if first == Some(b'<') || is_bundle {
        let form = if first == Some(b'<') { Form::Xml } else { Form::Json };
        let bundle = wire::parse(&bytes, form)?;
        let origin = message::Origin { sender: "", correlation: "" };
        return Ok(message::parse(&bundle, origin)?.tree);
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::input(format!("{}: is not UTF-8 text ({mapping})", file.display())))?;
    Ok(tree_from_text(&text)?)
}

fn read_bounded(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |why: std::io::Error| Failure::input(format!("{}: {why}", file.display()));
    let mut bytes = Vec::new();
    std::fs::File::open(file).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Failure::input(format!("{}: larger than {BYTES_MAX} bytes", file.display())));
    }
    Ok(bytes)
}
