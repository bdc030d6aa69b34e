//! What a message from the mailbox becomes: one commit that holds the message, its door key, its audit
//! entry, and either what it brought about or a hold.
//!
//! - An acknowledgement (a workflow that ends in `_ACK`) moves the filing of what it answers.
//! - A REPORT is MESH's own word that a message of ours was not delivered: an acknowledgement of the
//!   carrier. Its body is empty, and nothing is read from it.
//! - All else is held, for a person to look at: nothing is expected here that is not an acknowledgement.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::envelope::{Envelope, Kind, Report};
use super::fault::report_code;
use super::fetch::Mail;
use crate::audit;
use crate::fhir::ids::stable_id;
use crate::gateway::Gateway;
use crate::referral::hold_id;
use crate::rejection::{IssueType, Rejection};
use crate::store::StoreError;
use crate::store::commit::{Cause, Commit, DoorKey, Hold, Message, digest};
use crate::writeback::acknowledge::{Acknowledgement, Stage, Verdict};
use crate::writeback::acknowledged;
use crate::writeback::itk3::response;

/// The word of this way in, in messages, holds and door keys.
pub const CHANNEL: &str = "mesh";
/// How long a message id is remembered. MESH deletes a message after 30 days.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 90);

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It did what it came for.
    Done,
    /// A person must look.
    Held,
}

/// The key that one message takes once.
pub(super) fn door_key(mailbox: &str, id: &str, now: Timestamp) -> DoorKey {
    let key = format!("{mailbox}/{id}");
    DoorKey { scope: CHANNEL, key, digest: String::new(), expires: now.checked_add(REMEMBERED).ok() }
}

/// Commits a message with what it brings about. With `as_it_is` it is held whatever it says: handling
/// it has failed before.
pub(super) async fn keep(
    gateway: &Gateway,
    mailbox: &str,
    mail: &Mail,
    as_it_is: bool,
    now: Timestamp,
) -> Result<Kept, StoreError> {
    let meant = if as_it_is {
        Meant::Hold(Cause::Unreadable, "it could not be handled; the log says why".to_owned())
    } else {
        meant(mail, now)
    };
    let mut commit = Commit {
        keys: vec![door_key(mailbox, &mail.envelope.id, now)],
        message: Some(message(mailbox, mail, now)),
        audit: vec![entry(gateway, &mail.envelope, &meant, now)],
        ..Commit::default()
    };
    let result = match &meant {
        Meant::Acknowledgement(_) => "taken",
        Meant::Hold(..) => "held",
    };
    metrics::counter!("fingerpost_mesh_messages_total", "result" => result).increment(1);
    match meant {
        Meant::Acknowledgement(mut acknowledgement) => {
            if let Kind::Report(report) = &mail.envelope.kind {
                acknowledgement.message = reported_on(gateway, report).await?;
            }
            acknowledged(gateway, acknowledgement, commit).await?;
            Ok(Kept::Done)
        }
        Meant::Hold(cause, detail) => {
            let envelope = &mail.envelope;
            tracing::warn!(message = envelope.id, cause = cause.word(), detail, "a MESH message is held");
            if let Some(message) = &mut commit.message {
                message.outcome = "held";
                commit.holds.push(hold(mailbox, &envelope.id, &message.sender, cause, detail, message.id, now));
            }
            gateway.store.commit(commit).await?;
            Ok(Kept::Held)
        }
    }
}

/// Holds a message whose bytes are not kept.
pub(super) async fn hold_unread(
    gateway: &Gateway,
    mailbox: &str,
    id: &str,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let detail = format!("MESH message {id}: {why}; it stays in the mailbox, to be fetched by other means");
    let hold = hold(mailbox, id, "", Cause::Limit, detail, Uuid::nil(), now);
    gateway.store.commit(Commit { holds: vec![hold], ..Commit::default() }).await.map(|_| ())
}

/// What a message is meant to do.
enum Meant {
    Acknowledgement(Acknowledgement),
    Hold(Cause, String),
}

fn meant(mail: &Mail, now: Timestamp) -> Meant {
    let Envelope { id, workflow, kind, .. } = &mail.envelope;
    match kind {
        Kind::Report(report) => reported(id, report, now),
        Kind::Data if mail.damaged => {
            Meant::Hold(Cause::Unreadable, "a chunk says that it is gzip and cannot be unpacked".to_owned())
        }
        Kind::Data if workflow.ends_with("_ACK") => match response::parse(&mail.bytes) {
            Ok(parsed) => Meant::Acknowledgement(acknowledgement(parsed, now)),
            Err(why) => Meant::Hold(Cause::Unreadable, format!("workflow {workflow}: {why}")),
        },
        Kind::Data => Meant::Hold(
            Cause::NotAReferral,
            format!("workflow {}: only acknowledgements are expected by MESH", named(workflow)),
        ),
        Kind::Unknown => Meant::Hold(Cause::Unreadable, "mex-messagetype is neither DATA nor REPORT".to_owned()),
    }
}

fn named(workflow: &str) -> &str {
    if workflow.is_empty() { "(none)" } else { workflow }
}

fn acknowledgement(parsed: response::ParsedResponse, at: Timestamp) -> Acknowledgement {
    Acknowledgement {
        message: parsed.answers,
        stage: parsed.stage,
        verdict: parsed.verdict,
        codes: parsed.codes,
        id: parsed.id,
        at,
    }
}

/// A report is final: MESH has taken the message back, the one
/// that was not collected in five days (code 14) too, so that another route cannot file it twice.
fn reported(id: &str, report: &Report, at: Timestamp) -> Meant {
    if report.linked.is_empty() {
        return Meant::Hold(Cause::Unreadable, "a REPORT that does not say on which message".to_owned());
    }
    Meant::Acknowledgement(Acknowledgement {
        message: report.linked.clone(),
        stage: Stage::Carrier,
        verdict: Verdict::Refused,
        codes: vec![(report.code.clone(), report_code(&report.code).to_owned())],
        id: id.to_owned(),
        at,
    })
}

/// The message that a report is on, as its filing knows it. After a lost answer MESH's id of it was
/// never told; then the local id says whose it was, which ends in the filing's key.
async fn reported_on(gateway: &Gateway, report: &Report) -> Result<String, StoreError> {
    if gateway.store.filing_of_message(&report.linked).await?.is_none()
        && let Some(key) = report.local.rsplit('_').next().and_then(|key| key.parse::<Uuid>().ok())
        && let Some(filing) = gateway.store.filing(key).await?
        && let Some((_, message)) = filing.messages.last()
    {
        return Ok(message.clone());
    }
    Ok(report.linked.clone())
}

fn message_id(mailbox: &str, id: &str) -> Uuid {
    stable_id(&["mesh-message", mailbox, id])
}

fn message(mailbox: &str, mail: &Mail, now: Timestamp) -> Message {
    let envelope = &mail.envelope;
    let content_type = match envelope.content_type.as_str() {
        "" => "application/octet-stream".to_owned(),
        known => known.to_owned(),
    };
    Message {
        id: message_id(mailbox, &envelope.id),
        channel: CHANNEL.to_owned(),
        sender: if envelope.from.is_empty() { "mesh".to_owned() } else { envelope.from.clone() },
        received_at: now,
        content_type,
        digest: digest(&mail.bytes),
        bytes: mail.bytes.clone(),
        outcome: "committed",
    }
}

fn hold(
    mailbox: &str,
    id: &str,
    from: &str,
    cause: Cause,
    detail: String,
    message: Uuid,
    received_at: Timestamp,
) -> Hold {
    Hold {
        id: hold_id(&format!("mesh/{mailbox}/{id}"), cause),
        cause,
        channel: CHANNEL.to_owned(),
        received_at,
        source: from.to_owned(),
        practice: None,
        detail,
        count: 1,
        referral: None,
        replay: message.to_string(),
    }
}

fn entry(gateway: &Gateway, envelope: &Envelope, meant: &Meant, at: Timestamp) -> audit::Entry {
    let (kind, outcome, detail) = match meant {
        Meant::Acknowledgement(ack) if ack.stage == Stage::Carrier => {
            let code = ack.codes.first().map(|(code, _)| code.as_str()).unwrap_or_default();
            (audit::Kind::WriteBack, audit::Outcome::Success, format!("MESH report {code} on {}", ack.message))
        }
        Meant::Acknowledgement(_) => (
            audit::Kind::WriteBack,
            audit::Outcome::Success,
            format!("acknowledgement by {} from {}", envelope.workflow, envelope.from),
        ),
        Meant::Hold(cause, _) => (audit::Kind::Intake, audit::Outcome::MinorFailure, format!("held: {}", cause.word())),
    };
    let agent = audit::Agent::gateway(&gateway.config.gateway.ods);
    audit::Entry {
        outcome,
        request: envelope.id.clone(),
        detail,
        ..audit::Entry::care(kind, "mesh-inbox", audit::Action::C, agent, at)
    }
}

/// Takes a held message as an acknowledgement again; says in words what came of it.
///
/// # Errors
/// Nothing was kept, it still cannot be read, or the store failed.
pub async fn replay(gateway: &Gateway, hold: &Hold) -> Result<String, Rejection> {
    let parsed = again(gateway, hold).await?;
    let now = gateway.clock.now();
    let agent = audit::Agent::operator(&gateway.config.gateway.ods);
    let entry = audit::Entry {
        request: hold.replay.clone(),
        detail: format!("a held message was taken as an acknowledgement: {}", hold.cause.word()),
        ..audit::Entry::care(audit::Kind::Operation, "replay", audit::Action::E, agent, now)
    };
    let also = Commit { released: vec![hold.id], audit: vec![entry], ..Commit::default() };
    let acknowledgement = acknowledgement(parsed, now);
    acknowledged(gateway, acknowledgement, also).await?;
    Ok("taken as an acknowledgement".to_owned())
}

/// Says what [`replay`] would come to. Nothing is kept.
///
/// # Errors
/// As [`replay`].
pub async fn rehearse(gateway: &Gateway, hold: &Hold) -> Result<String, Rejection> {
    again(gateway, hold).await.map(|_| "it would be taken as an acknowledgement".to_owned())
}

async fn again(gateway: &Gateway, hold: &Hold) -> Result<response::ParsedResponse, Rejection> {
    let nothing =
        || Rejection::bad_request(IssueType::NotFound, "the message's bytes are not kept; look in the mailbox");
    let id: Uuid = hold.replay.parse().map_err(|_| nothing())?;
    let message = gateway.store.message(id).await?.ok_or_else(nothing)?;
    response::parse(&message.bytes).map_err(|why| Rejection::bad_request(IssueType::Structure, why.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn meant_by(kind: Kind, workflow: &str, bytes: &'static [u8], damaged: bool) -> Meant {
        let envelope = Envelope {
            id: "20200529155357895317_3573F8".into(),
            kind,
            workflow: workflow.into(),
            from: "X26ABC2".into(),
            content_type: String::new(),
            chunks: 1,
        };
        meant(&Mail { envelope, bytes: bytes.into(), damaged }, Timestamp::UNIX_EPOCH)
    }

    fn report(linked: &str, code: &str) -> Meant {
        let report = Report { linked: linked.into(), local: "FPG01".into(), code: code.into() };
        meant_by(Kind::Report(report), "GPCONNECT_UPDATE_RECORD", b"", false)
    }

    #[test]
    fn a_report_is_the_carriers_no_to_the_message_that_it_names() {
        let Meant::Acknowledgement(ack) = report("20200529155357895317_000001", "14") else { panic!("it is one") };
        assert_eq!(
            (ack.message.as_str(), ack.id.as_str()),
            ("20200529155357895317_000001", "20200529155357895317_3573F8")
        );
        assert_eq!((ack.stage, ack.verdict), (Stage::Carrier, Verdict::Refused));
        assert_eq!(ack.codes, [("14".to_owned(), "it was not collected in 5 days".to_owned())]);
        assert!(matches!(report("", "14"), Meant::Hold(Cause::Unreadable, _)));
    }

    #[test]
    fn all_else_is_held_with_its_cause() {
        let cause = |meant| if let Meant::Hold(cause, _) = meant { cause } else { panic!("held") };
        let ack = "GPCONNECT_UPDATE_RECORD_ACK";
        assert_eq!(cause(meant_by(Kind::Data, ack, b"{}", false)), Cause::Unreadable);
        assert_eq!(cause(meant_by(Kind::Data, ack, b"", false)), Cause::Unreadable);
        assert_eq!(cause(meant_by(Kind::Data, ack, b"{}", true)), Cause::Unreadable);
        assert_eq!(cause(meant_by(Kind::Data, "", b"Dear colleague", false)), Cause::NotAReferral);
        assert_eq!(cause(meant_by(Kind::Unknown, ack, b"", false)), Cause::Unreadable);
    }
}
