//! ITK3 Response (ITK008M): what a practice's system says of a message, read and made.
//! <https://nhsconnect.github.io/ITK3-FHIR-Messaging-Distribution/explore_response_structure.html>
//!
//! An infrastructure and a business response have the same form and the same event, so which of
//! them it is, its codes say. The published tables put 10xxx and 20xxx in infrastructure responses
//! and 30xxx in business responses: one 30xxx makes it a business response; anything else,
//! the older ITK-Acknowledgement-1 included, is taken as infrastructure, the weaker claim, so that
//! a business response is still waited for.
//!
//! A code that says no outweighs `ok`. 20007 and 20008 (duplicate message, duplicate document) say
//! that the practice has it already: sent again it would be there twice, so they are no refusal.

use jiff::Timestamp;
use uuid::Uuid;

use super::terms;
use super::tree::{self, Node, Unreadable, bare};
use crate::fhir::ids::{ODS, OdsCode};
use crate::writeback::acknowledge::{Stage, Verdict};

/// `MessageHeader.event` of a response.
pub const EVENT: &str = "ITK008M";
/// Codes that one response may carry; the rest is not read.
pub const CODES_MAX: usize = 50;

const DUPLICATE: [&str; 2] = ["20007", "20008"];
const GOOD: [&str; 3] = ["20013", "30001", "30004"];

/// A response, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedResponse {
    /// Its own id.
    pub id: String,
    /// The id of the message that it answers.
    pub answers: String,
    /// Infrastructure or business.
    pub stage: Stage,
    /// What it says.
    pub verdict: Verdict,
    /// `(code, display)`, in the order given.
    pub codes: Vec<(String, String)>,
}

/// Reads a response, XML or JSON.
///
/// # Errors
/// When the bytes are no FHIR document, not an ITK008M message, or do not say which message they
/// answer, with what `response.code`.
pub fn parse(bytes: &[u8]) -> Result<ParsedResponse, Unreadable> {
    let bundle = tree::read(bytes)?;
    let header = bundle.resource("MessageHeader").ok_or_else(|| lacks("no MessageHeader"))?;
    if header.text("event/code") != EVENT {
        return Err(lacks("an event that is not ITK008M"));
    }
    let answers = canonical(header.text("response/identifier"));
    if answers.is_empty() || header.text("id").is_empty() {
        return Err(lacks("no id, or no response.identifier"));
    }
    let codes = codes(&bundle, header);
    let said = match header.text("response/code") {
        "ok" => Verdict::Accepted,
        "transient-error" => Verdict::Transient,
        "fatal-error" => Verdict::Refused,
        _ => return Err(lacks("no response.code of ok, transient-error or fatal-error")),
    };
    Ok(ParsedResponse {
        id: canonical(header.text("id")),
        answers,
        stage: stage(&codes),
        verdict: verdict(said, &codes),
        codes,
    })
}

/// An id as it was sent: systems give UUIDs back in capitals, or with `urn:uuid:`.
fn canonical(id: &str) -> String {
    let id = bare(id.trim());
    Uuid::parse_str(id).map_or_else(|_| id.to_owned(), |uuid| uuid.to_string())
}

fn lacks(what: &str) -> Unreadable {
    Unreadable(format!("an acknowledgement with {what}"))
}

/// The codes of the OperationOutcome that `response.details` names; of the first, where it names none.
fn codes(bundle: &Node, header: &Node) -> Vec<(String, String)> {
    let named = header.text("response/details/reference");
    let contained = || header.all("contained").filter_map(|one| one.children.first());
    let outcome = contained()
        .find(|resource| resource.text("id") == bare(named))
        .or_else(|| bundle.resolve(named).filter(|resource| resource.name == "OperationOutcome"))
        .or_else(|| bundle.resource("OperationOutcome"));
    let issues = outcome.into_iter().flat_map(|outcome| outcome.all("issue"));
    let codings = issues.flat_map(|issue| issue.all("details")).flat_map(|details| details.all("coding"));
    codings.map(|coding| (coding.text("code").to_owned(), coding.text("display").to_owned())).take(CODES_MAX).collect()
}

fn is_of(code: &str, first: char) -> bool {
    code.len() == 5 && code.starts_with(first) && code.bytes().all(|byte| byte.is_ascii_digit())
}

fn stage(codes: &[(String, String)]) -> Stage {
    let business = codes.iter().any(|(code, _)| is_of(code, '3'));
    if business { Stage::Business } else { Stage::Infrastructure }
}

fn verdict(said: Verdict, codes: &[(String, String)]) -> Verdict {
    let refuses = |code: &str| match code {
        code if GOOD.contains(&code) || DUPLICATE.contains(&code) => false,
        "30002" | "30003" => true,
        code => is_of(code, '1') || is_of(code, '2'),
    };
    let refused = codes.iter().any(|(code, _)| refuses(code));
    let duplicate = codes.iter().any(|(code, _)| DUPLICATE.contains(&code.as_str()));
    match said {
        Verdict::Accepted if refused => Verdict::Refused,
        Verdict::Refused if duplicate && !refused => Verdict::Accepted,
        other => other,
    }
}

/// Makes a response as a practice's system would: for the simulated one and for tests.
///
/// Without `codes` it carries the usual one of its stage and verdict. `id` is its own.
pub fn compose(
    answers: &str,
    stage: Stage,
    verdict: Verdict,
    codes: &[&str],
    id: Uuid,
    sender: &OdsCode,
    at: Timestamp,
) -> Vec<u8> {
    let usual = [usual(stage, verdict)];
    let codes = if codes.is_empty() { &usual[..] } else { codes };
    let (organisation, outcome) = (part(id, "organisation"), part(id, "outcome"));
    let entries = [
        entry(id, header(answers, verdict, id, organisation, outcome, at)),
        entry(organisation, header_organisation(organisation, sender)),
        entry(outcome, operation_outcome(outcome, verdict, codes)),
    ];
    let identity = [
        Node::leaf("id", part(id, "bundle").to_string()),
        Node::of("meta", [Node::leaf("profile", terms::profile("ITK-Message-Bundle-1"))]),
        Node::leaf("type", "message"),
    ];
    tree::print(&Node::of("Bundle", identity.into_iter().chain(entries)))
}

fn part(id: Uuid, what: &str) -> Uuid {
    crate::fhir::ids::stable_id(&["itk3-response", &id.to_string(), what])
}

fn usual(stage: Stage, verdict: Verdict) -> &'static str {
    match (stage, verdict) {
        (Stage::Business, Verdict::Accepted) => "30001",
        (Stage::Business, _) => "30002",
        (_, Verdict::Accepted) => "20013",
        (_, Verdict::Refused) => "20009",
        (_, Verdict::Transient) => "10001",
    }
}

fn header(answers: &str, verdict: Verdict, id: Uuid, sender: Uuid, outcome: Uuid, at: Timestamp) -> Node {
    let said = match verdict {
        Verdict::Accepted => "ok",
        Verdict::Transient => "transient-error",
        Verdict::Refused => "fatal-error",
    };
    let refer = |name: &str, to: Uuid| Node::of(name, [Node::leaf("reference", format!("urn:uuid:{to}"))]);
    let no = |url: &str| Node::extension(url, [Node::leaf("valueBoolean", "false")]);
    Node::of(
        "MessageHeader",
        [
            Node::leaf("id", id.to_string()),
            Node::of("meta", [Node::leaf("profile", terms::profile("ITK-MessageHeader-2"))]),
            Node::extension(terms::HANDLING, [no("BusAckRequested"), no("InfAckRequested")]),
            Node::of(
                "event",
                [Node::leaf("system", terms::EVENT), Node::leaf("code", EVENT), Node::leaf("display", "ITK Response")],
            ),
            refer("sender", sender),
            Node::leaf("timestamp", at.to_string()),
            Node::of("source", [Node::leaf("endpoint", "urn:simulated:practice")]),
            Node::of(
                "response",
                [Node::leaf("identifier", answers), Node::leaf("code", said), refer("details", outcome)],
            ),
            refer("focus", outcome),
        ],
    )
}

fn header_organisation(id: Uuid, ods: &OdsCode) -> Node {
    Node::of(
        "Organization",
        [
            Node::leaf("id", id.to_string()),
            Node::of("meta", [Node::leaf("profile", terms::profile("CareConnect-ITK-Header-Organization-1"))]),
            Node::of("identifier", [Node::leaf("system", ODS), Node::leaf("value", ods.as_str())]),
        ],
    )
}

fn operation_outcome(id: Uuid, verdict: Verdict, codes: &[&str]) -> Node {
    let (severity, kind) = match verdict {
        Verdict::Accepted => ("information", "informational"),
        Verdict::Transient => ("error", "transient"),
        Verdict::Refused => ("fatal", "processing"),
    };
    let issue = |code: &&str| {
        let coding = [
            Node::leaf("system", terms::RESPONSE_CODES),
            Node::leaf("code", *code),
            Node::leaf("display", terms::answer(code)),
        ];
        let details = Node::of("details", [Node::of("coding", coding)]);
        Node::of("issue", [Node::leaf("severity", severity), Node::leaf("code", kind), details])
    };
    let identity = [
        Node::leaf("id", id.to_string()),
        Node::of("meta", [Node::leaf("profile", terms::profile("ITK-Response-OperationOutcome-1"))]),
    ];
    Node::of("OperationOutcome", identity.into_iter().chain(codes.iter().map(issue)))
}

fn entry(id: Uuid, resource: Node) -> Node {
    Node::of("entry", [Node::leaf("fullUrl", format!("urn:uuid:{id}")), Node::of("resource", [resource])])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    const ANSWERED: &str = "108805b4-32df-464d-a0a6-11c37afd74f2";

    fn round(stage: Stage, verdict: Verdict, codes: &[&str]) -> (Stage, Verdict, Vec<String>) {
        let practice = OdsCode::parse("P84001").unwrap();
        let bytes = compose(ANSWERED, stage, verdict, codes, Uuid::from_u128(7), &practice, Timestamp::UNIX_EPOCH);
        let read = parse(&bytes).unwrap();
        assert_eq!((read.answers.as_str(), read.id), (ANSWERED, Uuid::from_u128(7).to_string()));
        (read.stage, read.verdict, read.codes.into_iter().map(|(code, _)| code).collect())
    }

    #[test]
    fn what_is_made_is_read_again() {
        for stage in [Stage::Infrastructure, Stage::Business] {
            for verdict in [Verdict::Accepted, Verdict::Refused] {
                let (read, said, codes) = round(stage, verdict, &[]);
                assert_eq!((read, said, codes.len()), (stage, verdict, 1));
            }
        }
        let transient = round(Stage::Infrastructure, Verdict::Transient, &[]);
        assert_eq!((transient.0, transient.1), (Stage::Infrastructure, Verdict::Transient));
    }

    #[test]
    fn codes_decide_the_stage_and_outweigh_ok() {
        assert_eq!(round(Stage::Infrastructure, Verdict::Refused, &["20010"]).0, Stage::Infrastructure);
        assert_eq!(round(Stage::Infrastructure, Verdict::Accepted, &["20013", "30001"]).0, Stage::Business);
        assert_eq!(round(Stage::Business, Verdict::Accepted, &["30003"]).1, Verdict::Refused);
        assert_eq!(round(Stage::Infrastructure, Verdict::Accepted, &["20009"]).1, Verdict::Refused);
        assert_eq!(round(Stage::Infrastructure, Verdict::Accepted, &["RC001"]).0, Stage::Infrastructure);
    }

    #[test]
    fn a_duplicate_is_with_the_practice_already() {
        let (stage, verdict, _) = round(Stage::Infrastructure, Verdict::Refused, &["20007"]);
        assert_eq!((stage, verdict), (Stage::Infrastructure, Verdict::Accepted));
        assert_eq!(round(Stage::Infrastructure, Verdict::Refused, &["20008", "20009"]).1, Verdict::Refused);
    }

    #[test]
    fn json_with_an_older_code_system_and_a_contained_outcome_is_read() {
        let json = serde_json::json!({"resourceType": "Bundle", "type": "message", "entry": [{
            "fullUrl": "urn:uuid:1", "resource": {"resourceType": "MessageHeader", "id": "1",
            "contained": [{"resourceType": "OperationOutcome", "id": "o", "issue": [{"severity": "fatal",
                "code": "processing", "details": {"coding": [{"code": "RC002", "display": "No such patient"}]}}]}],
            "event": {"code": "ITK008M"},
            "response": {"identifier": "urn:uuid:m-1", "code": "fatal-error", "details": {"reference": "#o"}}}}]});
        let read = parse(json.to_string().as_bytes()).unwrap();
        assert_eq!((read.answers.as_str(), read.verdict, read.stage), ("m-1", Verdict::Refused, Stage::Infrastructure));
        assert_eq!(read.codes, [("RC002".to_owned(), "No such patient".to_owned())]);
    }

    #[test]
    fn an_id_in_capitals_is_the_same_id() {
        let capitals = round_bytes().replace(ANSWERED, &format!(" urn:uuid:{} ", ANSWERED.to_uppercase()));
        assert_eq!(parse(capitals.as_bytes()).map(|read| read.answers).as_deref(), Ok(ANSWERED));
    }

    #[test]
    fn damage_is_named_and_no_text_of_it_repeated() {
        let good = round_bytes();
        for (from, to) in [("ITK008M", "ITK007C"), ("<response>", "<other>"), ("\"ok\"", "\"maybe\""), (ANSWERED, "")] {
            let text = good
                .replace(from, to)
                .replace("</response>", if from == "<response>" { "</other>" } else { "</response>" });
            let fault = parse(text.as_bytes()).unwrap_err();
            assert!(fault.0.starts_with("an acknowledgement with") && !fault.0.contains("maybe"), "{fault}");
        }
        for cut in [0, 10, good.len() / 2, good.len() - 5] {
            assert!(parse(&good.as_bytes()[..cut]).is_err());
        }
    }

    fn round_bytes() -> String {
        let practice = OdsCode::parse("P84001").unwrap();
        let at = Timestamp::UNIX_EPOCH;
        String::from_utf8(compose(ANSWERED, Stage::Business, Verdict::Accepted, &[], Uuid::nil(), &practice, at))
            .unwrap()
    }
}
