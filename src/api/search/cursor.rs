//! Addresses of pages: the search as it was understood, and where to go on.
//!
//! A cursor carries no rights (rows are judged anew on each page). It is bound to its search by a
//! checksum, so that one from another search, or made up, is refused and not misread.

use url::form_urlencoded;

use super::super::exchange::Exchange;
use crate::fhir::ids::stable_id;
use crate::rejection::{IssueType, Rejection};
use crate::store::Cursor;

/// The parameter that carries it.
pub const PARAMETER: &str = "_cursor";
/// Digits of the checksum.
const CHECK_CHARS: usize = 12;

/// The address of a page: `next` goes on after the cursor.
pub fn address(exchange: &Exchange, kind: &str, used: &[(String, String)], next: Option<Cursor>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(used);
    if let Some(cursor) = next {
        let words = format!("{}.{}", cursor.last, cursor.newest);
        query.append_pair(PARAMETER, &format!("{words}.{}", check(used, &words)));
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{kind}{mark}{query}", exchange.base)
}

/// The cursor of a request.
///
/// # Errors
/// 400 where it is not one that the gateway gave for this search.
pub fn read(exchange: &Exchange) -> Result<Option<Cursor>, Rejection> {
    let Some(text) = exchange.parameter(PARAMETER) else { return Ok(None) };
    parse(text, &exchange.query).map(Some).ok_or_else(|| {
        Rejection::bad_request(IssueType::Value, "_cursor is not one that the gateway gave for this search")
    })
}

fn parse(text: &str, query: &[(String, String)]) -> Option<Cursor> {
    let used: Vec<_> = query.iter().filter(|(name, _)| name != PARAMETER && name != "_format").cloned().collect();
    let (words, sum) = text.rsplit_once('.')?;
    let (last, newest) = words.split_once('.')?;
    let cursor = Cursor { last: last.parse().ok()?, newest: newest.parse().ok()? };
    (check(&used, words) == sum).then_some(cursor)
}

fn check(used: &[(String, String)], words: &str) -> String {
    let mut parts = vec!["cursor", words];
    parts.extend(used.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    stable_id(&parts).simple().to_string().chars().take(CHECK_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_search() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let used = [pair("status", "active")];
        let text = format!("5.9.{}", check(&used, "5.9"));
        assert_eq!(parse(&text, &used), Some(Cursor { last: 5, newest: 9 }));
        assert_eq!(parse(&text, &[pair("status", "revoked")]), None);
        assert_eq!(parse("5.9.000000000000", &used), None);
        assert_eq!(parse("nonsense", &used), None);
    }
}
