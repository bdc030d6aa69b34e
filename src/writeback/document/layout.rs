//! Where each line of a document stands: A4 pages, a heading never alone at a page's foot.

use super::glyphs;
use super::{Document, Section};

/// A4, in points.
pub const PAGE: (f32, f32) = (595.0, 842.0);
/// The white edge, in points.
pub const MARGIN: f32 = 56.0;
/// Pages that one document may have; the text beyond is left out, and the last line says so.
pub const PAGES_MAX: usize = 40;

const TITLE_SIZE: f32 = 18.0;
const HEADING_SIZE: f32 = 13.0;
const TEXT_SIZE: f32 = 11.0;
const LEADING: f32 = 1.35;
const LABEL_WIDTH: f32 = 96.0;
const CUT: &str = "The rest is left out: the document is too long.";

/// What a line is, for assistive technology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The title.
    Title,
    /// A part's heading.
    Heading,
    /// Words.
    Paragraph,
}

/// One line of text at its place, from the page's lower left corner.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Points from the left.
    pub x: f32,
    /// Points from below.
    pub y: f32,
    /// Points.
    pub size: f32,
    /// Bold.
    pub bold: bool,
    /// What it says, in the characters that the fonts have.
    pub text: String,
}

/// Lines of one page that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// What they are.
    pub role: Role,
    /// The lines.
    pub lines: Vec<Line>,
}

/// The pages of a document, each a list of blocks in reading order.
pub fn pages(document: &Document) -> Vec<Vec<Block>> {
    let mut sheet = Sheet { pages: vec![Vec::new()], y: PAGE.1 - MARGIN, full: false };
    sheet.text(Role::Title, &document.title, TITLE_SIZE, true);
    document.sections.iter().for_each(|section| sheet.section(section));
    sheet.pages
}

struct Sheet {
    pages: Vec<Vec<Block>>,
    y: f32,
    full: bool,
}

impl Sheet {
    fn section(&mut self, section: &Section) {
        self.y -= TEXT_SIZE;
        if self.y < MARGIN + 4.0 * HEADING_SIZE {
            self.turn();
        }
        self.text(Role::Heading, section.heading, HEADING_SIZE, true);
        for (label, text) in &section.lines {
            if label.is_empty() {
                self.text(Role::Paragraph, text, TEXT_SIZE, false);
            } else {
                self.pair(label, text);
            }
        }
    }

    fn text(&mut self, role: Role, text: &str, size: f32, bold: bool) {
        let lines = glyphs::lines(text, PAGE.0 - 2.0 * MARGIN, size, bold);
        self.block(role, lines.into_iter().map(|text| vec![(MARGIN, bold, text)]).collect(), size);
    }

    fn pair(&mut self, label: &str, text: &str) {
        let room = PAGE.0 - 2.0 * MARGIN - LABEL_WIDTH;
        let lines = glyphs::lines(text, room, TEXT_SIZE, false);
        let rows = lines.into_iter().enumerate().map(|(row, text)| {
            let label = (row == 0).then(|| (MARGIN, true, glyphs::shown(label)));
            label.into_iter().chain([(MARGIN + LABEL_WIDTH, false, text)]).collect()
        });
        self.block(Role::Paragraph, rows.collect(), TEXT_SIZE);
    }

    /// Rows of `(x, bold, text)`, over as many pages as they need.
    fn block(&mut self, role: Role, rows: Vec<Vec<(f32, bool, String)>>, size: f32) {
        let mut block = Block { role, lines: Vec::new() };
        for row in rows {
            if self.y - size * LEADING < MARGIN {
                self.put(std::mem::replace(&mut block, Block { role, lines: Vec::new() }));
                self.turn();
            }
            if self.full {
                return;
            }
            self.y -= size * LEADING;
            let y = self.y;
            block.lines.extend(row.into_iter().map(|(x, bold, text)| Line { x, y, size, bold, text }));
        }
        self.put(block);
    }

    fn put(&mut self, block: Block) {
        if let Some(page) = self.pages.last_mut()
            && !block.lines.is_empty()
        {
            page.push(block);
        }
    }

    fn turn(&mut self) {
        if self.full {
            return;
        }
        if self.pages.len() == PAGES_MAX {
            let line = Line { x: MARGIN, y: MARGIN - TEXT_SIZE, size: TEXT_SIZE, bold: true, text: CUT.to_owned() };
            self.put(Block { role: Role::Paragraph, lines: vec![line] });
            self.full = true;
            return;
        }
        self.pages.push(Vec::new());
        self.y = PAGE.1 - MARGIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(words: usize) -> Document {
        let section =
            Section { heading: "Outcome", lines: vec![("Notes", "word ".repeat(words)), ("", "End.".into())] };
        Document { title: "Title".into(), sections: vec![section], foot: String::new() }
    }

    #[test]
    fn every_line_is_inside_its_page_and_in_order() {
        let pages = pages(&document(5_000));
        assert!(pages.len() > 3 && pages.len() < PAGES_MAX);
        for page in &pages {
            let lines: Vec<&Line> = page.iter().flat_map(|block| &block.lines).collect();
            assert!(lines.iter().all(|line| line.y >= MARGIN - TEXT_SIZE && line.y <= PAGE.1 - MARGIN));
            assert!(lines.windows(2).all(|pair| pair[0].y >= pair[1].y));
        }
        let last = pages.last().and_then(|page| page.last());
        assert_eq!(last.map(|block| block.lines[0].text.as_str()), Some("End."));
    }

    #[test]
    fn a_document_without_end_is_cut_and_says_so() {
        let pages = pages(&document(100_000));
        assert_eq!(pages.len(), PAGES_MAX);
        let last = pages.last().and_then(|page| page.last());
        assert_eq!(last.map(|block| block.lines[0].text.as_str()), Some(CUT));
    }
}
