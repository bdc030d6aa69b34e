//! The MESH side: collects its mailbox, files what it accepts in the same record, and answers with
//! infrastructure and business acknowledgements, as its habits have it.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PracticeSystem, Record};
use crate::demo::DemoFault;
use crate::fhir::ids::{OdsCode, stable_id};
use crate::nhs::mesh::{Client, Parcel};
use crate::writeback::acknowledge::{Stage, Verdict};
use crate::writeback::entry::EntryValue;
use crate::writeback::itk3::{read, response, send_document, update_record};

/// One message as it was read.
struct Letter {
    message: String,
    nhs_number: String,
    entries: Vec<Value>,
    document: Option<String>,
}

impl PracticeSystem {
    /// Collects and answers everything in the practice's mailbox. How many messages there were.
    ///
    /// # Errors
    /// When MESH does not do as asked, or a message cannot be read.
    pub async fn collect(&self, client: &Client, ods: &OdsCode, to: &str, at: Timestamp) -> Result<usize, DemoFault> {
        let waiting = client.inbox(None, at).await.map_err(DemoFault::new)?.messages;
        for id in &waiting {
            let mail = client.download(id, at).await.map_err(DemoFault::new)?;
            for answer in self.take(&mail.bytes, ods, at)? {
                let parcel = Parcel {
                    to: to.to_owned(),
                    workflow: format!("{}_ACK", mail.envelope.workflow),
                    content_type: "application/fhir+xml".to_owned(),
                    body: answer.into(),
                    ..Parcel::default()
                };
                client.send(&parcel, at).await.map_err(DemoFault::new)?;
            }
            client.acknowledge(id, at).await.map_err(DemoFault::new)?;
        }
        Ok(waiting.len())
    }

    /// Takes one ITK3 message; the acknowledgements that it answers with, in order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn take(&self, bytes: &[u8], ods: &OdsCode, at: Timestamp) -> Result<Vec<Vec<u8>>, DemoFault> {
        let letter = letter(bytes)?;
        let habits = self.shared.habits();
        let said = |stage, verdict, codes: &[&str]| {
            let id = stable_id(&[&letter.message, &format!("{stage:?}"), &codes.join(",")]);
            response::compose(&letter.message, stage, verdict, codes, id, ods, at)
        };
        let mut answers = Vec::new();
        match habits.refuses(&letter.nhs_number) {
            Some(code) if code.starts_with('2') => {
                answers.push((Stage::Infrastructure, said(Stage::Infrastructure, Verdict::Refused, &[code])));
            }
            Some(code) => {
                answers.push((Stage::Infrastructure, said(Stage::Infrastructure, Verdict::Accepted, &[])));
                answers.push((Stage::Business, said(Stage::Business, Verdict::Refused, &[code])));
            }
            None => {
                answers.push((Stage::Infrastructure, said(Stage::Infrastructure, Verdict::Accepted, &[])));
                let filed = file(&mut self.record(), &letter, &habits);
                if filed {
                    answers.push((Stage::Business, said(Stage::Business, Verdict::Accepted, &[])));
                }
            }
        }
        let lost = |stage| match stage {
            Stage::Infrastructure => habits.loses_infrastructure,
            Stage::Business => habits.loses_business,
            Stage::Carrier => false,
        };
        let told = answers.into_iter().filter(|(stage, _)| !lost(*stage)).map(|(_, answer)| answer);
        let times = if habits.repeats { 2 } else { 1 };
        Ok(told.flat_map(|answer| std::iter::repeat_n(answer, times)).collect())
    }
}

fn letter(bytes: &[u8]) -> Result<Letter, DemoFault> {
    let event = read::event(bytes).map_err(DemoFault::new)?;
    if event == send_document::EVENT {
        let read = read::send_document(bytes).map_err(DemoFault::new)?;
        let (message, nhs_number) = (read.message, read.person.nhs_number);
        return Ok(Letter { message, nhs_number, entries: Vec::new(), document: Some(read.title) });
    }
    if event != update_record::EVENT {
        return Err(DemoFault::new(format!("the practice system does not take {event}")));
    }
    let read = read::update_record(bytes).map_err(DemoFault::new)?;
    let entries = read.entries.iter().map(entry).collect();
    Ok(Letter { message: read.message, nhs_number: read.person.nhs_number, entries, document: None })
}

/// An entry as the record keeps it: in the form of its FHIR side.
fn entry(read: &read::ReceivedEntry) -> Value {
    let identifiers: Vec<Value> =
        read.identifiers.iter().map(|(system, value)| json!({"system": system, "value": value})).collect();
    let mut entry = json!({
        "resourceType": "Observation",
        "identifier": identifiers,
        "status": read.status,
        "code": {"coding": [{"system": read.code.system, "code": read.code.code}], "text": read.text},
        "effectiveDateTime": read.effective,
        "note": [{"text": read.comment}],
    });
    if let Some(EntryValue::Quantity { digits, .. }) = &read.value {
        entry["valueQuantity"] = json!({"value": serde_json::from_str::<Value>(digits).unwrap_or(Value::Null)});
    }
    entry
}

/// Files a message, once by its id unless the system is forgetful. False while a person must
/// accept it.
fn file(record: &mut Record, letter: &Letter, habits: &super::Habits) -> bool {
    record.requests += 1;
    let again = record.messages.contains(&letter.message);
    if again && !habits.forgetful {
        return !habits.manual;
    }
    record.messages.push(letter.message.clone());
    record.documents.extend(letter.document.clone());
    let entries = letter.entries.iter().map(|entry| habits.kept(entry.clone()));
    if habits.manual {
        record.tray.extend(entries);
        return false;
    }
    record.entries.extend(entries);
    true
}

/// The business acknowledgement of a message that a person accepted late.
pub fn accepted_late(message: &str, ods: &OdsCode, id: Uuid, at: Timestamp) -> Vec<u8> {
    response::compose(message, Stage::Business, Verdict::Accepted, &[], id, ods, at)
}
