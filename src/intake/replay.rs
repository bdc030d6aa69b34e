//! Taking what is held down the path again, from the bytes or rows that were kept.

use uuid::Uuid;

use crate::audit::Agent;
use crate::gateway::Gateway;
use crate::nhs::mesh;
use crate::referral::{self, Channel, Outcome, Received};
use crate::rejection::{IssueType, Rejection};
use crate::store::commit::{Cause, Hold};

/// Replays one hold; says in words what came of it.
///
/// # Errors
/// The rejection that the sender would have been told, or that there is nothing to start from.
pub async fn replay(gateway: &Gateway, hold: &Hold) -> Result<String, Rejection> {
    if hold.channel == Channel::EmisExtract.word() {
        return super::emis::replay(gateway, hold).await;
    }
    if hold.channel == mesh::CHANNEL {
        return mesh::replay(gateway, hold).await;
    }
    let received = received(gateway, hold).await?;
    let answer = referral::process(gateway, received).await?;
    Ok(match answer.result {
        Outcome::Committed => "committed".to_owned(),
        Outcome::Duplicate => "nothing new in it".to_owned(),
        Outcome::Withdrawn => "withdrawn".to_owned(),
        Outcome::Held(causes) => format!("held: {}", words(&causes)),
    })
}

/// Says what a replay would come to. Nothing is kept.
///
/// # Errors
/// As [`replay`].
pub async fn rehearse(gateway: &Gateway, hold: &Hold) -> Result<String, Rejection> {
    if hold.channel == Channel::EmisExtract.word() {
        return super::emis::rehearse(gateway, hold).await;
    }
    if hold.channel == mesh::CHANNEL {
        return mesh::rehearse(gateway, hold).await;
    }
    let received = received(gateway, hold).await?;
    referral::rehearse(gateway, &received).await
}

/// The held message as it would be received now.
async fn received(gateway: &Gateway, hold: &Hold) -> Result<Received, Rejection> {
    let channel = [Channel::Bars, Channel::Fhir].into_iter().find(|channel| channel.word() == hold.channel);
    let (Some(channel), Ok(id)) = (channel, hold.replay.parse::<Uuid>()) else { return Err(nothing_kept()) };
    let message = gateway.store.message(id).await?.ok_or_else(nothing_kept)?;
    Ok(Received {
        id: Uuid::new_v4(),
        channel,
        agent: sender(gateway, &message.sender, hold),
        at: gateway.clock.now(),
        request: id.to_string(),
        correlation: String::new(),
        content_type: message.content_type,
        bytes: message.bytes,
        keys: Vec::new(),
        source: message.sender,
        tree: None,
        bundle: None,
        replays: Some(hold.id),
    })
}

/// The operator on behalf of the sender, whose organisation decides who may see the referral.
fn sender(gateway: &Gateway, client: &str, hold: &Hold) -> Agent {
    let known = gateway.config.access.clients.iter().find(|known| known.id == client).map(|known| &known.ods);
    Agent::operator(known.or(hold.practice.as_ref()).unwrap_or(&gateway.config.gateway.ods))
}

fn words(causes: &[Cause]) -> String {
    causes.iter().map(|cause| cause.word()).collect::<Vec<_>>().join(", ")
}

fn nothing_kept() -> Rejection {
    Rejection::bad_request(IssueType::NotFound, "there is no kept message to replay this hold from; send it again")
}
