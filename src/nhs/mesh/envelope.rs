//! What stands on a message that was fetched. Only what the gateway goes by is kept: the subject,
//! the file name and the recipient may hold a person's data and are left.

use super::fault::is_code;

/// The longest mailbox, workflow or message id that is believed, in characters.
const NAME_CHARS_MAX: usize = 300;

/// What stands on a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// MESH's id of it: opaque.
    pub id: String,
    /// A message, or a report on one.
    pub kind: Kind,
    /// The workflow, such as `GPCONNECT_UPDATE_RECORD_ACK`; empty where none stands.
    pub workflow: String,
    /// The sender's mailbox; empty on a report.
    pub from: String,
    /// The media type of the whole, such as `application/fhir+xml`; empty where none stands.
    pub content_type: String,
    /// Chunks of the whole; 0 on a report.
    pub chunks: u32,
}

/// What kind of message it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A message.
    Data,
    /// MESH's word that a message of ours was not delivered. Its body is empty.
    Report(Report),
    /// Neither `DATA` nor `REPORT`: not of this interface.
    Unknown,
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// MESH's id of the message that was not delivered; empty where none stands.
    pub linked: String,
    /// The sender's own id of it; empty where none stands.
    pub local: String,
    /// The code, such as `14`; empty where none stands.
    pub code: String,
}

impl Envelope {
    /// Reads the headers of a fetched message; `header` gives one's text by its lower-case name. What
    /// cannot be read is left out: a message with strange headers is kept like any other.
    pub fn read(id: &str, header: impl Fn(&str) -> Option<String>) -> Self {
        let name = |name: &str| header(name).filter(|text| is_name(text)).unwrap_or_default();
        let kind = match header("mex-messagetype").unwrap_or_default().to_ascii_uppercase().as_str() {
            "DATA" | "" => Kind::Data,
            "REPORT" => Kind::Report(Report {
                linked: name("mex-linkedmsgid"),
                local: name("mex-localid"),
                code: header("mex-statuscode").filter(|code| is_code(code)).unwrap_or_default(),
            }),
            _ => Kind::Unknown,
        };
        let chunks = chunks(header("mex-chunk-range").as_deref(), header("mex-total-chunks").as_deref());
        let content_type = header("mex-content-type").or_else(|| header("content-type")).unwrap_or_default();
        Self {
            id: id.to_owned(),
            kind,
            workflow: name("mex-workflowid"),
            from: name("mex-from"),
            content_type: if is_name(&content_type) { content_type } else { String::new() },
            chunks,
        }
    }
}

/// The total of `n:m`, or of `mex-total-chunks`; one where neither says a number.
fn chunks(range: Option<&str>, total: Option<&str>) -> u32 {
    let total = range.and_then(|range| range.split_once(':')).map(|(_, total)| total).or(total);
    total.and_then(|total| total.trim().parse().ok()).unwrap_or(1)
}

/// True for what may be a name: visible ASCII of a sensible length.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Envelope {
        let find = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        Envelope::read("20200529155357895317_3573F8", find)
    }

    #[test]
    fn a_report_is_read_by_its_headers_alone() {
        let report = read(&[
            ("mex-messagetype", "REPORT"),
            ("mex-chunk-range", "1:0"),
            ("mex-linkedmsgid", "20200529155357895317_000001"),
            ("mex-statuscode", "14"),
            ("mex-statussuccess", "ERROR"),
            ("mex-localid", "FPG01"),
        ]);
        let Kind::Report(said) = report.kind else { panic!("a report") };
        assert_eq!((said.code.as_str(), said.linked.as_str()), ("14", "20200529155357895317_000001"));
        assert_eq!((report.chunks, report.from.as_str()), (0, ""));
    }

    #[test]
    fn a_message_says_how_many_chunks_it_has() {
        let chunks = |headers: &[(&str, &str)]| read(headers).chunks;
        assert_eq!(chunks(&[("mex-messagetype", "DATA"), ("mex-chunk-range", "1:3")]), 3);
        assert_eq!(chunks(&[("mex-total-chunks", "2")]), 2);
        assert_eq!(chunks(&[]), 1);
        assert_eq!(chunks(&[("mex-chunk-range", "1:many")]), 1);
        assert_eq!(read(&[("mex-messagetype", "LETTER")]).kind, Kind::Unknown);
    }

    #[test]
    fn subject_file_name_and_recipient_are_left() {
        let held = read(&[("mex-subject", "Synthetic"), ("mex-filename", "Synthetic"), ("mex-to", "Synthetic")]);
        assert!(!format!("{held:?}").contains("Synthetic"));
    }
}
