//! The words of an entry: fixed text with named slots, nothing more.
//!
//! `{slot}` is replaced by its value. Words in `[...]` are left out when a slot in them has no
//! value; brackets do not nest. There is no expression language.

/// A value for each slot that has one.
pub type Slots<'a> = [(&'a str, String)];

/// The slots that a template names, or what is wrong with it.
///
/// # Errors
/// In words: a bracket or brace without its other half.
pub fn slots(template: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let (mut in_part, mut open) = (false, None);
    for (at, c) in template.char_indices() {
        match (c, open) {
            ('{', None) => open = Some(at + 1),
            ('}', Some(begin)) => {
                found.push(template[begin..at].to_owned());
                open = None;
            }
            ('{' | '[' | ']', Some(_)) | ('}', None) => return Err("a brace has no other half".to_owned()),
            ('[', None) if !in_part => in_part = true,
            (']', None) if in_part => in_part = false,
            ('[' | ']', None) => return Err("a bracket has no other half".to_owned()),
            _ => {}
        }
    }
    match (in_part, open) {
        (false, None) => Ok(found),
        _ => Err("a brace or bracket is not closed".to_owned()),
    }
}

/// The template with its slots filled. A slot without a value outside brackets is nothing.
pub fn fill(template: &str, slots: &Slots<'_>) -> String {
    let mut text = String::new();
    for (i, part) in template.split('[').enumerate() {
        match part.split_once(']') {
            Some((optional, rest)) if i > 0 => {
                text.extend(filled(optional, slots));
                text.push_str(&filled(rest, slots).unwrap_or_else(|| plain(rest, slots)));
            }
            _ => text.push_str(&filled(part, slots).unwrap_or_else(|| plain(part, slots))),
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `None` when a slot has no value.
fn filled(part: &str, slots: &Slots<'_>) -> Option<String> {
    let mut text = String::new();
    let mut rest = part;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        let value = slots.iter().find(|(known, value)| *known == name && !value.trim().is_empty());
        text.push_str(before);
        text.push_str(value?.1.trim());
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

fn plain(part: &str, slots: &Slots<'_>) -> String {
    let mut text = part.to_owned();
    while let (Some(begin), Some(end)) = (text.find('{'), text.find('}')) {
        let value =
            slots.iter().find(|(known, _)| *known == &text[begin + 1..end]).map_or("", |(_, value)| value.as_str());
        text = format!("{}{}{}", &text[..begin], value.replace(['{', '}'], ""), &text[end + 1..]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_filled_and_what_has_none_is_left_out() {
        let template = "It ended. {reason}.[ Lacking: {lacking}.] Met {met}.[ {summary}]";
        let slots = |summary: &str, lacking: &str| {
            fill(
                template,
                &[
                    ("reason", "Moved".to_owned()),
                    ("met", "3".to_owned()),
                    ("summary", summary.to_owned()),
                    ("lacking", lacking.to_owned()),
                ],
            )
        };
        assert_eq!(slots("", ""), "It ended. Moved. Met 3.");
        assert_eq!(slots("Well {done}]", "a choir"), "It ended. Moved. Lacking: a choir. Met 3. Well {done}]");
        assert_eq!(fill("A {b} c {d}.", &[]), "A c .");
        assert_eq!(fill("A {b} c {d}.", &[("d", "{b}".to_owned())]), "A c b.");
    }

    #[test]
    fn broken_templates_are_told() {
        assert_eq!(super::slots("a {b}[ c {d}]"), Ok(vec!["b".to_owned(), "d".to_owned()]));
        for broken in ["a {b", "a b}", "a [b", "a b]", "a [b [c]]", "a {b {c}}", "{a[b]}"] {
            assert!(super::slots(broken).is_err(), "{broken}");
        }
    }
}
