//! `$process-message`: BaRS messages. <https://hl7.org/fhir/R4/messageheader-operation-process-message.html>,
//! <https://simplifier.net/guide/nhsbookingandreferralstandard>
//!
//! What a message must be is in `intake::bars`; what becomes of it is the path's. This door keeps
//! the keys: a repeated `X-Request-Id`, or a `Bundle.id` used again, is told so.

use std::sync::Arc;

use serde_json::Value;

use super::answer::{Answer, Answered, Record, Refusal};
use super::exchange::Exchange;
use super::transaction::{received, request_key};
use crate::fhir::{self, message};
use crate::intake::bars;
use crate::referral::{self, Channel};
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::commit::{DoorKey, digest};

/// Takes one message and answers in the exchange, with the ids that it got. A message that is
/// refused is kept, with its bytes, as one that is taken.
pub async fn answer(exchange: &Exchange) -> Answered {
    let client = exchange.caller()?.client.clone();
    let mut received = received(exchange, Channel::Bars)?;
    let (bundle, mut findings) = match read(exchange) {
        Ok(read) => read,
        Err(rejection) => {
            return Err(Refusal::kept(referral::refuse(&exchange.gateway, &received, rejection).await));
        }
    };
    let keys = request_key(exchange, &client).into_iter().chain(bundle_key(exchange, &client, &bundle));
    for key in keys {
        unused(exchange, &key).await?;
        received.keys.push(key);
    }
    received.bundle = Some(bundle.clone());
    let answer = referral::process(&exchange.gateway, received).await.map_err(Refusal::kept)?;
    findings.extend(answer.findings);
    let bundle = Arc::unwrap_or_clone(bundle);
    let told = message::answer(bundle, &answer.assigned, &answer.referral, &findings, exchange.at);
    Ok(Answer::resource(&told, Record::kept()))
}

/// The message, when its headers and content are what BaRS asks for, and what was odd about it.
fn read(exchange: &Exchange) -> Result<(Arc<Value>, Vec<String>), Rejection> {
    let config = &exchange.gateway.config.bars;
    bars::check_headers(|name| exchange.header(name).to_owned(), config)?;
    let bundle = exchange.resource()?;
    let findings = bars::check_message(&bundle, config)?;
    Ok((Arc::new(bundle), findings))
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
async fn unused(exchange: &Exchange, key: &DoorKey) -> Result<(), Rejection> {
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
