//! Text in the encoding of a PDF's built-in fonts, and how wide it is.
//!
//! Helvetica needs no embedding and knows Windows-1252 only (pounds, dashes, quotes, the accents of
//! western Europe). Other Latin letters lose their accent, and what has no likeness becomes `?`: the
//! HTML beside the PDF has every character.
//! <https://opensource.adobe.com/dc-acrobat-sdk-docs/pdfstandards/PDF32000_2008.pdf>, annex D.

/// Widths of Helvetica from U+0020 to U+007E, in thousandths of the size (Adobe's font metrics).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];
/// As wide as any other character gets, so that a line is broken too early rather than too late.
const WIDEST: u16 = 1000;
/// Helvetica-Bold is no wider than this, in hundredths of Helvetica.
const BOLD: f32 = 1.12;

/// Windows-1252 from 0x80 to 0x9F; U+FFFD where it has nothing.
const HIGH: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}', '\u{fffd}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];

/// Letters that lose their accent: each group, and what stands for it.
const FOLDED: [(&str, char); 44] = [
    ("ĀĂĄ", 'A'),
    ("āăą", 'a'),
    ("ĆĈĊČ", 'C'),
    ("ćĉċč", 'c'),
    ("ĎĐ", 'D'),
    ("ďđ", 'd'),
    ("ĒĔĖĘĚẸẼ", 'E'),
    ("ēĕėęěẹẽ", 'e'),
    ("ĜĞĠĢ", 'G'),
    ("ĝğġģ", 'g'),
    ("ĤĦ", 'H'),
    ("ĥħ", 'h'),
    ("ĨĪĬĮİỊ", 'I'),
    ("ĩīĭįıị", 'i'),
    ("Ĵ", 'J'),
    ("ĵ", 'j'),
    ("Ķ", 'K'),
    ("ķ", 'k'),
    ("ĹĻĽĿŁ", 'L'),
    ("ĺļľŀł", 'l'),
    ("ŃŅŇŊ", 'N'),
    ("ńņňŋ", 'n'),
    ("ŌŎŐỌƠ", 'O'),
    ("ōŏőọơ", 'o'),
    ("ŔŖŘ", 'R'),
    ("ŕŗř", 'r'),
    ("ŚŜŞȘṢ", 'S'),
    ("śŝşșṣ", 's'),
    ("ŢŤŦȚ", 'T'),
    ("ţťŧț", 't'),
    ("ŨŪŬŮŰŲƯỤ", 'U'),
    ("ũūŭůűųưụ", 'u'),
    ("ŴẀẂẄ", 'W'),
    ("ŵẁẃẅ", 'w'),
    ("ŶỲ", 'Y'),
    ("ŷỳ", 'y'),
    ("ŹŻ", 'Z'),
    ("źż", 'z'),
    ("\u{2010}\u{2011}\u{2012}\u{2212}", '-'),
    ("\u{2032}\u{2bc}", '\''),
    ("\u{2033}", '"'),
    ("\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2007}\u{2008}\u{2009}\u{200a}\u{202f}\t", ' '),
    ("\u{2015}", '—'),
    ("ẞ", 'S'),
];

/// The text with only such characters as the fonts have. Marks that join the letter before them, and
/// invisible ones, are left out.
pub fn shown(text: &str) -> String {
    let invisible = |c: &char| !matches!(u32::from(*c), 0x300..=0x36f | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff);
    text.chars().filter(invisible).map(one).collect()
}

fn one(character: char) -> char {
    if byte(character).is_some() {
        return character;
    }
    FOLDED.iter().find(|(group, _)| group.contains(character)).map_or('?', |(_, plain)| *plain)
}

fn byte(character: char) -> Option<u8> {
    let code = u32::from(character);
    match code {
        0x20..=0x7e | 0xa0..=0xff => u8::try_from(code).ok(),
        0xfffd => None,
        _ => HIGH.iter().position(|known| *known == character).and_then(|at| u8::try_from(0x80 + at).ok()),
    }
}

/// The bytes of text that [`shown`] made.
pub fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| byte(character).unwrap_or(b'?')).collect()
}

/// The width of text in points.
pub fn width(text: &str, size: f32, bold: bool) -> f32 {
    let units: u32 = text.chars().map(|character| u32::from(units(character))).sum();
    #[allow(clippy::cast_precision_loss)] // a line has some thousands of units
    let width = units as f32 * size / 1000.0;
    if bold { width * BOLD } else { width }
}

fn units(character: char) -> u16 {
    let at = usize::try_from(u32::from(character)).unwrap_or(usize::MAX).wrapping_sub(0x20);
    let accented = if character.is_lowercase() { 611 } else { WIDEST };
    WIDTHS.get(at).copied().unwrap_or(accented)
}

/// Breaks text into lines of at most `room` points: at white space, inside a word only where it is
/// wider than a line. A line feed is kept as one.
pub fn lines(text: &str, room: f32, size: f32, bold: bool) -> Vec<String> {
    let shown: Vec<String> = text.split('\n').map(shown).collect();
    shown.iter().flat_map(|paragraph| broken(paragraph, room, size, bold)).collect()
}

fn broken(paragraph: &str, room: f32, size: f32, bold: bool) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in paragraph.split_whitespace() {
        let last = lines.last_mut().map_or("", |line| line.as_str());
        let joined = if last.is_empty() { word.to_owned() } else { format!("{last} {word}") };
        if width(&joined, size, bold) <= room {
            lines.pop();
            lines.push(joined);
            continue;
        }
        if last.is_empty() {
            lines.pop();
        }
        lines.extend(pieces(word, room, size, bold));
    }
    lines
}

fn pieces(word: &str, room: f32, size: f32, bold: bool) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for character in word.chars() {
        let joined = format!("{}{character}", pieces.last().map_or("", |piece| piece.as_str()));
        if width(&joined, size, bold) <= room || joined.chars().count() == 1 {
            pieces.pop();
            pieces.push(joined);
        } else {
            pieces.push(character.to_string());
        }
    }
    pieces
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn western_text_is_kept_and_the_rest_has_a_likeness() {
        assert_eq!(bytes(&shown("£5 – “café” €")), b"\xa35 \x96 \x93caf\xe9\x94 \x80");
        assert_eq!(shown("Łódź, Şükrü, Nguyễn"), "Lódz, Sükrü, Nguy?n");
        assert_eq!(shown("e\u{301}\u{200b}"), "e");
    }

    #[test]
    fn lines_fit() {
        let text = format!("{} {}", "word ".repeat(200), "x".repeat(500));
        for line in lines(&text, 300.0, 11.0, true) {
            assert!(width(&line, 11.0, true) <= 300.0 && !line.is_empty());
        }
        assert_eq!(lines("a\n\nb", 300.0, 11.0, false), ["a", "", "b"]);
    }
}
