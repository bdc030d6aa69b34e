//! The edge's side of `access`: what of a request tells who is calling.

use std::net::IpAddr;

use axum::http::request::Parts;
use bytes::Bytes;

use crate::access::Caller;
use crate::referral::Gateway;
use crate::rejection::Rejection;

/// The other end of a connection, put on each of its requests by the accept loop.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its TLS certificate, DER, where it showed one that the configured CA signed.
    pub certificate: Option<Bytes>,
}

/// Who is calling.
pub async fn authenticate(gateway: &Gateway, parts: &Parts) -> Result<Caller, Rejection> {
    let _ = (gateway, parts);
    Err(Rejection::not_found())
}

/// May the caller ask this at all?
pub fn may(caller: &Caller, interaction: &str, kind: &str) -> Result<(), Rejection> {
    let _ = (caller, interaction, kind);
    Ok(())
}

/// The rows that a caller may see, as the store narrows searches by them.
pub fn visible(caller: &Caller) -> Option<Vec<(u8, String)>> {
    let _ = caller;
    None
}

/// 404 unless the caller may see the resource.
pub async fn may_see(gateway: &Gateway, caller: &Caller, kind: &str, id: &str) -> Result<(), Rejection> {
    let _ = (gateway, caller, kind, id);
    Ok(())
}
