//! Which form FHIR travels in, and in which version of BaRS.
//! <https://hl7.org/fhir/R4/http.html#mime-type>
//!
//! `fhirVersion` must be R4's; `version` must be one of `bars.versions`.

use axum::http::{HeaderMap, header};

use crate::fhir::wire::Form;
use crate::rejection::{BarsError, IssueType, Rejection};

/// The form to answer in: `_format` first, then `Accept` by its weights, JSON where neither says.
///
/// # Errors
/// 406 when nothing that is asked for can be given.
pub fn answer_form(headers: &HeaderMap, format: Option<&str>, versions: &[String]) -> Result<Form, Rejection> {
    if let Some(format) = format {
        return Form::of(&format.replace(' ', "+")).ok_or_else(not_acceptable);
    }
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = accept.join(",");
    if accept.trim().is_empty() {
        return Ok(Form::Json);
    }
    let mut best: Option<(f32, Form)> = None;
    for range in accept.split(',') {
        let essence = range.split(';').next().unwrap_or("").trim();
        let form = match essence {
            "*/*" | "application/*" => Some(Form::Json),
            named => Form::of(named),
        };
        let weight = parameter(range, "q").and_then(|q| q.parse().ok()).unwrap_or(1.0_f32);
        let known = weight > 0.0 && version_known(range, versions);
        if let Some(form) = form.filter(|_| known)
            && best.is_none_or(|(had, _)| weight > had)
        {
            best = Some((weight, form));
        }
    }
    best.map(|(_, form)| form).ok_or_else(not_acceptable)
}

/// The form that a body claims to be in.
///
/// # Errors
/// 415 when it is neither FHIR JSON nor FHIR XML in a known version and UTF-8.
pub fn body_form(headers: &HeaderMap, versions: &[String]) -> Result<Form, Rejection> {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let utf8 = parameter(named, "charset").is_none_or(|set| set.eq_ignore_ascii_case("utf-8"));
    Form::of(named).filter(|_| utf8 && version_known(named, versions)).ok_or_else(|| {
        Rejection::new(
            BarsError::UnsupportedMediaType,
            IssueType::NotSupported,
            "send application/fhir+json or application/fhir+xml in UTF-8 and in a version named in /fhir/metadata",
        )
    })
}

fn version_known(range: &str, versions: &[String]) -> bool {
    let fhir = parameter(range, "fhirVersion").is_none_or(|version| version == "4.0" || version == "4.0.1");
    fhir && parameter(range, "version").is_none_or(|version| versions.iter().any(|known| known == version))
}

fn parameter<'a>(range: &'a str, name: &str) -> Option<&'a str> {
    range.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

fn not_acceptable() -> Rejection {
    Rejection::new(
        BarsError::NotAcceptable,
        IssueType::NotSupported,
        "answers are application/fhir+json or application/fhir+xml, in the versions named in /fhir/metadata",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn accept(text: &'static str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(text));
        answer_form(&headers, None, &["1.4.0".into()]).ok()
    }

    #[test]
    fn the_heaviest_known_form_is_given() {
        assert_eq!(accept("application/fhir+json; version=1.4.0"), Some(Form::Json));
        assert_eq!(accept("application/fhir+json; version=9.9.9"), None);
        assert_eq!(accept("application/fhir+json;q=0.2, application/fhir+xml"), Some(Form::Xml));
        assert_eq!(accept("text/html, */*;q=0.1"), Some(Form::Json));
        assert_eq!(accept("text/html"), None);
        assert_eq!(accept("application/fhir+xml; fhirVersion=3.0"), None);
    }
}
