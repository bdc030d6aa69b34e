//! Searches as the audit log may keep them: what names a person is replaced by `*`.

use crate::fhir::parameters::{How, of};

/// Token parameters whose values say nothing of who a person is.
const OPEN_TOKENS: [&str; 8] = ["status", "priority", "code", "category", "business-status", "class", "type", "active"];
/// Shaping parameters and others that hold no patient's data.
const OPEN: [&str; 12] = [
    "_count",
    "_total",
    "_summary",
    "_lastUpdated",
    "_id",
    "_security",
    "_include",
    "agent",
    "action",
    "outcome",
    "entity",
    "date",
];

/// The query with the values of all but harmless parameters replaced.
pub fn query(kind: &str, pairs: &[(String, String)]) -> String {
    let one = |(name, value): &(String, String)| {
        if open(kind, name) { format!("{}={}", clean(name), clean(value)) } else { format!("{}=*", clean(name)) }
    };
    pairs.iter().filter(|(name, _)| name != "_cursor").map(one).collect::<Vec<_>>().join("&")
}

fn open(kind: &str, name: &str) -> bool {
    let bare = name.strip_suffix(":not").or_else(|| name.strip_suffix(":missing")).unwrap_or(name);
    if OPEN.contains(&bare) {
        return true;
    }
    of(kind).any(|parameter| {
        parameter.name == bare
            && match parameter.how {
                How::Token => OPEN_TOKENS.contains(&bare),
                How::Reference => true,
                How::Date => bare != "birthdate",
                How::Identifier | How::Text | How::Postcode => false,
            }
    })
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_named() {
        let pairs = super::super::exchange::pairs(
            b"family=Secret&birthdate=1950-01-01&identifier=x|999&status=active&patient:identifier=n|999&patient=p&odd=1",
        );
        assert_eq!(query("Patient", &pairs[..4]), "family=*&birthdate=*&identifier=*&status=*");
        assert_eq!(query("Task", &pairs[3..]), "status=active&patient:identifier=*&patient=p&odd=*");
    }
}
