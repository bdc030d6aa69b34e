//! `POST /intake/emis-extract`: a zip archive, or one CSV file named by `Content-Disposition`.
//!
//! Streamed to a file of its own, whatever its size, then answered 202 with a `Location` to poll,
//! whose last answer is the ingest's result. Only that result says that the extract was taken in:
//! an upload that is forgotten (the process ended) is sent again, and files that were read are skipped.

use std::future::poll_fn;
use std::path::{Path as FilePath, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::door::{self, respond};
use super::plain::{json_of, refuse, signed_in};
use super::{AtEdge, Edge, base, interaction};
use crate::access::Caller;
use crate::audit::{Action, Entry, Kind};
use crate::fhir::wire::Form;
use crate::intake::emis::upload::Job;
use crate::rejection::{BarsError, IssueType, Rejection};

/// Seconds after which the sender may ask again.
const POLL_SECONDS: &str = "1";
/// Characters of a file name that are kept.
const NAME_CHARS_MAX: usize = 200;

/// Takes a file in.
pub async fn start(State(edge): AtEdge, Path(format): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match taken(&edge, &format, &parts, body).await {
        Ok(id) => {
            let at = format!("{}/intake/jobs/{id}", base(&edge.gateway));
            let mut response = (StatusCode::ACCEPTED, json!({"status": "running"}).to_string()).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::LOCATION, HeaderValue::from_str(&at).unwrap_or(HeaderValue::from_static("/")));
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(POLL_SECONDS));
            response
        }
        Err(rejection) => refuse(&edge, &parts, "intake", &rejection).await,
    }
}

/// How far an upload is: 202 while it is read, 200 with its result, 500 where it broke off.
pub async fn poll(State(edge): AtEdge, Path(id): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let caller = match signed_in(&edge, &parts, "intake").await {
        Ok(caller) => caller,
        Err(rejection) => return refuse(&edge, &parts, "intake", &rejection).await,
    };
    let job = Uuid::try_parse(&id).ok().and_then(|id| edge.uploads.job(id));
    let Some(job) = job else { return refuse(&edge, &parts, "intake", &Rejection::not_found()).await };
    if let Err(unkept) = audited(&edge, &parts, &caller, Action::R, &id).await {
        return respond(door::Told::refused(&unkept), Form::Json);
    }
    match job {
        Job::Running => json_of(StatusCode::ACCEPTED, &json!({"status": "running"})),
        Job::Done(result) => json_of(StatusCode::OK, &serde_json::to_value(&*result).unwrap_or_default()),
        Job::Failed(why) => json_of(StatusCode::INTERNAL_SERVER_ERROR, &json!({"status": "failed", "error": why})),
    }
}

async fn taken(edge: &Edge, format: &str, parts: &Parts, body: Body) -> Result<Uuid, Rejection> {
    let caller = signed_in(edge, parts, "intake").await?;
    if format != "emis-extract" {
        return Err(interaction::no_path());
    }
    let folder = std::env::temp_dir().join(format!("fingerpost-upload-{}", Uuid::new_v4()));
    let kept = receive(&folder, &name_of(&parts.headers), body, edge.limits.silence).await;
    let started = match kept {
        Ok(()) => edge.uploads.start(&edge.gateway, folder.clone()),
        Err(rejection) => Err(rejection),
    };
    match started {
        Ok(id) => audited(edge, parts, &caller, Action::C, &id.to_string()).await.map(|()| id),
        Err(rejection) => {
            let _ = tokio::fs::remove_dir_all(&folder).await; // nothing was started on it
            Err(rejection)
        }
    }
}

/// Writes the body to a file that only this user can read.
async fn receive(folder: &FilePath, name: &str, mut body: Body, quiet: Duration) -> Result<(), Rejection> {
    let mut file = create(folder, name).await.map_err(|fault| unkept(&fault))?;
    loop {
        let next = tokio::time::timeout(quiet, poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await;
        let late = |_| Rejection::new(BarsError::Timeout, IssueType::Transient, "the upload stood still too long");
        let Some(frame) = next.map_err(late)? else { break };
        let frame = frame.map_err(|_| Rejection::bad_request(IssueType::Structure, "the upload broke off"))?;
        if let Ok(data) = frame.into_data() {
            file.write_all(&data).await.map_err(|fault| unkept(&fault))?;
        }
    }
    file.sync_all().await.map_err(|fault| unkept(&fault))
}

async fn create(folder: &FilePath, name: &str) -> std::io::Result<tokio::fs::File> {
    tokio::fs::DirBuilder::new().mode(0o700).create(folder).await?;
    let path: PathBuf = folder.join(name);
    tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await
}

/// The file name that the sender gave, without any path; `upload.zip` where it gave none.
fn name_of(headers: &HeaderMap) -> String {
    let given = headers.get(header::CONTENT_DISPOSITION).and_then(|value| value.to_str().ok()).unwrap_or("");
    let named = given.split(';').find_map(|part| part.trim().strip_prefix("filename=")).unwrap_or("");
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    let name: String = named.trim_matches('"').chars().filter(plain).take(NAME_CHARS_MAX).collect();
    let name = name.trim_start_matches('.').to_owned();
    if name.is_empty() { "upload.zip".to_owned() } else { name }
}

fn unkept(fault: &std::io::Error) -> Rejection {
    tracing::error!(error = %fault, "an upload could not be kept");
    Rejection::new(BarsError::Unavailable, IssueType::Transient, "the upload could not be kept; send it again")
}

async fn audited(edge: &Edge, parts: &Parts, caller: &Caller, action: Action, id: &str) -> Result<(), Rejection> {
    let entry = Entry {
        request: door::id_of(&parts.headers, door::REQUEST),
        detail: format!("emis-extract upload {id}"),
        ..Entry::care(Kind::Intake, "intake", action, caller.agent(), edge.gateway.clock.now())
    };
    door::keep(&edge.gateway, entry).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_elsewhere() {
        let name = |given: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(given));
            name_of(&headers)
        };
        assert_eq!(name("attachment; filename=\"291_Admin_Patient_2026.csv\""), "291_Admin_Patient_2026.csv");
        assert_eq!(name("attachment; filename=../../etc/passwd"), "etcpasswd");
        assert_eq!(name("attachment"), "upload.zip");
    }
}
