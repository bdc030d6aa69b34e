//! The search index rows of a resource, by the table in [`super::parameters`].
//! <https://hl7.org/fhir/R4/search.html>
//!
//! Pure. Visibility rows are not made here: they belong to the referral, not to the resource.

use std::collections::BTreeSet;

use serde_json::Value;

use super::dates;
use super::parameters::{How, of};
use super::{each, kind, split_reference};
use crate::store::commit::IndexRow;
use crate::store::param;

/// The rows by which searches find `resource`, sorted and each once.
pub fn index(resource: &Value) -> Vec<IndexRow> {
    let mut rows = BTreeSet::new();
    for parameter in of(kind(resource)) {
        for path in parameter.paths.split('|') {
            walk(resource, path, &mut |value| add(&mut rows, parameter.param, parameter.how, value));
        }
    }
    walk(resource, "meta.security", &mut |value| add(&mut rows, param::SECURITY, How::Token, value));
    rows.into_iter().collect()
}

/// Calls `found` with each value at a dotted path; arrays are walked.
fn walk(value: &Value, path: &str, found: &mut dyn FnMut(&Value)) {
    if let Some(items) = value.as_array() {
        return items.iter().for_each(|item| walk(item, path, found));
    }
    match path.split_once('.') {
        Some((first, rest)) => walk(&value[first], rest, found),
        None => match &value[path] {
            Value::Null => {}
            Value::Array(items) => items.iter().for_each(found),
            single => found(single),
        },
    }
}

fn add(rows: &mut BTreeSet<IndexRow>, param: u8, how: How, value: &Value) {
    let mut push = |value: String, extra: String| {
        if !value.is_empty() {
            rows.insert(IndexRow { param, value, extra });
        }
    };
    match how {
        How::Token => tokens(value, &mut push),
        How::Reference => {
            if let Some((kind, id)) = value["reference"].as_str().and_then(split_reference) {
                push(format!("{kind}/{id}"), String::new());
            }
        }
        How::Identifier => {
            let identifier = &value["identifier"];
            push(text(&identifier["value"]), text(&identifier["system"]));
        }
        How::Text => push(fold(&text(value)), String::new()),
        How::Postcode => push(fold_postcode(&text(value)), String::new()),
        How::Date => {
            if let Some(range) = dates::range_of(value) {
                push(range.earliest, range.latest);
            }
        }
    }
}

fn tokens(value: &Value, push: &mut dyn FnMut(String, String)) {
    match value {
        Value::String(code) => push(code.clone(), String::new()),
        Value::Bool(yes) => push(yes.to_string(), String::new()),
        Value::Object(_) if value["coding"].is_array() => {
            each(&value["coding"]).for_each(|coding| tokens(coding, push));
        }
        Value::Object(_) => {
            let code = if value["code"].is_string() { &value["code"] } else { &value["value"] };
            push(text(code), text(&value["system"]));
        }
        _ => {}
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

/// Text as the index compares it: lower case, Latin letters without accents, single spaces.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match plain(c) {
            Some(letters) => folded.push_str(letters),
            None if ('\u{300}'..='\u{36f}').contains(&c) => {}
            None => folded.push(c),
        }
    }
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A postcode as the index compares it: lower case, no spaces.
pub fn fold_postcode(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The plain letters of a lower-case Latin letter with an accent.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn has(rows: &[IndexRow], param: u8, value: &str, extra: &str) -> bool {
        rows.iter().any(|row| row.param == param && row.value == value && row.extra == extra)
    }

    #[test]
    fn a_referral_is_found_by_what_it_says() {
        let rows = index(&json!({
            "resourceType": "ServiceRequest", "id": "a",
            "meta": {"security": [{"system": "s", "code": "R"}]},
            "status": "active", "authoredOn": "2026-01-05",
            "category": [{"coding": [{"system": "x", "code": "1"}, {"system": "y", "code": "2"}]}],
            "subject": {"reference": "Patient/p/_history/2", "identifier": {"system": "nhs", "value": "9990000000"}},
            "requester": {"identifier": {"system": "ods", "value": "N84001"}},
            "performer": [{"reference": "https://other.example/fhir/Organization/o"}, {"reference": "urn:uuid:1"}]
        }));
        assert!(has(&rows, param::STATUS, "active", ""));
        assert!(has(&rows, param::CATEGORY, "1", "x") && has(&rows, param::CATEGORY, "2", "y"));
        assert!(has(&rows, param::PATIENT, "Patient/p", ""));
        assert!(has(&rows, param::SUBJECT_IDENTIFIER, "9990000000", "nhs"));
        assert!(has(&rows, param::REQUESTER_IDENTIFIER, "N84001", "ods"));
        assert!(has(&rows, param::PERFORMER, "Organization/o", ""));
        assert_eq!(rows.iter().filter(|row| row.param == param::PERFORMER).count(), 1);
        assert!(has(&rows, param::AUTHORED, "2026-01-05T00:00:00.000Z", "2026-01-05T23:59:59.999Z"));
        assert!(has(&rows, param::SECURITY, "R", "s"));
    }

    #[test]
    fn people_are_found_without_regard_to_accents_case_or_spaces() {
        let rows = index(&json!({
            "resourceType": "Patient", "name": [{"family": "  Ó  Súilleabháin", "given": ["Zoë", "Łucja"]}],
            "address": [{"postalCode": "pr8 1Aa"}], "gender": "female", "active": true, "birthDate": "1950-02"
        }));
        assert!(has(&rows, param::FAMILY, "o suilleabhain", ""));
        assert!(has(&rows, param::GIVEN, "zoe", "") && has(&rows, param::GIVEN, "lucja", ""));
        assert!(has(&rows, param::POSTCODE, "pr81aa", ""));
        assert!(has(&rows, param::STATUS, "true", ""));
        assert!(has(&rows, param::BIRTHDATE, "1950-02-01T00:00:00.000Z", "1950-02-28T23:59:59.999Z"));
    }

    #[test]
    fn what_is_not_there_or_not_right_gives_no_row() {
        assert!(index(&json!({"resourceType": "Flag", "period": {}, "subject": 3, "status": null})).is_empty());
        assert!(index(&json!({"resourceType": "Nothing", "status": "x"})).is_empty());
        assert!(index(&json!([])).is_empty());
    }

    #[test]
    fn every_path_is_an_element_of_r4() {
        for parameter in super::super::parameters::PARAMETERS {
            for path in parameter.paths.split('|') {
                assert!(super::super::check::knows(&format!("{}.{path}", parameter.kind)), "{parameter:?}");
            }
        }
    }
}
