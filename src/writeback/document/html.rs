//! A document as HTML: one page without scripts, styles from elsewhere or links.
//! <https://html.spec.whatwg.org/>

use super::{Document, LANGUAGE};
use crate::writeback::carried;

const STYLE: &str = "body{font-family:Arial,sans-serif;line-height:1.4;max-width:42em;margin:2em}\
    h1{font-size:1.6em}h2{font-size:1.2em}dt{font-weight:bold}dd{margin:0 0 .4em 0;white-space:pre-line}\
    p{white-space:pre-line}";

/// The page.
pub fn page(document: &Document) -> Vec<u8> {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"{LANGUAGE}\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        title = escaped(&document.title),
    );
    for section in &document.sections {
        out.push_str(&format!("<h2>{}</h2>\n", escaped(section.heading)));
        for (_, text) in section.lines.iter().filter(|(label, _)| label.is_empty()) {
            out.push_str(&format!("<p>{}</p>\n", escaped(text)));
        }
        let labelled: Vec<_> = section.lines.iter().filter(|(label, _)| !label.is_empty()).collect();
        if !labelled.is_empty() {
            let row =
                |(label, text): &&(&str, String)| format!("<dt>{}</dt>\n<dd>{}</dd>\n", escaped(label), escaped(text));
            out.push_str(&format!("<dl>\n{}</dl>\n", labelled.iter().map(row).collect::<String>()));
        }
    }
    out.push_str(&format!("<hr>\n<p>{}</p>\n</body>\n</html>\n", escaped(&document.foot)));
    out.into_bytes()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in carried::lines(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            '\0'..='\u{1f}' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::writeback::document::Section;

    #[test]
    fn no_text_becomes_markup() {
        let nasty = "<script>alert('x')</script> & \"Łódź\"\u{0} £5";
        let document = Document {
            title: nasty.into(),
            sections: vec![Section { heading: "Outcome", lines: vec![("", nasty.into()), ("Notes", nasty.into())] }],
            foot: nasty.into(),
        };
        let page = String::from_utf8(page(&document)).unwrap();
        assert!(!page.contains("<script") && page.contains("lang=\"en-GB\"") && page.contains("Łódź"));
        assert_eq!(page.matches("<p>").count(), 2);
    }
}
