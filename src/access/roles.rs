//! What each role may do, as one table. What is not in it is refused. Pure.
//!
//! Rows of data are narrowed further by [`super::Caller::visible`]; scopes narrow it per token.

use super::scope::{Rights, Scope};
use crate::config::Role;

/// One line of the table: what a role may do to which types, and why.
pub struct Line {
    /// The role.
    pub role: Role,
    /// Resource types.
    pub kinds: &'static [&'static str],
    /// SMART's letters: create, read, update, delete, search.
    pub rights: &'static str,
    /// Why the role needs it.
    pub why: &'static str,
}

/// The resources that tell a referral's story, all readable by those concerned with it.
const STORY: &[&str] = &[
    "ServiceRequest",
    "Patient",
    "Task",
    "Observation",
    "QuestionnaireResponse",
    "Encounter",
    "EpisodeOfCare",
    "Goal",
    "Consent",
    "Flag",
    "Provenance",
    "CarePlan",
    "Condition",
    "Communication",
    "Organization",
    "Practitioner",
    "PractitionerRole",
    "RelatedPerson",
    "HealthcareService",
    "Location",
];

/// Pools, link workers and venues: nobody's data but those of people at work.
const DIRECTORY: &[&str] = &["HealthcareService", "PractitionerRole", "Practitioner", "Location"];

/// The table. Nobody deletes: a resource that was wrong is marked so, and its versions stay.
pub const TABLE: &[Line] = &[
    Line { role: Role::Referrer, kinds: STORY, rights: "rs", why: "a practice follows its own referrals" },
    Line {
        role: Role::Referrer,
        kinds: &["ServiceRequest"],
        rights: "cu",
        why: "a practice refers, and mends or withdraws what it referred",
    },
    Line { role: Role::Pool, kinds: STORY, rights: "rs", why: "link workers know whom they work with" },
    Line {
        role: Role::Pool,
        kinds: &[
            "Task",
            "Observation",
            "QuestionnaireResponse",
            "Encounter",
            "CarePlan",
            "Goal",
            "Communication",
            // Referrals onward and signposts only: `outcome` refuses the rest.
            "ServiceRequest",
        ],
        rights: "cu",
        why: "link workers record what they did and what came of it",
    },
    Line { role: Role::Consumer, kinds: STORY, rights: "rs", why: "the wellness database holds the place's picture" },
    Line {
        role: Role::Ig,
        kinds: STORY,
        rights: "rs",
        why: "an IG lead looks into how data was used; changes nothing",
    },
    Line { role: Role::Ig, kinds: &["AuditEvent"], rights: "rs", why: "an IG lead answers for who saw what" },
    Line {
        role: Role::Pool,
        kinds: DIRECTORY,
        rights: "u",
        why: "a pool says when its link workers are there, and where it sees people",
    },
    Line {
        role: Role::Consumer,
        kinds: DIRECTORY,
        rights: "u",
        why: "the wellness database keeps who works where and when",
    },
    Line { role: Role::Ops, kinds: DIRECTORY, rights: "rs", why: "whoever moves a referral must know the pools" },
    Line { role: Role::Ops, kinds: &["Organization"], rights: "rs", why: "the pools' employers" },
    // Role::Ops has no more lines: whoever keeps the gateway running needs no patient data.
];

/// Interactions outside the table: which roles, and which right on which type a token must carry.
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// Who may.
    pub roles: &'static [Role],
    /// What the token's scopes must cover besides.
    pub needs: Option<(&'static str, char)>,
}

const EVERYONE: &[Role] = &[Role::Referrer, Role::Consumer, Role::Pool, Role::Ig, Role::Ops];

/// The operations. A transaction or batch is judged again for each of its entries.
pub const OPERATIONS: &[Operation] = &[
    Operation { name: "capabilities", roles: EVERYONE, needs: None },
    Operation { name: "validate", roles: EVERYONE, needs: None },
    Operation {
        name: "filing",
        roles: &[Role::Referrer, Role::Pool, Role::Consumer, Role::Ig],
        needs: Some(("Observation", 'r')),
    },
    Operation { name: "preview-outcome", roles: &[Role::Pool], needs: Some(("Task", 'u')) },
    Operation { name: "process-message", roles: &[Role::Referrer], needs: Some(("ServiceRequest", 'c')) },
    Operation { name: "transaction", roles: &[Role::Referrer, Role::Pool], needs: None },
    Operation { name: "batch", roles: &[Role::Referrer, Role::Pool, Role::Consumer, Role::Ig], needs: None },
    Operation {
        name: "route-explain",
        roles: &[Role::Referrer, Role::Pool, Role::Consumer, Role::Ig],
        needs: Some(("Provenance", 'r')),
    },
    // Whose Task it must be is `referral::moves`'s to say; operations need no patient data for it.
    Operation { name: "re-route", roles: &[Role::Ops, Role::Pool], needs: None },
    Operation { name: "hand-back", roles: &[Role::Pool], needs: Some(("Task", 'u')) },
    Operation { name: "intake", roles: &[Role::Referrer, Role::Ops], needs: None },
    Operation { name: "metrics", roles: &[Role::Ops], needs: None },
    Operation { name: "held", roles: &[Role::Ops, Role::Ig], needs: None },
    Operation { name: "replay", roles: &[Role::Ops], needs: None },
    Operation { name: "ledger", roles: &[Role::Ops, Role::Ig], needs: None },
];

/// The letter that a RESTful interaction needs, by FHIR's name for it.
/// <https://hl7.org/fhir/R4/valueset-restful-interaction.html>
pub fn letter(interaction: &str) -> Option<char> {
    match interaction {
        "read" | "vread" | "history-instance" => Some('r'),
        "search" | "search-type" | "history-type" => Some('s'),
        "create" => Some('c'),
        "update" | "patch" => Some('u'),
        "delete" => Some('d'),
        _ => None,
    }
}

/// True when the role may do `letter` to resources of type `kind`.
pub fn allows(role: Role, kind: &str, letter: char) -> bool {
    TABLE.iter().any(|line| line.role == role && line.kinds.contains(&kind) && line.rights.contains(letter))
}

/// Everything that a role may do, as scopes.
pub fn scopes(role: Role) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for kind in STORY.iter().copied().chain(["AuditEvent"]) {
        let letters: String = ['c', 'r', 'u', 'd', 's'].into_iter().filter(|l| allows(role, kind, *l)).collect();
        scopes.extend(Rights::parse(&letters).map(|rights| Scope::new(kind, rights)));
    }
    scopes
}

/// Every scope that anybody can be granted, for the discovery document.
pub fn all_scopes() -> Vec<String> {
    let mut all: Vec<String> = EVERYONE.iter().flat_map(|role| scopes(*role)).map(|scope| scope.to_string()).collect();
    all.sort();
    all.dedup();
    all
}
