//! The search parameters: one table from which the index is filled, searches are read and the
//! CapabilityStatement is made, so that the three cannot disagree.
//! <https://hl7.org/fhir/R4/searchparameter-registry.html>
//!
//! Parameters that every type has (`_id`, `_lastUpdated`, `_security`) are not in it; see `api::search`.

use crate::store::param as p;

/// How a parameter is compared, and where in the resource it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Code, Coding, CodeableConcept, Identifier, boolean.
    Token,
    /// A reference to a resource, by type and id.
    Reference,
    /// The identifier of a reference; FHIR's modifier `:identifier`.
    Identifier,
    /// Text, without regard to case or accents.
    Text,
    /// A postcode: text without regard to case or spaces.
    Postcode,
    /// A date, instant or period.
    Date,
}

impl How {
    /// The type that the CapabilityStatement gives.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Reference | Self::Identifier => "reference",
            Self::Text | Self::Postcode => "string",
            Self::Date => "date",
        }
    }
}

/// One search parameter of one type.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The resource type.
    pub kind: &'static str,
    /// FHIR's name.
    pub name: &'static str,
    /// The index's number.
    pub param: u8,
    /// How it is compared.
    pub how: How,
    /// Where it stands: element paths joined by `|`; arrays are walked.
    pub paths: &'static str,
}

const fn row(kind: &'static str, name: &'static str, param: u8, how: How, paths: &'static str) -> Parameter {
    Parameter { kind, name, param, how, paths }
}

use How::{Date, Identifier, Postcode, Reference, Text, Token};

/// Every search parameter. A reference with a row of the same name and [`How::Identifier`] can
/// also be searched by `name:identifier`.
#[rustfmt::skip]
pub const PARAMETERS: &[Parameter] = &[
    row("ServiceRequest", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("ServiceRequest", "status", p::STATUS, Token, "status"),
    row("ServiceRequest", "priority", p::PRIORITY, Token, "priority"),
    row("ServiceRequest", "code", p::CODE, Token, "code"),
    row("ServiceRequest", "category", p::CATEGORY, Token, "category"),
    row("ServiceRequest", "patient", p::PATIENT, Reference, "subject"),
    row("ServiceRequest", "subject", p::PATIENT, Reference, "subject"),
    row("ServiceRequest", "patient", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("ServiceRequest", "subject", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("ServiceRequest", "authored", p::AUTHORED, Date, "authoredOn"),
    row("ServiceRequest", "requester", p::REQUESTER, Reference, "requester"),
    row("ServiceRequest", "requester", p::REQUESTER_IDENTIFIER, Identifier, "requester"),
    row("ServiceRequest", "performer", p::PERFORMER, Reference, "performer"),
    row("ServiceRequest", "performer", p::PERFORMER_IDENTIFIER, Identifier, "performer"),
    row("ServiceRequest", "based-on", p::FOCUS, Reference, "basedOn"),
    row("ServiceRequest", "encounter", p::ENCOUNTER, Reference, "encounter"),

    row("Task", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Task", "status", p::STATUS, Token, "status"),
    row("Task", "business-status", p::BUSINESS_STATUS, Token, "businessStatus"),
    row("Task", "priority", p::PRIORITY, Token, "priority"),
    row("Task", "code", p::CODE, Token, "code"),
    row("Task", "patient", p::PATIENT, Reference, "for"),
    row("Task", "subject", p::PATIENT, Reference, "for"),
    row("Task", "patient", p::SUBJECT_IDENTIFIER, Identifier, "for"),
    row("Task", "subject", p::SUBJECT_IDENTIFIER, Identifier, "for"),
    row("Task", "authored-on", p::AUTHORED, Date, "authoredOn"),
    row("Task", "requester", p::REQUESTER, Reference, "requester"),
    row("Task", "requester", p::REQUESTER_IDENTIFIER, Identifier, "requester"),
    row("Task", "owner", p::PERFORMER, Reference, "owner"),
    row("Task", "owner", p::PERFORMER_IDENTIFIER, Identifier, "owner"),
    row("Task", "focus", p::FOCUS, Reference, "focus"),
    row("Task", "based-on", p::BASED_ON, Reference, "basedOn"),
    row("Task", "encounter", p::ENCOUNTER, Reference, "encounter"),

    row("Patient", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Patient", "family", p::FAMILY, Text, "name.family"),
    row("Patient", "given", p::GIVEN, Text, "name.given"),
    row("Patient", "birthdate", p::BIRTHDATE, Date, "birthDate"),
    row("Patient", "address-postalcode", p::POSTCODE, Postcode, "address.postalCode"),
    row("Patient", "gender", p::GENDER, Token, "gender"),
    row("Patient", "active", p::STATUS, Token, "active"),
    row("Patient", "general-practitioner", p::PERFORMER, Reference, "generalPractitioner"),
    row("Patient", "general-practitioner", p::PERFORMER_IDENTIFIER, Identifier, "generalPractitioner"),
    row("Patient", "organization", p::REQUESTER, Reference, "managingOrganization"),
    row("Patient", "organization", p::REQUESTER_IDENTIFIER, Identifier, "managingOrganization"),

    row("Observation", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Observation", "status", p::STATUS, Token, "status"),
    row("Observation", "code", p::CODE, Token, "code"),
    row("Observation", "category", p::CATEGORY, Token, "category"),
    row("Observation", "patient", p::PATIENT, Reference, "subject"),
    row("Observation", "subject", p::PATIENT, Reference, "subject"),
    row("Observation", "patient", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("Observation", "subject", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("Observation", "date", p::AUTHORED, Date, "effectiveDateTime|effectivePeriod|effectiveInstant"),
    row("Observation", "performer", p::PERFORMER, Reference, "performer"),
    row("Observation", "performer", p::PERFORMER_IDENTIFIER, Identifier, "performer"),
    row("Observation", "based-on", p::FOCUS, Reference, "basedOn"),
    row("Observation", "encounter", p::ENCOUNTER, Reference, "encounter"),

    row("QuestionnaireResponse", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("QuestionnaireResponse", "status", p::STATUS, Token, "status"),
    row("QuestionnaireResponse", "patient", p::PATIENT, Reference, "subject"),
    row("QuestionnaireResponse", "subject", p::PATIENT, Reference, "subject"),
    row("QuestionnaireResponse", "patient", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("QuestionnaireResponse", "authored", p::AUTHORED, Date, "authored"),
    row("QuestionnaireResponse", "author", p::PERFORMER, Reference, "author"),
    row("QuestionnaireResponse", "based-on", p::FOCUS, Reference, "basedOn"),
    row("QuestionnaireResponse", "encounter", p::ENCOUNTER, Reference, "encounter"),

    row("Encounter", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Encounter", "status", p::STATUS, Token, "status"),
    row("Encounter", "class", p::CATEGORY, Token, "class"),
    row("Encounter", "type", p::CODE, Token, "type"),
    row("Encounter", "patient", p::PATIENT, Reference, "subject"),
    row("Encounter", "subject", p::PATIENT, Reference, "subject"),
    row("Encounter", "patient", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("Encounter", "date", p::AUTHORED, Date, "period"),
    row("Encounter", "based-on", p::FOCUS, Reference, "basedOn"),

    row("EpisodeOfCare", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("EpisodeOfCare", "status", p::STATUS, Token, "status"),
    row("EpisodeOfCare", "patient", p::PATIENT, Reference, "patient"),
    row("EpisodeOfCare", "patient", p::SUBJECT_IDENTIFIER, Identifier, "patient"),
    row("EpisodeOfCare", "organization", p::PERFORMER_IDENTIFIER, Identifier, "managingOrganization"),
    row("EpisodeOfCare", "organization", p::PERFORMER, Reference, "managingOrganization"),
    row("EpisodeOfCare", "incoming-referral", p::FOCUS, Reference, "referralRequest"),
    row("EpisodeOfCare", "date", p::AUTHORED, Date, "period"),

    row("CarePlan", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("CarePlan", "status", p::STATUS, Token, "status"),
    row("CarePlan", "category", p::CATEGORY, Token, "category"),
    row("CarePlan", "patient", p::PATIENT, Reference, "subject"),
    row("CarePlan", "subject", p::PATIENT, Reference, "subject"),
    row("CarePlan", "patient", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("CarePlan", "goal", p::GOAL, Reference, "goal"),
    row("CarePlan", "date", p::AUTHORED, Date, "period"),
    row("CarePlan", "encounter", p::ENCOUNTER, Reference, "encounter"),
    row("CarePlan", "supporting-info", p::FOCUS, Reference, "supportingInfo"),

    row("Goal", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Goal", "lifecycle-status", p::STATUS, Token, "lifecycleStatus"),
    row("Goal", "category", p::CATEGORY, Token, "category"),
    row("Goal", "patient", p::PATIENT, Reference, "subject"),
    row("Goal", "subject", p::PATIENT, Reference, "subject"),
    row("Goal", "patient", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("Goal", "start-date", p::AUTHORED, Date, "startDate"),
    row("Goal", "addresses", p::FOCUS, Reference, "addresses"),

    row("Communication", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Communication", "status", p::STATUS, Token, "status"),
    row("Communication", "category", p::CATEGORY, Token, "category"),
    row("Communication", "patient", p::PATIENT, Reference, "subject"),
    row("Communication", "subject", p::PATIENT, Reference, "subject"),
    row("Communication", "patient", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("Communication", "sent", p::AUTHORED, Date, "sent"),
    row("Communication", "sender", p::REQUESTER, Reference, "sender"),
    row("Communication", "recipient", p::PERFORMER, Reference, "recipient"),
    row("Communication", "recipient", p::PERFORMER_IDENTIFIER, Identifier, "recipient"),
    row("Communication", "based-on", p::FOCUS, Reference, "basedOn"),
    row("Communication", "encounter", p::ENCOUNTER, Reference, "encounter"),

    row("HealthcareService", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("HealthcareService", "active", p::STATUS, Token, "active"),
    row("HealthcareService", "name", p::FAMILY, Text, "name"),
    row("HealthcareService", "organization", p::REQUESTER, Reference, "providedBy"),
    row("HealthcareService", "location", p::ENCOUNTER, Reference, "location"),

    row("Organization", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Organization", "active", p::STATUS, Token, "active"),
    row("Organization", "name", p::FAMILY, Text, "name"),

    row("Practitioner", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Practitioner", "active", p::STATUS, Token, "active"),
    row("Practitioner", "name", p::FAMILY, Text, "name.text"),
    row("Practitioner", "gender", p::GENDER, Token, "gender"),
    row("Practitioner", "communication", p::CODE, Token, "communication"),

    row("PractitionerRole", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("PractitionerRole", "active", p::STATUS, Token, "active"),
    row("PractitionerRole", "practitioner", p::PERFORMER, Reference, "practitioner"),
    row("PractitionerRole", "organization", p::REQUESTER, Reference, "organization"),
    row("PractitionerRole", "service", p::TARGET, Reference, "healthcareService"),
    row("PractitionerRole", "specialty", p::CODE, Token, "specialty"),
    row("PractitionerRole", "date", p::AUTHORED, Date, "period"),

    row("Location", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Location", "status", p::STATUS, Token, "status"),
    row("Location", "name", p::FAMILY, Text, "name"),
    row("Location", "address-postalcode", p::POSTCODE, Postcode, "address.postalCode"),

    row("Provenance", "target", p::TARGET, Reference, "target"),
    row("Provenance", "recorded", p::AUTHORED, Date, "recorded"),

    row("Consent", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Consent", "status", p::STATUS, Token, "status"),
    row("Consent", "category", p::CATEGORY, Token, "category"),
    row("Consent", "patient", p::PATIENT, Reference, "patient"),
    row("Consent", "patient", p::SUBJECT_IDENTIFIER, Identifier, "patient"),
    row("Consent", "date", p::AUTHORED, Date, "dateTime"),

    row("Flag", "identifier", p::IDENTIFIER, Token, "identifier"),
    row("Flag", "patient", p::PATIENT, Reference, "subject"),
    row("Flag", "subject", p::PATIENT, Reference, "subject"),
    row("Flag", "patient", p::SUBJECT_IDENTIFIER, Identifier, "subject"),
    row("Flag", "date", p::AUTHORED, Date, "period"),
];

/// Parameters that R4 does not define, each with its definition: R4 has none by which the plan and
/// the goals of one referral are found. `(type, name, definition)`
const BEYOND_R4: [(&str, &str, &str); 2] = [
    ("CarePlan", "supporting-info", "https://fingerpost.dev/SearchParameter/CarePlan-supporting-info"),
    // R5's, taken as it is. <https://hl7.org/fhir/R5/goal-search.html>
    ("Goal", "addresses", "http://hl7.org/fhir/SearchParameter/Goal-addresses"),
];

/// The definition of a parameter that is not R4's own.
pub fn definition(kind: &str, name: &str) -> Option<&'static str> {
    BEYOND_R4.iter().find(|(of, known, _)| (*of, *known) == (kind, name)).map(|(.., url)| *url)
}

/// The parameters of one type.
pub fn of(kind: &str) -> impl Iterator<Item = &'static Parameter> {
    PARAMETERS.iter().filter(move |parameter| parameter.kind == kind)
}
