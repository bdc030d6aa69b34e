//! The names that ITK3 and CareConnect messages are made of.
//! <https://simplifier.net/guide/gp-connect-update-record>

/// `MessageHeader.event`.
pub(super) const EVENT: &str = "https://fhir.nhs.uk/STU3/CodeSystem/ITK-MessageEvent-2";
/// How the message wants to be handled.
pub(super) const HANDLING: &str = "https://fhir.nhs.uk/STU3/StructureDefinition/Extension-ITK-MessageHandling-2";
/// The codes of acknowledgements.
pub(super) const RESPONSE_CODES: &str = "https://fhir.nhs.uk/STU3/CodeSystem/ITK-ResponseCodes-1";

/// The recipient type: for action, for information.
pub(super) const RECIPIENT: &str = "https://fhir.nhs.uk/STU3/CodeSystem/ITK-RecipientType-1";
/// The PRSB section that an entry belongs to.
pub(super) const HEADINGS: &str = "https://fhir.nhs.uk/CodeSystem/RecordStandardHeadings";
/// How sure an NHS number is.
pub(super) const VERIFICATION: &str = "https://fhir.nhs.uk/STU3/CodeSystem/CareConnect-NHSNumberVerificationStatus-1";
/// The same of the other set of profiles.
pub(super) const VERIFICATION_UK: &str =
    "https://fhir.hl7.org.uk/STU3/CodeSystem/CareConnect-NHSNumberVerificationStatus-1";
/// The part that someone has in an Encounter.
pub(super) const PARTICIPANT: &str = "https://fhir.nhs.uk/STU3/CodeSystem/GPConnect-ParticipantType-1";
/// `Observation.category`.
pub(super) const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
/// Units.
pub(super) const UCUM: &str = "http://unitsofmeasure.org";
/// The SNOMED CT description id of a coding.
pub(super) const DESCRIPTION: &str = "https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-coding-sctdescid";
/// The profile of a Composition, of another set than the rest.
pub(super) const COMPOSITION: &str = "https://fhir.hl7.org.uk/STU3/StructureDefinition/CareConnect-Composition-1";

/// The URL of a profile of NHS England's STU3 set.
pub(super) fn profile(name: &str) -> String {
    format!("https://fhir.nhs.uk/STU3/StructureDefinition/{name}")
}

/// Codes of ITK-ResponseCodes-1 (1.5.0) that answer a clinical message; the referral and
/// registration codes from 30005 on answer none of ours.
pub(super) const ANSWERS: [(&str, &str); 28] = [
    ("10001", "Handling Specification Error"),
    ("10002", "Infrastructure Level Response Value - Processing Error"),
    ("10003", "Business Level Response Value - Processing Error"),
    ("10004", "Message Definition Value - Processing Error"),
    ("10005", "Message Definition Version Value - Processing Error"),
    ("10007", "Sender Reference Value - Processing Error"),
    ("10008", "Handling Specification Business Rule Error"),
    ("10009", "Unreadable message received"),
    ("10010", "Recipient Type - Processing Error"),
    ("20001", "Unrecognised Recipient Person"),
    ("20002", "Unrecognised Recipient Organisation"),
    ("20003", "Unrecognised Sender"),
    ("20004", "Non-Approved file type received as an attachment"),
    ("20005", "Unsupported file type received as an attachment"),
    ("20006", "ITK header validation failure"),
    ("20007", "Duplicate Message received"),
    ("20008", "Duplicate Document received"),
    ("20009", "Payload validation failure"),
    ("20010", "Unrecognised Payload Recipient Organisation"),
    ("20011", "Unrecognised Payload Recipient Person"),
    ("20012", "Unauthorised Sender"),
    ("20013", "Success"),
    ("20014", "Unable to Process Replacement Document"),
    ("20015", "Message too large"),
    ("30001", "Patient known here. (e.g. Patient is registered here)"),
    ("30002", "Patient not known here. (aka 'patient record not present in system')"),
    ("30003", "Patient no longer at this clinical setting"),
    ("30004", "Patient known here and recently deceased"),
];

/// The display of a response code, or `""`.
pub(super) fn answer(code: &str) -> &'static str {
    ANSWERS.iter().find(|(known, _)| *known == code).map_or("", |(_, display)| display)
}
