//! A mapping file as it was written: typed, with a line for every word, not yet checked
//! against columns, elements or tables. Unknown keys are faults here.

use marked_yaml::Node;
use marked_yaml::types::MarkedMappingNode;

use super::yaml::{self, Faults, Word};

/// One mapping file: the rows that make one kind of resource.
#[derive(Debug, Default)]
pub struct Definition {
    /// The file.
    pub file: String,
    /// `emis-extract.referral`
    pub map: Word,
    /// A whole number that grows with each signed-off change.
    pub version: Word,
    /// `fhir-r4`, or the name of the tables in the folder's `source.csv`.
    pub source: Word,
    /// The resource type made.
    pub target: Word,
    /// The list input that gives one resource an item.
    pub each: Option<Word>,
    /// `meta.profile` of the target.
    pub profile: Option<Word>,
    /// Who signs a change off.
    pub owner: Word,
    /// The inputs.
    pub inputs: Vec<Input>,
    /// The systems by which `[name]` selects in a FHIR source; the first spelling is the canonical one.
    pub systems: Vec<(Word, Vec<Word>)>,
    /// Columns that hold codes of a scheme: `code.SnomedCTConceptId: snomed`.
    pub codes: Vec<(Word, Word)>,
    /// The rows.
    pub rules: Vec<Rule>,
    /// Columns that are deliberately unused, and why.
    pub unused: Vec<(Word, Word)>,
}

/// One input of a mapping.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name in the rows.
    pub name: String,
    /// The source table or the FHIR resource type.
    pub kind: String,
    /// It may be absent.
    pub optional: bool,
    /// It is a list.
    pub many: bool,
    /// Where it is declared.
    pub line: usize,
}

/// One row: one FHIR element, one decision.
#[derive(Debug, Default)]
#[allow(missing_docs)] // The keys are documented in mappings/README.md, once.
pub struct Rule {
    pub line: usize,
    pub id: Word,
    pub to: Word,
    pub from: Vec<Word>,
    pub constant: Option<Word>,
    pub table: Option<Word>,
    pub transform: Option<Word>,
    pub with: Vec<(Word, Word)>,
    pub when: Option<Word>,
    pub unless: Vec<Word>,
    pub needs: Vec<Word>,
    pub otherwise: Option<Word>,
    pub on_missing: Option<Word>,
    pub on_unmapped: Option<Word>,
    pub on_invalid: Option<Word>,
    pub cause: Option<Word>,
    pub private: Option<bool>,
    pub why: Option<Word>,
}

/// Reads one mapping file.
pub fn read(file: &str, text: &str, faults: &mut Faults<'_>) -> Option<Definition> {
    let top = yaml::parse(text, faults)?;
    let mut made = Definition { file: file.to_owned(), ..Definition::default() };
    for (key, node) in top.iter() {
        read_key(&mut made, &yaml::word(key), node, faults);
    }
    for (name, word) in [("map", &made.map), ("version", &made.version), ("source", &made.source)]
        .into_iter()
        .chain([("target", &made.target), ("owner", &made.owner)])
    {
        if word.text.is_empty() {
            faults.add(1, format!("the key '{name}' is missing"));
        }
    }
    if made.rules.is_empty() {
        faults.add(1, "the file has no rules");
    }
    Some(made)
}

fn read_key(made: &mut Definition, key: &Word, node: &Node, faults: &mut Faults<'_>) {
    match key.text.as_str() {
        "map" => made.map = yaml::scalar(key, node, faults).unwrap_or_default(),
        "version" => made.version = yaml::scalar(key, node, faults).unwrap_or_default(),
        "source" => made.source = yaml::scalar(key, node, faults).unwrap_or_default(),
        "target" => made.target = yaml::scalar(key, node, faults).unwrap_or_default(),
        "owner" => made.owner = yaml::scalar(key, node, faults).unwrap_or_default(),
        "each" => made.each = yaml::scalar(key, node, faults),
        "profile" => made.profile = yaml::scalar(key, node, faults),
        "inputs" => made.inputs = yaml::pairs(key, node, faults).into_iter().map(input).collect(),
        "systems" => made.systems = lists(key, node, faults),
        "codes" => made.codes = yaml::pairs(key, node, faults),
        "unused" => made.unused = yaml::pairs(key, node, faults),
        "rules" => match node.as_sequence() {
            Some(rows) => made.rules = rows.iter().filter_map(|row| read_row(row, faults)).collect(),
            None => faults.add(key.line, "'rules' must be a list of rows"),
        },
        other => faults.add(key.line, format!("unknown key '{other}'")),
    }
}

fn input((name, kind): (Word, Word)) -> Input {
    let optional = kind.text.ends_with('?');
    let many = kind.text.ends_with('*');
    let bare = kind.text.trim_end_matches(['?', '*']).to_owned();
    Input { name: name.text, kind: bare, optional: optional || many, many, line: name.line }
}

fn lists(key: &Word, node: &Node, faults: &mut Faults<'_>) -> Vec<(Word, Vec<Word>)> {
    let Some(mapping) = node.as_mapping() else {
        faults.add(key.line, format!("'{}' must be a mapping of names to lists", key.text));
        return Vec::new();
    };
    mapping
        .iter()
        .map(|(name, node)| {
            let name = yaml::word(name);
            let spellings = yaml::scalars(&name, node, faults);
            (name, spellings)
        })
        .collect()
}

fn read_row(node: &Node, faults: &mut Faults<'_>) -> Option<Rule> {
    let Some(mapping) = node.as_mapping() else {
        faults.add(yaml::line(node), "a row must be a mapping of keys to values");
        return None;
    };
    let mut rule = Rule { line: first_line(mapping, node), ..Rule::default() };
    for (key, node) in mapping.iter() {
        read_row_key(&mut rule, &yaml::word(key), node, faults);
    }
    if rule.id.text.is_empty() || rule.to.text.is_empty() {
        faults.add(rule.line, "a row needs 'id' and 'to'");
        return None;
    }
    Some(rule)
}

fn first_line(mapping: &MarkedMappingNode, node: &Node) -> usize {
    mapping.keys().map(|key| yaml::start(key.span())).min().unwrap_or_else(|| yaml::line(node))
}

fn read_row_key(rule: &mut Rule, key: &Word, node: &Node, faults: &mut Faults<'_>) {
    match key.text.as_str() {
        "id" => rule.id = yaml::scalar(key, node, faults).unwrap_or_default(),
        "to" => rule.to = yaml::scalar(key, node, faults).unwrap_or_default(),
        "from" => rule.from = yaml::scalars(key, node, faults),
        "const" => rule.constant = yaml::scalar(key, node, faults),
        "table" => rule.table = yaml::scalar(key, node, faults),
        "as" => rule.transform = yaml::scalar(key, node, faults),
        "with" => rule.with = yaml::pairs(key, node, faults),
        "when" => rule.when = yaml::scalar(key, node, faults),
        "unless" => rule.unless = yaml::scalars(key, node, faults),
        "needs" => rule.needs = yaml::scalars(key, node, faults),
        "else" => rule.otherwise = yaml::scalar(key, node, faults),
        "on_missing" => rule.on_missing = yaml::scalar(key, node, faults),
        "on_unmapped" => rule.on_unmapped = yaml::scalar(key, node, faults),
        "on_invalid" => rule.on_invalid = yaml::scalar(key, node, faults),
        "cause" => rule.cause = yaml::scalar(key, node, faults),
        "private" => rule.private = yaml::boolean(key, node, faults),
        "why" => rule.why = yaml::scalar(key, node, faults),
        other => faults.add(key.line, format!("unknown key '{other}' in row {}", rule.id.text)),
    }
}
