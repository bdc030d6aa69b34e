//! One audit entry: an interaction, whether it succeeded, was refused or failed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fhir::ids::OdsCode;

/// What kind of event it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A RESTful interaction: read, search, create...
    Rest,
    /// A referral came in, by any channel.
    Intake,
    /// Data left for a subscriber.
    Delivery,
    /// An outcome left for a practice's system, or its acknowledgement came.
    WriteBack,
    /// A sign-in: a token was asked for.
    SignIn,
    /// A person or command at the machine: replay, configuration change, export.
    Operation,
}

/// FHIR's audit action. <https://hl7.org/fhir/R4/valueset-audit-event-action.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Action {
    C,
    R,
    U,
    D,
    E,
}

/// FHIR's audit outcome. <https://hl7.org/fhir/R4/valueset-audit-event-outcome.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// 0
    #[serde(rename = "0")]
    Success,
    /// 4: refused or at fault of the caller
    #[serde(rename = "4")]
    MinorFailure,
    /// 8: the gateway failed
    #[serde(rename = "8")]
    SeriousFailure,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The client id; `gateway` for the gateway itself, `operator` for a command at the machine.
    pub client: String,
    /// The client's organisation.
    pub ods: String,
    /// Its role.
    pub role: String,
    /// The person at the client's end, where it told us (`NHSD-Requesting-Practitioner`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The network address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
}

impl Agent {
    /// The gateway itself, doing what nobody asked it for at that moment.
    pub fn gateway(ods: &OdsCode) -> Self {
        Self::of("gateway", ods, "gateway")
    }

    /// A person at the machine, whose name is not known.
    pub fn operator(ods: &OdsCode) -> Self {
        Self::of("operator", ods, "ops")
    }

    /// Nobody that is known, at this network address (empty where that is not known either).
    pub fn anonymous(address: &str) -> Self {
        Self { address: address.to_owned(), ..Self::of("anonymous", "", "") }
    }

    /// A client of an organisation in its role; no person and no address.
    pub fn of(client: &str, ods: impl std::fmt::Display, role: &str) -> Self {
        Self {
            client: client.to_owned(),
            ods: ods.to_string(),
            role: role.to_owned(),
            user: String::new(),
            address: String::new(),
        }
    }
}

/// One entry, whose JSON text is a leaf of the log. Holds logical ids, never names, NHS numbers
/// or content: the log can be kept for years and shown to a reviewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Unique; the AuditEvent's logical id.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// What kind of event.
    pub kind: Kind,
    /// `read`, `search-type`, `process-message`, `deliver`...
    pub interaction: String,
    /// FHIR's action.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Who.
    pub agent: Agent,
    /// Why: the purpose of use (`TREAT` direct care, `HOPERAT` operations, `PATRQT`...).
    /// <https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html>
    pub purpose: String,
    /// `X-Request-Id`, or the message's id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// The resources touched, `Type/id/_history/version` (version left out where there is none).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
    /// The patients concerned, `Patient/id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<String>,
    /// The search, with patient-identifying values replaced by `*`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// In words: the receiver, the hold's cause, why it was refused. No patient data.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Entry {
    /// Something done for a person's care, under a new id: it succeeded and touched nothing, until
    /// the fields say otherwise.
    pub fn care(kind: Kind, interaction: impl Into<String>, action: Action, agent: Agent, at: Timestamp) -> Self {
        Self {
            id: Uuid::new_v4(),
            at,
            kind,
            interaction: interaction.into(),
            action,
            outcome: Outcome::Success,
            agent,
            purpose: "TREAT".to_owned(),
            request: String::new(),
            entities: Vec::new(),
            patients: Vec::new(),
            query: String::new(),
            detail: String::new(),
        }
    }

    /// As [`Entry::care`], but done to run the service and about nobody's care.
    pub fn operations(kind: Kind, interaction: impl Into<String>, action: Action, agent: Agent, at: Timestamp) -> Self {
        Self { purpose: "HOPERAT".to_owned(), ..Self::care(kind, interaction, action, agent, at) }
    }

    /// The exact bytes that are hashed as the leaf.
    pub fn leaf(&self) -> Vec<u8> {
        // A struct of texts, enums and a timestamp always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
