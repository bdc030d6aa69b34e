//! `POST /intake/{format}`: files by HTTP. Answers 202 with a `Location` to poll.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::AtEdge;
use super::plain::{self, refuse, signed_in};

/// Uploads under way and done.
#[derive(Clone, Default)]
pub struct Uploads {}

/// Takes a file in.
pub async fn start(State(edge): AtEdge, Path(_format): Path<String>, request: Request) -> Response {
    let (parts, _body) = request.into_parts();
    if let Err(rejection) = signed_in(&edge, &parts, "intake").await {
        return refuse(&edge, &parts, "intake", &rejection).await;
    }
    plain::error(StatusCode::NOT_FOUND, "no such format")
}

/// How far an upload is.
pub async fn poll(State(edge): AtEdge, Path(_id): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Err(rejection) = signed_in(&edge, &parts, "intake").await {
        return refuse(&edge, &parts, "intake", &rejection).await;
    }
    plain::error(StatusCode::NOT_FOUND, "no such upload")
}
