//! A document as PDF: text in the built-in Helvetica, tagged for assistive technology, with title
//! and language. <https://opensource.adobe.com/dc-acrobat-sdk-docs/pdfstandards/PDF32000_2008.pdf>
//!
//! Nothing in it but the document decides its bytes: no dates, no random ids. Not PDF/A or PDF/UA,
//! which want embedded fonts.

use pdf_writer::types::StructRole;
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::layout::{self, Block, Line, MARGIN, PAGE, Role};
use super::{Document, LANGUAGE, glyphs};

const REGULAR: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");
const FOOT_SIZE: f32 = 9.0;

const CATALOG: i32 = 1;
const PAGES: i32 = 2;
const FONTS: [i32; 2] = [3, 4];
const DETAILS: i32 = 5;
const TREE: i32 = 6;
const WHOLE: i32 = 7;
const FIRST_FREE: i32 = 8;

/// One page: its reference, that of its content, and those of its structure elements in order.
struct Sheet {
    page: Ref,
    content: Ref,
    elements: Vec<(Ref, Role)>,
}

/// The file.
pub fn file(document: &Document) -> Vec<u8> {
    let pages = layout::pages(document);
    let sheets = sheets(&pages);
    let mut pdf = Pdf::new();
    pdf.set_version(1, 7);
    catalog(&mut pdf);
    pdf.pages(Ref::new(PAGES)).kids(sheets.iter().map(|sheet| sheet.page)).count(count(sheets.len()));
    for (font, name) in FONTS.into_iter().zip([b"Helvetica".as_slice(), b"Helvetica-Bold".as_slice()]) {
        pdf.type1_font(Ref::new(font)).base_font(Name(name)).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    pdf.document_info(Ref::new(DETAILS)).title(TextStr(&document.title)).producer(TextStr("Fingerpost"));
    for (number, (sheet, blocks)) in sheets.iter().zip(&pages).enumerate() {
        let foot = format!("{} - page {} of {}", document.foot, number + 1, pages.len());
        pdf.stream(sheet.content, &content(blocks, &foot));
        page(&mut pdf, sheet, number);
    }
    structure(&mut pdf, &sheets);
    pdf.finish()
}

fn count(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

fn sheets(pages: &[Vec<Block>]) -> Vec<Sheet> {
    let mut next = Ref::new(FIRST_FREE);
    let of = |blocks: &Vec<Block>| Sheet {
        page: next.bump(),
        content: next.bump(),
        elements: blocks.iter().map(|block| (next.bump(), block.role)).collect(),
    };
    pages.iter().map(of).collect()
}

fn catalog(pdf: &mut Pdf) {
    let mut catalog = pdf.catalog(Ref::new(CATALOG));
    catalog.pages(Ref::new(PAGES)).lang(TextStr(LANGUAGE));
    catalog.viewer_preferences().display_doc_title(true);
    catalog.mark_info().marked(true);
    catalog.pair(Name(b"StructTreeRoot"), Ref::new(TREE));
}

fn page(pdf: &mut Pdf, sheet: &Sheet, number: usize) {
    let mut page = pdf.page(sheet.page);
    page.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1));
    page.parent(Ref::new(PAGES)).contents(sheet.content).struct_parents(count(number));
    let mut resources = page.resources();
    resources.fonts().pair(REGULAR, Ref::new(FONTS[0])).pair(BOLD, Ref::new(FONTS[1]));
    resources.finish();
}

fn content(blocks: &[Block], foot: &str) -> Vec<u8> {
    let mut content = Content::new();
    for (id, block) in blocks.iter().enumerate() {
        let mut marked = content.begin_marked_content_with_properties(tag(block.role));
        marked.properties().identify(count(id));
        marked.finish();
        for (at, line) in block.lines.iter().enumerate() {
            // A blank, so that a reader of the structure does not join two lines' words.
            show(&mut content, line, if at + 1 < block.lines.len() { " " } else { "" });
        }
        content.end_marked_content();
    }
    content.begin_marked_content(Name(b"Artifact"));
    let text = glyphs::shown(foot);
    show(&mut content, &Line { x: MARGIN, y: MARGIN / 2.0, size: FOOT_SIZE, bold: false, text }, "");
    content.end_marked_content();
    content.finish().to_vec()
}

fn show(content: &mut Content, line: &Line, after: &str) {
    content.begin_text();
    content.set_font(if line.bold { BOLD } else { REGULAR }, line.size);
    content.next_line(line.x, line.y).show(Str(&glyphs::bytes(&format!("{}{after}", line.text))));
    content.end_text();
}

fn tag(role: Role) -> Name<'static> {
    match role {
        Role::Title => Name(b"H1"),
        Role::Heading => Name(b"H2"),
        Role::Paragraph => Name(b"P"),
    }
}

/// The logical structure: one Document, in it each block, and from each page's marks to the blocks.
fn structure(pdf: &mut Pdf, sheets: &[Sheet]) {
    let mut tree = pdf.indirect(Ref::new(TREE)).dict();
    tree.pair(Name(b"Type"), Name(b"StructTreeRoot"));
    tree.pair(Name(b"K"), Ref::new(WHOLE));
    tree.pair(Name(b"ParentTreeNextKey"), count(sheets.len()));
    let mut parents = tree.insert(Name(b"ParentTree")).dict();
    let mut numbers = parents.insert(Name(b"Nums")).array();
    for (number, sheet) in sheets.iter().enumerate() {
        numbers.item(count(number));
        numbers.push().array().items(sheet.elements.iter().map(|(element, _)| *element));
    }
    numbers.finish();
    parents.finish();
    tree.finish();
    let all = sheets.iter().flat_map(|sheet| sheet.elements.iter().map(|(element, _)| *element));
    let mut whole = pdf.struct_element(Ref::new(WHOLE));
    whole.kind(StructRole::Document).parent(Ref::new(TREE));
    let mut children = whole.children();
    all.for_each(|element| {
        children.struct_element(element);
    });
    children.finish();
    whole.finish();
    for sheet in sheets {
        for (mark, (element, role)) in sheet.elements.iter().enumerate() {
            let kind = match role {
                Role::Title => StructRole::H1,
                Role::Heading => StructRole::H2,
                Role::Paragraph => StructRole::P,
            };
            let mut block = pdf.struct_element(*element);
            block.kind(kind).parent(Ref::new(WHOLE)).page(sheet.page);
            block.children().marked_content_id(count(mark));
        }
    }
}
