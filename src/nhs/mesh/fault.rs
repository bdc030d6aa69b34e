//! Why MESH did not do it, and what to do about it.
//!
//! The server's own words are not repeated: they may hold an address with a person's data. What
//! is kept of an answer is its status and, where it is one, the code.
//! <https://digital.nhs.uk/developer/api-catalogue/message-exchange-for-social-care-and-health-api>

use serde_json::Value;

/// The longest error code that is believed to be one, in characters.
const CODE_CHARS_MAX: usize = 12;

/// Why a call failed. No text of it holds patient data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeshError {
    /// No connection was made: nothing left the house.
    #[error("no connection to MESH could be made")]
    Unreached,
    /// The request left, or may have left, and no whole answer came: it may have been done.
    #[error("MESH gave no whole answer: {0}")]
    Unanswered(&'static str),
    /// MESH said no.
    #[error("MESH answered {status}{}: {}", code.as_ref().map(|code| format!(" (code {code})")).unwrap_or_default(), refusal.advice())]
    Refused {
        /// The HTTP status.
        status: u16,
        /// MESH's own code, such as `12` or `EPL-151`.
        code: Option<String>,
        /// What kind of no it is.
        refusal: Refusal,
    },
    /// The answer is not what the interface says.
    #[error("MESH's answer could not be read: {0}")]
    Unreadable(&'static str),
    /// Larger than this gateway sends or fetches.
    #[error("{what} is larger than {limit} (mesh.{key})")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// The limit, in the key's units.
        limit: usize,
        /// The key that sets it.
        key: &'static str,
    },
    /// The message cannot be put in a request.
    #[error("the message cannot be sent by MESH: {0}")]
    Unsendable(String),
}

/// The kinds of no, each with what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400, and code 06, 07, 08, 11: a header is missing or malformed.
    Malformed,
    /// 401, 403: the token is wrong, stale or was used before; or the mailbox may not do this.
    NotAuthorised,
    /// 404: there is no such message, or it is another mailbox's.
    NoSuchMessage,
    /// 410: the message expired or failed.
    Gone,
    /// 406, 423, and a chunk that 417 refuses: chunks are out of order, or the message is whole already.
    Chunk,
    /// 417 with code 12, EPL-151: no such recipient.
    UnknownRecipient,
    /// 417 with code 02: an empty body.
    EmptyBody,
    /// Code 16, 17: the workflow is not allowed for one of the mailboxes.
    Workflow,
    /// 425, 429: too much at once.
    TooMany,
    /// 5xx: MESH's own trouble.
    Unavailable,
    /// Anything else.
    Other,
}

impl Refusal {
    /// Of a status and code.
    pub fn of(status: u16, code: Option<&str>) -> Self {
        match (status, code) {
            (_, Some("12" | "EPL-150" | "EPL-151")) => Self::UnknownRecipient,
            (_, Some("16" | "17" | "18")) => Self::Workflow,
            (417, Some("02" | "MissingDataFile")) => Self::EmptyBody,
            (_, Some("06" | "07" | "08" | "09" | "11")) | (400 | 422, _) => Self::Malformed,
            (401 | 403, _) => Self::NotAuthorised,
            (404, _) => Self::NoSuchMessage,
            (410, _) => Self::Gone,
            (406 | 423 | 417, _) => Self::Chunk,
            (425 | 429, _) => Self::TooMany,
            (500..=599, _) => Self::Unavailable,
            _ => Self::Other,
        }
    }

    /// What it means and what to do.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Malformed => "a header is missing or malformed; a fault of this gateway, to be reported",
            Self::NotAuthorised => {
                "the token was refused; look at mesh.mailbox, its password and shared key, this machine's clock \
                 and the certificate"
            }
            Self::NoSuchMessage => "there is no such message for this mailbox",
            Self::Gone => "the message has expired or failed",
            Self::Chunk => "a chunk was refused; the message must be sent anew from its first chunk",
            Self::UnknownRecipient => "no one mailbox answers to this recipient; look at the practice's mailbox",
            Self::EmptyBody => "the message is empty",
            Self::Workflow => "the workflow is not allowed between these mailboxes; ask the national service desk",
            Self::TooMany => "too many requests; trying again later",
            Self::Unavailable => "MESH is in trouble; trying again later",
            Self::Other => "not an answer of the MESH interface; is mesh.url right?",
        }
    }

    /// True when the same request may succeed later without anybody's doing.
    pub const fn passes(self) -> bool {
        matches!(self, Self::TooMany | Self::Unavailable)
    }
}

impl MeshError {
    /// From an answer that is not a success.
    pub fn answered(status: u16, body: &[u8]) -> Self {
        let code = code(body);
        let refusal = Refusal::of(status, code.as_deref());
        Self::Refused { status, code, refusal }
    }

    /// True when nothing was done and the same call may succeed later.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreached => true,
            Self::Refused { refusal, .. } => refusal.passes(),
            _ => false,
        }
    }

    /// The kind of no, where MESH said one.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(*refusal),
            _ => None,
        }
    }
}

/// MESH's code in an answer's body: `{"detail":[{"event","code","msg"}]}` of version 2, or
/// `{"errorCode"}` of version 1.
fn code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let detail = &body["detail"];
    let places = [&detail[0]["code"], &detail["code"], &detail["errorCode"], &body["errorCode"]];
    places.into_iter().find_map(Value::as_str).filter(|code| is_code(code)).map(str::to_owned)
}

/// True for what may be a code: short, capitals, digits and hyphens.
pub(super) fn is_code(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= CODE_CHARS_MAX && text.bytes().all(plain)
}

/// What a code of a REPORT means, in words. <https://digital.nhs.uk/developer/api-catalogue/message-exchange-for-social-care-and-health-api>
pub fn report_code(code: &str) -> &'static str {
    match code {
        "02" => "the data was missing",
        "06" => "the headers were malformed",
        "07" => "the sender's address was refused",
        "08" => "there was no recipient",
        "11" => "the message type was refused",
        "12" => "the recipient is not registered",
        "14" => "it was not collected in 5 days",
        "15" => "the file was refused",
        "16" | "17" => "the workflow is not allowed between these mailboxes",
        "EPL-150" => "several mailboxes match the person's practice",
        "EPL-151" => "no mailbox matches the person's practice",
        "EPL-152" => "the NHS number in the address is not valid",
        "EPL-153" => "the NHS number in the address was not found",
        "EPL-154" => "the person's details do not agree with the NHS number",
        _ => "it was not delivered",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> (Option<Refusal>, String) {
        let fault = MeshError::answered(status, body.as_bytes());
        (fault.refusal(), fault.to_string())
    }

    #[test]
    fn each_answer_has_its_kind() {
        let code = |code: &str| format!(r#"{{"detail":[{{"event":"SEND","code":"{code}","msg":"m"}}]}}"#);
        for (status, body, kind) in [
            (400, String::new(), Refusal::Malformed),
            (403, r#"{"detail":[{"msg":"Invalid Authentication Token"}]}"#.into(), Refusal::NotAuthorised),
            (404, code("20"), Refusal::NoSuchMessage),
            (406, String::new(), Refusal::Chunk),
            (410, String::new(), Refusal::Gone),
            (417, code("12"), Refusal::UnknownRecipient),
            (417, code("02"), Refusal::EmptyBody),
            (417, r#"{"errorEvent":"SEND","errorCode":"12"}"#.into(), Refusal::UnknownRecipient),
            (417, code("INVALID"), Refusal::Chunk),
            (423, String::new(), Refusal::Chunk),
            (403, code("17"), Refusal::Workflow),
            (429, String::new(), Refusal::TooMany),
            (503, "<html>".into(), Refusal::Unavailable),
            (302, String::new(), Refusal::Other),
        ] {
            assert_eq!(refusal(status, &body).0, Some(kind), "{status} {body}");
        }
    }

    #[test]
    fn the_servers_words_are_not_repeated() {
        let body = r#"{"detail":[{"code":"GPPROVIDER_9990000018_01011950_Synthetic","msg":"Synthetic 9990000018"}]}"#;
        let (_, text) = refusal(417, body);
        assert!(!text.contains("999") && !text.contains("Synthetic"), "{text}");
        assert!(refusal(417, r#"{"detail":[{"code":"12"}]}"#).1.contains("code 12"));
    }

    #[test]
    fn only_trouble_of_the_moment_passes() {
        assert!(MeshError::Unreached.passes() && MeshError::answered(503, b"").passes());
        for status in [400, 403, 404, 410, 417, 423] {
            assert!(!MeshError::answered(status, b"").passes(), "{status}");
        }
        assert!(!MeshError::Unanswered("no answer in time").passes(), "it may have been done");
    }
}
