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

/// Characters of one text value (TX, FT), escapes counted: more are several values.
pub(super) const TEXT_MAX: usize = 65_536;

/// A text as values that each hold no more than [`TEXT_MAX`] characters: joined in order they are
/// [`component`]'s. Cut after white space where there is some, never inside an escape.
pub(super) fn pieces(text: &str) -> Vec<String> {
    cut(text, TEXT_MAX)
}

fn cut(text: &str, most: usize) -> Vec<String> {
    let lines = carried::lines(text);
    let mut pieces = Vec::new();
    let (mut piece, mut length) = (String::new(), 0);
    // The piece's bytes and characters up to and with its last white space.
    let mut blank = (0, 0);
    for character in lines.chars() {
        let next = component(character.encode_utf8(&mut [0; 4]));
        let more = next.chars().count();
        if length + more > most {
            let (bytes, characters) = if blank.0 > 0 { blank } else { (piece.len(), length) };
            let rest = piece.split_off(bytes);
            pieces.push(std::mem::replace(&mut piece, rest));
            length -= characters;
            blank = (0, 0);
        }
        piece.push_str(&next);
        length += more;
        if character.is_whitespace() {
            blank = (piece.len(), length);
        }
    }
    pieces.push(piece);
    pieces
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
    fn a_long_text_is_cut_after_words_and_nothing_is_lost() {
        for text in ["a long|text & more\r\nof it", "|||||||||||||", "", "one two", "x".repeat(41).as_str()] {
            let pieces = cut(text, 12);
            assert_eq!(pieces.concat(), component(text));
            assert!(pieces.iter().all(|piece| piece.chars().count() <= 12), "{pieces:?}");
            let whole = |piece: &String| piece.matches('\\').count().is_multiple_of(2);
            assert!(pieces.iter().all(whole), "no escape is cut: {pieces:?}");
        }
        assert_eq!(cut("one two three four", 12), ["one two ", "three four"]);
        assert_eq!(pieces(&"a".repeat(TEXT_MAX)).len(), 1);
        assert_eq!(pieces(&"a".repeat(TEXT_MAX + 1)).len(), 2);
    }

    #[test]
    fn separators_in_a_text_are_escaped_once() {
        assert_eq!(component("a|b^c~d&e\\f\r\ng\u{b}"), "a\\F\\b\\S\\c\\R\\d\\T\\e\\E\\f\\.br\\g\\X0B\\");
        assert_eq!(field(&["a", "", "b^", ""]), "a^^b\\S\\");
        assert_eq!(segment("PID", &[(1, "1".into()), (3, "x".into()), (5, String::new())]), "PID|1||x\r");
    }
}
