//! HL7 v2's bar-separated form (ER7), written: segments, fields, components and their escapes.
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=185>, chapter 2.

use crate::writeback::carried;

/// A value of one component: what would be taken for a separator is escaped, a line break becomes
/// `\.br\`, and any other control character its number, `\X09\`, for a frame ends with one.
pub(super) fn component(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in carried::lines(text).chars() {
        match character {
            '|' => out.push_str("\\F\\"),
            '^' => out.push_str("\\S\\"),
            '~' => out.push_str("\\R\\"),
            '&' => out.push_str("\\T\\"),
            '\\' => out.push_str("\\E\\"),
            '\n' => out.push_str("\\.br\\"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\X{:02X}\\", u32::from(character))),
            other => out.push(other),
        }
    }
    out
}

/// Components joined; empty ones at the end are left out.
pub(super) fn field(components: &[&str]) -> String {
    let escaped: Vec<String> = components.iter().map(|text| component(text)).collect();
    escaped.join("^").trim_end_matches('^').to_owned()
}

/// A segment from its numbered fields, in ascending order; what is not named is empty.
pub(super) fn segment(name: &str, fields: &[(usize, String)]) -> String {
    let mut out = name.to_owned();
    let mut at = 0;
    for (number, field) in fields.iter().filter(|(_, field)| !field.is_empty()) {
        while at < *number {
            out.push('|');
            at += 1;
        }
        out.push_str(field);
    }
    out.push('\r');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_a_text_are_escaped_once() {
        assert_eq!(component("a|b^c~d&e\\f\r\ng\u{b}"), "a\\F\\b\\S\\c\\R\\d\\T\\e\\E\\f\\.br\\g\\X0B\\");
        assert_eq!(field(&["a", "", "b^", ""]), "a^^b\\S\\");
        assert_eq!(segment("PID", &[(1, "1".into()), (3, "x".into()), (5, String::new())]), "PID|1||x\r");
    }
}
