//! The MESH side of a simulated GP system: it collects its mailbox, knows a message by the id in its
//! header, files what it accepts, and says what the test bids it say, when the test bids it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use fingerpost::clock::Clock;
use fingerpost::fhir::ids::OdsCode;
use fingerpost::nhs::mesh::{Client, Parcel};
use fingerpost::writeback::acknowledge::{Stage, Verdict};
use fingerpost::writeback::itk3::{read, response};
use uuid::Uuid;

/// One message as it came, repeats included.
#[derive(Debug, Clone)]
pub struct Collected {
    /// `MessageHeader.id`.
    pub message: String,
    /// MESH's id of it.
    pub mesh: String,
    /// The workflow.
    pub workflow: String,
    /// The codes of its entries; the titles of its documents.
    pub says: Vec<String>,
    /// The sender's idempotency key.
    pub key: String,
}

pub struct GpSystem {
    client: Client,
    practice: OdsCode,
    /// The gateway's mailbox.
    gateway: String,
    pub collected: Vec<Collected>,
    /// Entries in the record, each once by the message that brought it: `(message, what it says)`.
    pub record: Vec<(String, String)>,
}

impl GpSystem {
    pub fn new(client: Client, practice: &str, gateway: &str) -> Self {
        let practice = OdsCode::parse(practice).unwrap();
        Self { client, practice, gateway: gateway.into(), collected: Vec::new(), record: Vec::new() }
    }

    /// Collects what waits; how many.
    pub async fn collects(&mut self) -> usize {
        let now = Clock::System.now();
        let waiting = self.client.inbox(None, now).await.unwrap().messages;
        for id in &waiting {
            let mail = self.client.download(id, now).await.unwrap();
            let (message, says, key) = match mail.envelope.workflow.as_str() {
                "GPCONNECT_UPDATE_RECORD" => {
                    let read = read::update_record(&mail.bytes).unwrap();
                    (read.message, read.entries.iter().map(|one| one.code.code.clone()).collect(), read.key)
                }
                _ => {
                    let read = read::send_document(&mail.bytes).unwrap();
                    (read.message, vec![read.title], read.key)
                }
            };
            let workflow = mail.envelope.workflow;
            self.collected.push(Collected { message, mesh: id.clone(), workflow, says, key });
            self.client.acknowledge(id, now).await.unwrap();
        }
        waiting.len()
    }

    /// The distinct messages collected, in order.
    pub fn messages(&self) -> Vec<Collected> {
        let mut seen = Vec::<Collected>::new();
        for one in &self.collected {
            if !seen.iter().any(|known| known.message == one.message) {
                seen.push(one.clone());
            }
        }
        seen
    }

    /// Sends an acknowledgement of a message with an id of its own, and files it where it is a good
    /// business acknowledgement. The id is the same for the same words: said twice, it is a duplicate.
    pub async fn says(&mut self, of: &Collected, stage: Stage, verdict: Verdict, codes: &[&str]) {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}{stage:?}{verdict:?}{codes:?}", of.message).as_bytes());
        if stage == Stage::Business && verdict == Verdict::Accepted {
            for says in &of.says {
                let entry = (of.message.clone(), says.clone());
                if !self.record.contains(&entry) {
                    self.record.push(entry);
                }
            }
        }
        let now = Clock::System.now();
        let parcel = Parcel {
            to: self.gateway.clone(),
            workflow: format!("{}_ACK", of.workflow),
            content_type: "application/fhir+xml".into(),
            body: response::compose(&of.message, stage, verdict, codes, id, &self.practice, now).into(),
            ..Parcel::default()
        };
        self.client.send(&parcel, now).await.unwrap();
    }

    /// Both good acknowledgements of every message collected.
    pub async fn accepts_all(&mut self) {
        for one in self.messages() {
            self.says(&one, Stage::Infrastructure, Verdict::Accepted, &[]).await;
            self.says(&one, Stage::Business, Verdict::Accepted, &[]).await;
        }
    }
}
