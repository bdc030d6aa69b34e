//! YAML with line numbers: the few shapes that a mapping file has, each wrong one a fault.

use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode, Span};
use marked_yaml::{LoadError, LoaderOptions, Node, parse_yaml_with_options};

use crate::config::Fault;

/// A text and the line where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// The text.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
}

/// Where faults of one file go.
pub struct Faults<'a> {
    file: String,
    all: &'a mut Vec<Fault>,
}

impl<'a> Faults<'a> {
    /// Faults of `file` are added to `all`.
    pub fn of(file: &str, all: &'a mut Vec<Fault>) -> Self {
        Self { file: file.to_owned(), all }
    }

    /// One more fault.
    pub fn add(&mut self, line: usize, text: impl Into<String>) {
        self.all.push(Fault { file: self.file.clone(), line: line.max(1), text: text.into() });
    }

    /// One more fault, of another file.
    pub fn add_in(&mut self, file: &str, line: usize, text: impl Into<String>) {
        self.all.push(Fault { file: file.to_owned(), line: line.max(1), text: text.into() });
    }
}

/// The top-level mapping of a YAML text, or a fault.
pub fn parse(text: &str, faults: &mut Faults<'_>) -> Option<MarkedMappingNode> {
    let options = LoaderOptions::default().error_on_duplicate_keys(true);
    match parse_yaml_with_options(0, text, options) {
        Ok(Node::Mapping(mapping)) => Some(mapping),
        Ok(_) => {
            faults.add(1, "the file must be a mapping of keys to values");
            None
        }
        Err(fault) => {
            let (line, what) = describe(&fault);
            faults.add(line, what);
            None
        }
    }
}

fn describe(fault: &LoadError) -> (usize, String) {
    match fault {
        LoadError::DuplicateKey(both) => {
            (start(both.key.span()), format!("the key '{}' is given twice", both.key.as_str()))
        }
        LoadError::ScanError(at, why) => (at.line(), format!("this is not YAML: {why}")),
        LoadError::TopLevelMustBeMapping(at) => (at.line(), "the file must be a mapping of keys to values".into()),
        LoadError::TopLevelMustBeSequence(at) | LoadError::MappingKeyMustBeScalar(at) => {
            (at.line(), "a key must be a plain word".into())
        }
        LoadError::UnexpectedAnchor(at) | LoadError::UnexpectedTag(at) => {
            (at.line(), "anchors and tags are not used in mappings".into())
        }
    }
}

/// The line at which a node starts.
pub fn start(span: &Span) -> usize {
    span.start().map_or(1, marked_yaml::Marker::line)
}

/// The line of a node.
pub fn line(node: &Node) -> usize {
    start(node.span())
}

/// A key or plain value as a word.
pub fn word(scalar: &MarkedScalarNode) -> Word {
    Word { text: scalar.as_str().trim().to_owned(), line: start(scalar.span()) }
}

/// The scalar that a key must have.
pub fn scalar(key: &Word, node: &Node, faults: &mut Faults<'_>) -> Option<Word> {
    let found = node.as_scalar().map(word);
    if found.is_none() {
        faults.add(key.line, format!("'{}' must be one value", key.text));
    }
    found
}

/// One scalar or a list of them.
pub fn scalars(key: &Word, node: &Node, faults: &mut Faults<'_>) -> Vec<Word> {
    match node {
        Node::Scalar(one) => vec![word(one)],
        Node::Sequence(many) => many.iter().filter_map(|node| scalar(key, node, faults)).collect(),
        Node::Mapping(_) => {
            faults.add(key.line, format!("'{}' must be a value or a list of values", key.text));
            Vec::new()
        }
    }
}

/// The keys and plain values of a mapping.
pub fn pairs(key: &Word, node: &Node, faults: &mut Faults<'_>) -> Vec<(Word, Word)> {
    let Some(mapping) = node.as_mapping() else {
        faults.add(key.line, format!("'{}' must be a mapping of keys to values", key.text));
        return Vec::new();
    };
    mapping
        .iter()
        .filter_map(|(name, node)| {
            let name = word(name);
            let value = scalar(&name, node, faults)?;
            Some((name, value))
        })
        .collect()
}

/// True or false.
pub fn boolean(key: &Word, node: &Node, faults: &mut Faults<'_>) -> Option<bool> {
    match scalar(key, node, faults)?.text.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => {
            faults.add(key.line, format!("'{}' must be true or false", key.text));
            None
        }
    }
}
