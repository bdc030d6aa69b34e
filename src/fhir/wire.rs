//! Bytes to a resource and back, in JSON and XML, by fhirbolt's element model.
//! <https://hl7.org/fhir/R4/json.html>, <https://hl7.org/fhir/R4/xml.html>
//!
//! Nothing that a sender can put in a document reaches past this door: no document types or
//! entities, no member twice, no nesting beyond [`XML_DEPTH_MAX`] or [`JSON_DEPTH_MAX`], no NUL, only UTF-8.

use fhirbolt::{FhirReleases, element::Element};
use quick_xml::events::Event;
use serde_json::Value;

use super::Resource;
use crate::rejection::{BarsError, IssueType, Rejection};

/// Elements inside one another that an XML document may have.
pub const XML_DEPTH_MAX: usize = 64;
/// Objects and arrays inside one another that a JSON document may have.
pub const JSON_DEPTH_MAX: usize = 128;

type R4 = Element<{ FhirReleases::R4 }>;

/// The two forms in which FHIR travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/fhir+json`
    Json,
    /// `application/fhir+xml`
    Xml,
}

impl Form {
    /// The form that a media type names, if it is one of FHIR's.
    pub fn of(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/fhir+json" | "application/json" | "text/json" | "json" => Some(Self::Json),
            "application/fhir+xml" | "application/xml" | "text/xml" | "xml" => Some(Self::Xml),
            _ => None,
        }
    }

    /// The media type to answer with.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/fhir+json",
            Self::Xml => "application/fhir+xml",
        }
    }
}

/// Reads one resource. Element names, cardinality and primitive types are checked against R4.
///
/// # Errors
/// 400 `structure` when the bytes are not well formed or not FHIR R4; the diagnostics say
/// where, and never repeat what stood there.
pub fn parse(bytes: &[u8], form: Form) -> Result<Resource, Rejection> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        structure(format!("the body is not UTF-8: the first bad byte is at offset {}", e.valid_up_to()))
    })?;
    if text.contains('\0') {
        return Err(structure("the body holds a NUL character"));
    }
    let resource = match form {
        Form::Json => parse_json(text)?,
        Form::Xml => parse_xml(text)?,
    };
    super::check::check(&resource)?;
    Ok(resource)
}

/// Writes one resource.
///
/// # Errors
/// When the resource cannot be written as XML, which only one that did not come through
/// [`parse`] can bring about.
pub fn print(resource: &Resource, form: Form) -> Result<Vec<u8>, Rejection> {
    match form {
        Form::Json => Ok(resource.to_string().into_bytes()),
        Form::Xml => {
            let element: R4 = fhirbolt::json::from_json_value(resource.clone(), None).map_err(unprintable)?;
            fhirbolt::xml::to_vec(&element, None).map_err(unprintable)
        }
    }
}

fn parse_json(text: &str) -> Result<Value, Rejection> {
    let value: Value = serde_json::from_str(text).map_err(|e| {
        let what = if e.is_eof() { "the JSON ends too early" } else { "the JSON is not well formed" };
        structure(format!("{what}: line {}, column {}", e.line(), e.column()))
    })?;
    if !value.is_object() {
        return Err(structure("the JSON is not an object"));
    }
    if members_written(text) != members_read(&value) {
        return Err(structure("an object of the JSON has a member twice; which of them holds cannot be known"));
    }
    Ok(value)
}

/// Members of objects in a well-formed JSON text: the colons outside strings.
fn members_written(text: &str) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b':' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

/// Members of all objects of a value. A member that stood twice is in it once.
fn members_read(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.len() + members.values().map(members_read).sum::<usize>(),
        Value::Array(items) => items.iter().map(members_read).sum(),
        _ => 0,
    }
}

fn parse_xml(text: &str) -> Result<Value, Rejection> {
    guard(text)?;
    let element: R4 = fhirbolt::xml::from_slice(text.as_bytes(), None).map_err(|_| {
        structure("the XML is not a FHIR R4 resource: an element is unknown, out of place or of the wrong type")
    })?;
    fhirbolt::json::to_json_value(element, None).map_err(|_| structure("the XML cannot be read as FHIR R4"))
}

/// Refuses what a FHIR document never needs and a hostile one uses.
fn guard(text: &str) -> Result<(), Rejection> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut depth = 0_usize;
    loop {
        match reader.read_event() {
            Ok(Event::Start(_)) => depth += 1,
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::DocType(_)) => return Err(structure("the XML has a document type; FHIR allows none")),
            Ok(Event::Eof) if depth == 0 => return Ok(()),
            Ok(Event::Eof) => return Err(structure("the XML ends too early")),
            Ok(_) => {}
            Err(_) => {
                let at = reader.error_position();
                return Err(structure(format!("the XML is not well formed near offset {at}")));
            }
        }
        if depth > XML_DEPTH_MAX {
            return Err(structure(format!("the XML nests deeper than {XML_DEPTH_MAX} elements")));
        }
    }
}

fn structure(diagnostics: impl Into<String>) -> Rejection {
    Rejection::bad_request(IssueType::Structure, diagnostics)
}

fn unprintable(fault: impl std::fmt::Display) -> Rejection {
    tracing::error!(error = %fault, "a stored resource cannot be written as XML");
    Rejection::new(
        BarsError::NotAcceptable,
        IssueType::NotSupported,
        "this resource cannot be given as XML; ask for JSON",
    )
}
