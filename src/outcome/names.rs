//! Names of third parties are kept out of what the person reads.
//!
//! Whoever records an outcome may list them in the extension `third-party` (or as a contained
//! RelatedPerson); words that the person would read and that hold one of them are refused, with
//! the element named. Nobody's name is guessed: what is not listed is not looked for.

use serde_json::Value;

use super::check::refused;
use crate::fhir::episode::THIRD_PARTY;
use crate::fhir::index::fold;
use crate::fhir::{each, kind};
use crate::rejection::Rejection;

/// Letters that a part of a name must have to be looked for by itself.
const PART_MIN: usize = 3;
/// Titles and relations: no names.
const NO_NAMES: [&str; 24] = [
    "mrs",
    "miss",
    "mister",
    "doctor",
    "lady",
    "lord",
    "sir",
    "rev",
    "prof",
    "the",
    "and",
    "aunt",
    "uncle",
    "mum",
    "dad",
    "mother",
    "father",
    "son",
    "sister",
    "brother",
    "daughter",
    "friend",
    "neighbour",
    "partner",
];

/// Looks for listed names in words that the person would read; `element` is where the words stand.
///
/// # Errors
/// 422 at the element. The name is not repeated.
pub fn absent(sent: &Value, words: &str, element: &str) -> Result<(), Rejection> {
    let names = listed(sent);
    if names.is_empty() || !holds(words, &names) {
        return Ok(());
    }
    let why = "the person would read a third party's name here; leave it out, or put these words in a restricted note";
    Err(refused(kind(sent), element, why))
}

/// Every listed name, as folded words.
fn listed(sent: &Value) -> Vec<Vec<String>> {
    let mut names = Vec::new();
    for one in each(&sent["extension"]).filter(|one| one["url"].as_str() == Some(THIRD_PARTY)) {
        names.extend(one["valueString"].as_str().map(words_of));
        names.extend(Some(human(&one["valueHumanName"])));
    }
    for person in each(&sent["contained"]).filter(|one| kind(one) == "RelatedPerson") {
        names.extend(each(&person["name"]).map(human));
    }
    names.retain(|name| !name.is_empty());
    names
}

fn human(name: &Value) -> Vec<String> {
    let given = each(&name["given"]).filter_map(Value::as_str);
    let parts = given.chain(name["family"].as_str()).chain(name["text"].as_str());
    parts.flat_map(words_of).collect()
}

fn words_of(text: &str) -> Vec<String> {
    fold(text).split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// True when one of the names, or a part of one that is long enough, is a word of the text.
fn holds(text: &str, names: &[Vec<String>]) -> bool {
    let words = words_of(text);
    names.iter().any(|name| {
        let whole = words.windows(name.len()).any(|window| window == name.as_slice());
        let part = |part: &String| {
            part.chars().count() >= PART_MIN && !NO_NAMES.contains(&part.as_str()) && words.contains(part)
        };
        whole || name.iter().any(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn listed_names_are_found_whole_and_in_part_but_not_inside_words() {
        let sent = json!({
            "resourceType": "Task",
            "extension": [
                {"url": THIRD_PARTY, "valueString": "Aunt Maud Invented"},
                {"url": THIRD_PARTY, "valueHumanName": {"family": "Ó Made-Up", "given": ["Al"]}},
            ],
            "contained": [{"resourceType": "RelatedPerson", "name": [{"text": "Zoë"}]}],
        });
        let found = |words: &str| absent(&sent, words, "note").is_err();
        for names in ["met MAUD today", "with Invented's dog", "Al O Made-Up came", "zoe helped", "made tea"] {
            assert!(found(names), "{names}");
        }
        for none in ["applauded by all", "an aunt came", "Al came", ""] {
            assert!(!found(none), "{none}");
        }
        let refused = absent(&sent, "Maud", "extension").err().map(|r| r.issues[0].clone());
        assert!(refused.is_some_and(|issue| !issue.diagnostics.contains("Maud")));
        assert!(absent(&json!({"resourceType": "Task"}), "Maud", "note").is_ok());
    }
}
