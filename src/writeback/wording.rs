//! The words that go with an entry on every route: what it says, who says so, and the reference by
//! which it is found again in a record whose system shows neither.
//! <https://support.thejoyapp.com/en/articles/11416903> (a third-party product's entries appear
//! under its own login)

use super::entry::{Author, Coded, EntryValue, Submission};
use uuid::Uuid;

/// How the idempotency key stands in a text: what a search before a retry looks for.
pub fn reference(key: Uuid) -> String {
    format!("Ref {key}")
}

/// `Recorded by NAME, ROLE, ORGANISATION (ODS).`, as far as it is known.
pub fn byline(author: &Author) -> String {
    let organisation = match (author.organisation.as_str(), author.ods.as_str()) {
        ("", ods) => ods.to_owned(),
        (name, "") => name.to_owned(),
        (name, ods) => format!("{name} ({ods})"),
    };
    let parts = [author.name.as_str(), author.role.as_str(), &organisation];
    let known: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("Recorded by {}.", known.join(", "))
}

/// What the entry says beyond its term, or `""` when it says no more.
pub fn narrative(submission: &Submission) -> &str {
    let text = submission.entry.text.trim();
    if text == submission.entry.code.display.trim() { "" } else { text }
}

/// All of it in one paragraph, for routes that take one text: the value, where the route has no
/// place for one, comes from [`value`].
pub fn filed_text(submission: &Submission) -> String {
    let parts = [narrative(submission).to_owned(), byline(&submission.entry.author), reference(submission.key)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A value in print: `24 score`, a term, or words.
pub fn value(value: &EntryValue) -> String {
    match value {
        EntryValue::Quantity { digits, unit, .. } => format!("{digits} {unit}").trim_end().to_owned(),
        EntryValue::Coded(Coded { code, display, .. }) if display.is_empty() => code.clone(),
        EntryValue::Coded(coded) => coded.display.clone(),
        EntryValue::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byline_says_what_is_known() {
        let mut author = Author {
            name: "Sam Example".into(),
            role: "Social prescribing link worker".into(),
            ods: "X26AB".into(),
            organisation: "Northfield Wellbeing".into(),
        };
        let whole = "Recorded by Sam Example, Social prescribing link worker, Northfield Wellbeing (X26AB).";
        assert_eq!(byline(&author), whole);
        author.name.clear();
        author.organisation.clear();
        assert_eq!(byline(&author), "Recorded by Social prescribing link worker, X26AB.");
    }
}
