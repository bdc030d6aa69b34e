//! `_include` of references one step away. <https://hl7.org/fhir/R4/search.html#include>
//!
//! Only resources that the caller may see are included; `_revinclude` and `:iterate` are not offered.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::exchange::Exchange;
use super::super::interaction::TYPES;
use super::super::who;
use crate::fhir::index::index;
use crate::fhir::parameters::{How, of};
use crate::rejection::{IssueType, Rejection};
use crate::store::{Store, Stored};

/// Resources that one page includes at most.
const INCLUDED_MAX: usize = 1000;

/// The resources that the page's `_include`s name.
///
/// # Errors
/// 400 for an `_include` that names no reference parameter of the type.
pub async fn resources(exchange: &Exchange, kind: &str, page: &[Stored]) -> Result<Vec<Stored>, Rejection> {
    let mut wanted = BTreeSet::new();
    for (_, value) in exchange.query.iter().filter(|(name, _)| name == "_include") {
        let param = param_of(kind, value)?;
        for stored in page {
            let resource: Value = serde_json::from_slice(&stored.body).unwrap_or_default();
            wanted.extend(index(&resource).into_iter().filter(|row| row.param == param).map(|row| row.value));
        }
    }
    let mut found = Vec::new();
    for reference in wanted.iter().take(INCLUDED_MAX) {
        found.extend(one(&exchange.gateway.store, exchange, reference).await?);
    }
    Ok(found)
}

async fn one(store: &Store, exchange: &Exchange, reference: &str) -> Result<Option<Stored>, Rejection> {
    let Some((kind, id)) = reference.split_once('/') else { return Ok(None) };
    if !TYPES.iter().any(|served| served.name == kind) {
        return Ok(None);
    }
    let caller = exchange.caller()?;
    let visible = caller.may("read", kind).is_ok() && who::may_see(&exchange.gateway, caller, kind, id).await.is_ok();
    if !visible {
        return Ok(None);
    }
    Ok(store.read(kind, id).await?.filter(|stored| !stored.deleted))
}

/// The index's number of `Type:parameter[:Target]`.
fn param_of(kind: &str, value: &str) -> Result<u8, Rejection> {
    let mut parts = value.split(':');
    let (source, name) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let fits = |p: &&crate::fhir::parameters::Parameter| p.name == name && p.how == How::Reference;
    of(kind).filter(|_| source == kind).find(fits).map(|parameter| parameter.param).ok_or_else(|| {
        Rejection::bad_request(IssueType::NotSupported, "_include must be Type:parameter of a reference of this type")
    })
}
