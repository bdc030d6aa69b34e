//! What a request under `/fhir` asks for. <https://hl7.org/fhir/R4/http.html#summary>

use axum::http::Method;

use crate::audit::Action;
use crate::fhir::ids::NhsNumber;
use crate::rejection::{BarsError, IssueType, Rejection};

/// A resource type that is served here, and whether pools may write it.
#[derive(Debug)]
pub struct Type {
    /// Its name.
    pub name: &'static str,
    /// True when create is offered.
    pub written: bool,
    /// True when update is offered.
    pub updated: bool,
}

const fn read_only(name: &'static str) -> Type {
    Type { name, written: false, updated: false }
}

const fn written(name: &'static str) -> Type {
    Type { name, written: true, updated: true }
}

/// The gateway makes them; others keep them up to date.
const fn kept(name: &'static str) -> Type {
    Type { name, written: false, updated: true }
}

/// Every type that is served.
pub const TYPES: &[Type] = &[
    written("ServiceRequest"),
    written("Task"),
    read_only("Patient"),
    written("Observation"),
    written("QuestionnaireResponse"),
    written("Encounter"),
    written("CarePlan"),
    written("Goal"),
    written("Communication"),
    read_only("EpisodeOfCare"),
    read_only("Provenance"),
    read_only("Consent"),
    read_only("Flag"),
    kept("HealthcareService"),
    read_only("Organization"),
    kept("PractitionerRole"),
    kept("Practitioner"),
    kept("Location"),
    read_only("AuditEvent"),
];

/// One thing that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Interaction {
    Capabilities,
    Read { kind: &'static str, id: String },
    Vread { kind: &'static str, id: String, version: u32 },
    History { kind: &'static str, id: String },
    Create { kind: &'static str },
    Update { kind: &'static str, id: String },
    Search { kind: &'static str },
    Operate { on: &'static Operation, id: String },
    Bundle,
    ProcessMessage,
    Validate,
}

/// An operation on one resource, `/Type/id/$name`.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// The resource type.
    pub kind: &'static str,
    /// Its name without the `$`; the word in `access` and the audit log.
    pub name: &'static str,
    /// True for one that changes something.
    pub changes: bool,
    /// True for one that is posted, with what it takes in its body; else it is got.
    pub posted: bool,
}

/// Every operation on one resource.
pub const OPERATIONS: &[Operation] = &[
    Operation { kind: "ServiceRequest", name: "route-explain", changes: false, posted: false },
    Operation { kind: "Task", name: "re-route", changes: true, posted: true },
    Operation { kind: "Task", name: "hand-back", changes: true, posted: true },
    Operation { kind: "Task", name: "preview-outcome", changes: false, posted: true },
    Operation { kind: "Observation", name: "filing", changes: false, posted: false },
];

use Interaction::{
    Bundle, Capabilities, Create, History, Operate, ProcessMessage, Read, Search, Update, Validate, Vread,
};

/// Longest logical id. <https://hl7.org/fhir/R4/datatypes.html#id>
const ID_CHARS_MAX: usize = 64;

impl Interaction {
    /// Reads the method and the path below `/fhir`.
    ///
    /// # Errors
    /// 404 where there is no such path or type, 405 where the method does not go with it.
    pub fn of(method: &Method, path: &str) -> Result<Self, Rejection> {
        let path = path.trim_matches('/').replace("%24", "$");
        let parts: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        let get = *method == Method::GET || *method == Method::HEAD;
        let (post, put) = (*method == Method::POST, *method == Method::PUT);
        let asked = match parts.as_slice() {
            [] if post => Bundle,
            ["metadata"] if get => Capabilities,
            ["$process-message"] if post => ProcessMessage,
            ["$validate"] if post => Validate,
            [kind, "$validate"] if post => kind_of(kind).map(|_| Validate)?,
            [kind, "_search"] if post => Search { kind: kind_of(kind)?.name },
            [kind] if get => Search { kind: kind_of(kind)?.name },
            [kind] if post => Create { kind: written_kind(kind)? },
            [kind, id] if get => Read { kind: kind_of(kind)?.name, id: id_of(id)? },
            [kind, id] if put => Update { kind: updated_kind(kind)?, id: id_of(id)? },
            [kind, id, "_history"] if get => History { kind: kind_of(kind)?.name, id: id_of(id)? },
            [kind, id, "_history", version] if get => {
                let version = version.parse().map_err(|_| Rejection::not_found())?;
                Vread { kind: kind_of(kind)?.name, id: id_of(id)?, version }
            }
            [kind, id, name] if operation(kind, name).is_some_and(|on| if on.posted { post } else { get }) => {
                Operate { on: operation(kind, name).ok_or_else(no_path)?, id: id_of(id)? }
            }
            [kind, _, name] if operation(kind, name).is_some() => return Err(wrong_method()),
            [] | ["metadata" | "$process-message" | "$validate"] => return Err(wrong_method()),
            [kind] | [kind, _] | [kind, _, "_history"] | [kind, _, "_history", _] => {
                return Err(kind_of(kind).map_or_else(|unknown| unknown, |_| wrong_method()));
            }
            _ => return Err(no_path()),
        };
        Ok(asked)
    }

    /// FHIR's name for it, which `access` and the audit log use.
    /// <https://hl7.org/fhir/R4/valueset-restful-interaction.html>
    pub const fn word(&self) -> &'static str {
        match self {
            Capabilities => "capabilities",
            Read { .. } => "read",
            Vread { .. } => "vread",
            History { .. } => "history-instance",
            Create { .. } => "create",
            Update { .. } => "update",
            Search { .. } => "search-type",
            Operate { on, .. } => on.name,
            Bundle => "batch",
            ProcessMessage => "process-message",
            Validate => "validate",
        }
    }

    /// The resource type, or `""`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Read { kind, .. }
            | Vread { kind, .. }
            | History { kind, .. }
            | Create { kind }
            | Update { kind, .. }
            | Search { kind } => kind,
            Operate { on, .. } => on.kind,
            Capabilities | Bundle | ProcessMessage | Validate => "",
        }
    }

    /// `Type/id` of the resource it names, or `""`.
    pub fn entity(&self) -> String {
        match self {
            Read { kind, id } | History { kind, id } | Update { kind, id } => format!("{kind}/{id}"),
            Operate { on, id } => format!("{}/{id}", on.kind),
            Vread { kind, id, version } => format!("{kind}/{id}/_history/{version}"),
            _ => String::new(),
        }
    }

    /// The route for metrics and the request line: never an id.
    pub fn route(&self) -> String {
        let kind = self.kind();
        match self {
            Capabilities => "/fhir/metadata".into(),
            Read { .. } | Update { .. } => format!("/fhir/{kind}/{{id}}"),
            Vread { .. } => format!("/fhir/{kind}/{{id}}/_history/{{version}}"),
            History { .. } => format!("/fhir/{kind}/{{id}}/_history"),
            Create { .. } | Search { .. } => format!("/fhir/{kind}"),
            Operate { on, .. } => format!("/fhir/{kind}/{{id}}/${}", on.name),
            Bundle => "/fhir".into(),
            ProcessMessage => "/fhir/$process-message".into(),
            Validate => "/fhir/$validate".into(),
        }
    }

    /// FHIR's audit action.
    pub const fn action(&self) -> Action {
        match self {
            Create { .. } => Action::C,
            Update { .. } => Action::U,
            Read { .. } | Vread { .. } | History { .. } => Action::R,
            Operate { on, .. } => {
                if on.changes {
                    Action::U
                } else {
                    Action::R
                }
            }
            Capabilities | Search { .. } | Bundle | ProcessMessage | Validate => Action::E,
        }
    }
}

fn operation(kind: &str, name: &str) -> Option<&'static Operation> {
    let name = name.strip_prefix('$')?;
    OPERATIONS.iter().find(|operation| operation.kind == kind && operation.name == name)
}

fn kind_of(name: &str) -> Result<&'static Type, Rejection> {
    TYPES.iter().find(|known| known.name == name).ok_or_else(|| {
        Rejection::new(BarsError::NotFound, IssueType::NotFound, "resources of this type are not served here")
    })
}

fn written_kind(name: &str) -> Result<&'static str, Rejection> {
    let found = kind_of(name)?;
    if found.written { Ok(found.name) } else { Err(wrong_method()) }
}

fn updated_kind(name: &str) -> Result<&'static str, Rejection> {
    let found = kind_of(name)?;
    if found.updated { Ok(found.name) } else { Err(wrong_method()) }
}

fn id_of(id: &str) -> Result<String, Rejection> {
    let fits = id.len() <= ID_CHARS_MAX
        && !id.is_empty()
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        // No id of ours is an NHS number; one asked for by mistake must not reach the audit log.
        && NhsNumber::parse(id).is_err();
    if fits { Ok(id.to_owned()) } else { Err(Rejection::not_found()) }
}

/// 404: no such path.
pub fn no_path() -> Rejection {
    Rejection::new(BarsError::NotFound, IssueType::NotFound, "there is nothing at this address")
}

/// 405.
pub fn wrong_method() -> Rejection {
    Rejection::new(
        BarsError::MethodNotAllowed,
        IssueType::NotSupported,
        "this method is not offered at this address; see /fhir/metadata",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paths_as_fhir_writes_them() {
        let of = |method, path| Interaction::of(&method, path);
        assert_eq!(of(Method::GET, "Task").ok(), Some(Search { kind: "Task" }));
        assert_eq!(of(Method::POST, "/Task/_search").ok(), Some(Search { kind: "Task" }));
        assert_eq!(of(Method::POST, "%24process-message").ok(), Some(ProcessMessage));
        assert_eq!(of(Method::POST, "Task/a/$preview-outcome").map(|asked| asked.word()).ok(), Some("preview-outcome"));
        assert_eq!(of(Method::POST, "").ok(), Some(Bundle));
        assert_eq!(of(Method::GET, "Task/a-1").ok(), Some(Read { kind: "Task", id: "a-1".into() }));
        let status = |method, path| of(method, path).err().map(|rejection| rejection.status());
        assert_eq!(of(Method::POST, "Task/a/%24re-route").map(|asked| asked.word()).ok(), Some("re-route"));
        assert_eq!(status(Method::GET, "Task/a/$re-route"), Some(405));
        assert_eq!(status(Method::POST, "ServiceRequest/a/$re-route"), Some(404));
        assert_eq!(status(Method::DELETE, "Task/a"), Some(405));
        assert_eq!(status(Method::POST, "Patient"), Some(405));
        assert_eq!(status(Method::GET, "Task/a/$preview-outcome"), Some(405));
        assert_eq!(status(Method::POST, "Flag/a/$preview-outcome"), Some(404));
        assert_eq!(status(Method::GET, "Slot"), Some(404));
        assert_eq!(status(Method::GET, "Task/a_b"), Some(404));
        assert_eq!(status(Method::GET, "Patient/9990000018"), Some(404));
        assert_eq!(status(Method::GET, "Task/a/_history/x"), Some(404));
        assert_eq!(status(Method::GET, "a/b/c/d/e"), Some(404));
        assert_eq!(status(Method::GET, ""), Some(405));
    }
}
