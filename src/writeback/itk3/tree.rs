//! A FHIR document of any release as a tree of elements: read from XML or JSON, written as XML.
//! <https://hl7.org/fhir/STU3/xml.html>, <https://hl7.org/fhir/STU3/json.html>
//!
//! It knows the form and no element's meaning, so it does not validate. Narrative (`div`) keeps its
//! elements and loses its words: nothing coded is ever read from there. Extensions of primitive
//! values are not read from JSON.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

use crate::fhir::wire::{JSON_DEPTH_MAX, XML_DEPTH_MAX};

/// The bytes that one message may have.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

const NAMESPACE: &str = "http://hl7.org/fhir";

/// Why bytes are not a FHIR document. Never repeats what stood there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Unreadable {
    pub(super) fn because(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name: `MessageHeader`, `status`.
    pub name: String,
    /// Its `value`, for a primitive.
    pub value: Option<String>,
    /// Its `url`, for an extension.
    pub url: Option<String>,
    /// What is in it, in order.
    pub children: Vec<Node>,
}

impl Node {
    /// A primitive.
    pub fn leaf(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: Some(value.into()), ..Self::default() }
    }

    /// An element with others in it.
    pub fn of(name: &str, children: impl IntoIterator<Item = Node>) -> Self {
        Self { name: name.to_owned(), children: children.into_iter().collect(), ..Self::default() }
    }

    /// An extension.
    pub fn extension(url: &str, children: impl IntoIterator<Item = Node>) -> Self {
        Self { url: Some(url.to_owned()), ..Self::of("extension", children) }
    }

    /// The members with that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first at `a/b/c` below this one.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('/').try_fold(self, |node, name| node.children.iter().find(|child| child.name == name))
    }

    /// The value at `a/b/c`, or `""`.
    pub fn text(&self, path: &str) -> &str {
        self.at(path).and_then(|node| node.value.as_deref()).unwrap_or("")
    }

    /// Without what FHIR forbids: empty values, and elements with nothing in them.
    #[must_use]
    pub fn without_empty(self) -> Self {
        let whole =
            |child: &Self| !child.children.is_empty() || child.value.as_deref().is_some_and(|text| !blank(text));
        let children = self.children.into_iter().map(Self::without_empty).filter(whole).collect();
        Self { children, ..self }
    }

    /// The resources of a Bundle: `(fullUrl, resource)`.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.all("entry").filter_map(|entry| Some((entry.text("fullUrl"), entry.at("resource")?.children.first()?)))
    }

    /// The first resource of that type in a Bundle.
    pub fn resource(&self, kind: &str) -> Option<&Node> {
        self.entries().map(|(_, resource)| resource).find(|resource| resource.name == kind)
    }

    /// The resource of a Bundle that a reference names: by `fullUrl`, or by id.
    pub fn resolve(&self, reference: &str) -> Option<&Node> {
        let id = bare(reference);
        let named =
            |(url, resource): &(&str, &Node)| *url == reference || (!id.is_empty() && resource.text("id") == id);
        self.entries().find(named).map(|(_, resource)| resource)
    }
}

fn blank(text: &str) -> bool {
    text.trim_matches([' ', '\t', '\r', '\n']).is_empty()
}

/// An id without `urn:uuid:`, `#` or what comes before the last `/`.
pub fn bare(reference: &str) -> &str {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    last.strip_prefix("urn:uuid:").unwrap_or(last).trim_start_matches('#')
}

/// Reads a document in either form; which of them, its first character says.
///
/// # Errors
/// When it is too large, not UTF-8, neither well-formed XML nor JSON, nested too deeply or has a
/// document type.
pub fn read(bytes: &[u8]) -> Result<Node, Unreadable> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Unreadable(format!("the message has more than {MESSAGE_BYTES_MAX} bytes")));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|fault| Unreadable(format!("not UTF-8: the first bad byte is at offset {}", fault.valid_up_to())))?;
    match text.trim_start().chars().next() {
        Some('<') => read_xml(text),
        Some('{') => read_json(text),
        Some(_) => Err(Unreadable::because("neither XML nor JSON")),
        None => Err(Unreadable::because("empty")),
    }
}

fn read_xml(text: &str) -> Result<Node, Unreadable> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut open: Vec<Node> = vec![Node::default()];
    loop {
        let event = reader
            .read_event()
            .map_err(|_| Unreadable(format!("the XML is not well formed near offset {}", reader.error_position())))?;
        match event {
            Event::Start(start) => open.push(element(&start)?),
            Event::Empty(start) => add(&mut open, element(&start)?),
            Event::End(_) => {
                let done = open.pop().unwrap_or_default();
                add(&mut open, done);
            }
            Event::DocType(_) => return Err(Unreadable::because("the XML has a document type; FHIR allows none")),
            Event::Eof => break,
            _ => {}
        }
        if open.len() > XML_DEPTH_MAX + 1 {
            return Err(Unreadable(format!("the XML nests deeper than {XML_DEPTH_MAX} elements")));
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(mut top), true) if top.children.len() == 1 => Ok(top.children.remove(0)),
        (Some(_), true) => Err(Unreadable::because("the XML must have one root element")),
        _ => Err(Unreadable::because("the XML ends too early")),
    }
}

fn add(open: &mut [Node], child: Node) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(child);
    }
}

fn element(start: &BytesStart<'_>) -> Result<Node, Unreadable> {
    let bad = || Unreadable::because("an element of the XML has a damaged attribute");
    let mut node = Node { name: start.local_name().as_ref().to_owned(), ..Node::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| bad())?;
        let value =
            || attribute.normalized_value(XmlVersion::Implicit1_0).map(|text| text.into_owned()).map_err(|_| bad());
        match attribute.key.as_ref() {
            "value" => node.value = Some(value()?),
            "url" => node.url = Some(value()?),
            _ => {}
        }
    }
    Ok(node)
}

fn read_json(text: &str) -> Result<Node, Unreadable> {
    let value: Value = serde_json::from_str(text).map_err(|fault| {
        Unreadable(format!("the JSON is damaged at line {}, column {}", fault.line(), fault.column()))
    })?;
    let kind = value["resourceType"].as_str().ok_or_else(|| Unreadable::because("the JSON has no resourceType"))?;
    Ok(Node { name: kind.to_owned(), ..object(&value, false, 0)? })
}

fn object(value: &Value, extension: bool, depth: usize) -> Result<Node, Unreadable> {
    if depth > JSON_DEPTH_MAX {
        return Err(Unreadable(format!("the JSON nests deeper than {JSON_DEPTH_MAX}")));
    }
    let mut node = Node::default();
    for (key, member) in value.as_object().into_iter().flatten() {
        match key.as_str() {
            "resourceType" => {}
            "url" if extension => node.url = member.as_str().map(str::to_owned),
            key if key.starts_with('_') => {}
            key => {
                for one in member.as_array().map_or(std::slice::from_ref(member), Vec::as_slice) {
                    node.children.push(member_of(key, one, depth + 1)?);
                }
            }
        }
    }
    Ok(node)
}

fn member_of(name: &str, value: &Value, depth: usize) -> Result<Node, Unreadable> {
    let mut node = match value {
        Value::Object(_) => object(value, matches!(name, "extension" | "modifierExtension"), depth)?,
        Value::String(text) => Node::leaf("", text.as_str()),
        other => Node::leaf("", other.to_string()),
    };
    if let Some(kind) = value["resourceType"].as_str() {
        node.name = kind.to_owned();
        node = Node::of("", [node]);
    }
    node.name = name.to_owned();
    Ok(node)
}

/// Writes a document as XML. What XML cannot hold (control characters) becomes U+FFFD.
pub fn print(root: &Node) -> Vec<u8> {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    write(root, Some(NAMESPACE), &mut out);
    out.push('\n');
    out.into_bytes()
}

fn write(node: &Node, namespace: Option<&str>, out: &mut String) {
    out.push('<');
    out.push_str(&node.name);
    let attributes = [("xmlns", namespace), ("url", node.url.as_deref()), ("value", node.value.as_deref())];
    for (name, value) in attributes {
        if let Some(value) = value {
            out.push_str(&format!(" {name}=\""));
            escape(value, out);
            out.push('"');
        }
    }
    if node.children.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    node.children.iter().for_each(|child| write(child, None, out));
    out.push_str(&format!("</{}>", node.name));
}

/// Escapes for an attribute: also the white space that an XML reader would turn into blanks.
pub(super) fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => out.push_str(&format!("&#{};", u32::from(character))),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_give_the_same_tree() {
        let xml = read(br#"<Bundle xmlns="http://hl7.org/fhir"><entry><resource><Basic><extension url="u"><valueString value="a&#10;&amp;b"/></extension><identifier><value value="1"/></identifier></Basic></resource></entry></Bundle>"#);
        let json = read(br#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Basic","extension":[{"url":"u","valueString":"a\n&b"}],"identifier":[{"value":"1"}]}}]}"#);
        assert_eq!(xml, json);
        let tree = xml.unwrap();
        assert_eq!(tree.text("entry/resource/Basic/extension/valueString"), "a\n&b");
        assert_eq!(read(&print(&tree)), Ok(tree));
    }

    #[test]
    fn nothing_empty_is_sent() {
        let name = Node::of("name", [Node::leaf("family", "A"), Node::leaf("given", " \n")]);
        let bare = Node::of("Patient", [Node::of("meta", [Node::leaf("profile", "")]), name]).without_empty();
        assert_eq!(bare, Node::of("Patient", [Node::of("name", [Node::leaf("family", "A")])]));
    }

    #[test]
    fn damage_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(70), "</a>".repeat(70));
        for bytes in
            ["", "hello", "<a>", "<a></b>", "<a/><b/>", "{", "{}", "<!DOCTYPE a><a/>", "<a value='&x;'/>", &deep]
        {
            assert!(read(bytes.as_bytes()).is_err(), "{bytes}");
        }
        assert!(read(b"<a value=\"\xff\"/>").is_err());
    }

    #[test]
    fn a_reference_may_have_any_of_its_forms() {
        assert_eq!(bare("urn:uuid:a-b"), "a-b");
        assert_eq!(bare("OperationOutcome/a-b"), "a-b");
        assert_eq!(bare("#a"), "a");
    }
}
