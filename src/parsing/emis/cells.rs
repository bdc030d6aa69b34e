//! Cells that come in several spellings: GUIDs, booleans, processing ids.

/// A GUID in upper case without braces; `None` when it is not one.
pub fn guid(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
    let shaped = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    shaped.then(|| text.to_ascii_uppercase())
}

/// `true` or `false` in any case, `1` or `0`; blank and anything else is not stated.
pub fn boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") || text == "1" {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") || text == "0" {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_lose_braces_and_case() {
        let bare = "2E3B7F41-BEC8-4466-BFEC-6EA98547A6B5";
        assert_eq!(guid("{2e3b7f41-bec8-4466-bfec-6ea98547a6b5}").as_deref(), Some(bare));
        assert_eq!(guid(bare).as_deref(), Some(bare));
        assert_eq!(guid("{2e3b7f41-bec8-4466-bfec-6ea98547a6b5"), None);
        assert_eq!(guid("2E3B7F41xBEC8-4466-BFEC-6EA98547A6B5"), None);
    }

    #[test]
    fn booleans_come_in_any_case_and_blank_is_not_stated() {
        for (text, value) in
            [("true", Some(true)), ("TRUE", Some(true)), ("False", Some(false)), ("", None), ("?", None)]
        {
            assert_eq!(boolean(text), value, "{text}");
        }
    }
}
