//! `$process-message`: BaRS messages. <https://hl7.org/fhir/R4/messageheader-operation-process-message.html>,
//! <https://simplifier.net/guide/nhsbookingandreferralstandard>
//!
//! What a message must be is in `intake::bars`; what becomes of it is the path's. This door keeps
//! the keys: a repeated `X-Request-Id`, or a `Bundle.id` used again, is told so.

use std::sync::Arc;

use serde_json::Value;

use super::answer::{Answer, Answered, Record, Refusal};
use super::exchange::Exchange;
use super::transaction::{keep_refused, received, request_key};
use crate::fhir::{self, message};
use crate::intake::bars;
use crate::referral::{self, Channel};
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::commit::{DoorKey, digest};

/// Takes one message and answers in the exchange, with the ids that it got.
pub async fn answer(exchange: &Exchange) -> Answered {
    let (bundle, mut findings, keys) = match admit(exchange).await {
        Ok(admitted) => admitted,
        // Nothing new to keep, or nothing can be kept.
        Err(rejection) if matches!(rejection.error, BarsError::Conflict | BarsError::Unavailable) => {
            return Err(rejection.into());
        }
        Err(rejection) => return Err(keep_refused(exchange, Channel::Bars, rejection).await),
    };
    let received = received(exchange, Channel::Bars, Some(bundle.clone()), keys)?;
    let answer = referral::process(&exchange.gateway, received).await.map_err(Refusal::kept)?;
    findings.extend(answer.findings);
    let told =
        message::answer(Arc::unwrap_or_clone(bundle), &answer.assigned, &answer.referral, &findings, exchange.at);
    Ok(Answer::resource(&told, Record::kept()))
}

/// The message, the findings of a lenient reading and the door keys, when it may go down the path.
async fn admit(exchange: &Exchange) -> Result<(Arc<Value>, Vec<String>, Vec<DoorKey>), Rejection> {
    let config = &exchange.gateway.config.bars;
    bars::check_headers(|name| exchange.header(name).to_owned(), config)?;
    let client = &exchange.caller()?.client;
    let request = request_key(exchange, client);
    unused(exchange, request.as_ref()).await?;
    let bundle = Arc::new(exchange.resource()?);
    let findings = bars::check_message(&bundle, config)?;
    let named = bundle_key(exchange, client, &bundle);
    unused(exchange, named.as_ref()).await?;
    Ok((bundle, findings, request.into_iter().chain(named).collect()))
}

/// The door key of `Bundle.id`, where there is one.
fn bundle_key(exchange: &Exchange, sender: &str, bundle: &Value) -> Option<DoorKey> {
    let id = fhir::id(bundle);
    (!id.is_empty()).then(|| DoorKey {
        scope: "bundle",
        key: format!("{sender} {id}"),
        digest: digest(&exchange.body),
        expires: None,
    })
}

/// 409 where the key was taken: `conflict` where a Bundle.id comes again with other bytes, else
/// `duplicate`. Two at once are told apart by the commit.
async fn unused(exchange: &Exchange, key: Option<&DoorKey>) -> Result<(), Rejection> {
    let Some(key) = key else { return Ok(()) };
    match exchange.gateway.store.door_key(key.scope, &key.key).await? {
        None => Ok(()),
        Some(before) if key.scope == "bundle" && before != key.digest => Err(Rejection::new(
            BarsError::Conflict,
            IssueType::Conflict,
            "a message with this Bundle.id and other content was processed already",
        )
        .at("Bundle.id")),
        Some(_) => {
            Err(Rejection::new(BarsError::Conflict, IssueType::Duplicate, "this message has been processed already"))
        }
    }
}
