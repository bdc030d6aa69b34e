//! The edge's side of `access`: what of a request tells who is calling.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::Bytes;

use super::forwarded;
use crate::access::{Caller, Credentials};
use crate::config::Serve;
use crate::gateway::Gateway;
use crate::rejection::Rejection;

/// The other end of a connection, put on each of its requests by the accept loop.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address; behind a trusted proxy, that of whoever the proxy speaks for.
    pub address: IpAddr,
    /// Its TLS certificate, DER, where it showed one that the configured CA signed.
    pub certificate: Option<Bytes>,
}

impl Peer {
    /// The peer of a request; nothing is known of one that came by no socket.
    pub fn of(parts: &Parts) -> (String, Option<Bytes>) {
        let peer = parts.extensions.get::<Self>();
        (peer.map(|peer| peer.address.to_string()).unwrap_or_default(), peer.and_then(|peer| peer.certificate.clone()))
    }
}

/// Puts the address of whoever is behind a trusted proxy in the place of the proxy's.
pub fn look_behind(serve: &Serve, request: &mut Request) {
    let Some(mut peer) = request.extensions_mut().remove::<Peer>() else { return };
    peer.address = forwarded::caller(peer.address, request.headers(), serve);
    request.extensions_mut().insert(peer);
}

/// Who is calling.
///
/// # Errors
/// 401.
pub fn authenticate(gateway: &Gateway, parts: &Parts) -> Result<Caller, Rejection> {
    let (address, certificate) = Peer::of(parts);
    let text = |headers: &'_ HeaderMap, name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let authorization = text(&parts.headers, header::AUTHORIZATION.as_str());
    let practitioner = text(&parts.headers, "nhsd-requesting-practitioner");
    let shown = Credentials {
        authorization: authorization.as_deref(),
        certificate: certificate.as_deref(),
        address: &address,
        practitioner: practitioner.as_deref(),
    };
    gateway.access.authenticate(shown, gateway.clock.now())
}

/// 404 unless the caller may see the resource: what one may not see, one may not know of.
///
/// # Errors
/// 404, or the store's fault.
pub async fn may_see(gateway: &Gateway, caller: &Caller, kind: &str, id: &str) -> Result<(), Rejection> {
    if caller.visible().is_none() {
        return Ok(());
    }
    let rows = gateway.store.visibility(kind, id).await?;
    if caller.may_see(&rows) { Ok(()) } else { Err(Rejection::not_found()) }
}
