//! Outbox rows: what must leave, to whom, under which idempotency key. Pure.

use jiff::Timestamp;
use uuid::Uuid;

use crate::config::{Config, Receiver};
use crate::fhir::ids::{OdsCode, stable_id};
use crate::store::commit::OutboxRow;

/// Queues of configured receivers are `webhook:NAME`.
pub const WEBHOOK: &str = "webhook:";
/// Queues of practices' systems are `writeback:ODS`.
pub const WRITEBACK: &str = "writeback:";

/// The rows that tell the subscribed receivers of `event` about these resource versions.
///
/// Events are `referral.received`, `referral.updated`, `referral.cancelled`, `task.updated` and
/// `outcome.recorded`; a receiver subscribes to one by name or to all of a kind by its first word.
/// The same event about the same versions always gives the same rows, so a replay sends nothing twice.
pub fn rows(
    config: &Config,
    event: &str,
    episode: &str,
    resources: &[(String, String, u32)],
    at: Timestamp,
) -> Vec<OutboxRow> {
    let receivers = config.delivery.receivers.iter().filter(|receiver| subscribed(receiver, event));
    receivers.map(|receiver| row(format!("{WEBHOOK}{}", receiver.name), event, episode, resources, at)).collect()
}

/// The row that files these resource versions in one practice's system.
pub fn practice_row(
    practice: &OdsCode,
    event: &str,
    episode: &str,
    resources: &[(String, String, u32)],
    at: Timestamp,
) -> OutboxRow {
    row(format!("{WRITEBACK}{practice}"), event, episode, resources, at)
}

fn row(queue: String, event: &str, episode: &str, resources: &[(String, String, u32)], at: Timestamp) -> OutboxRow {
    let id = row_id(&queue, event, episode, resources);
    OutboxRow { id, queue, episode: episode.to_owned(), event: event.to_owned(), resources: resources.to_vec(), at }
}

/// The idempotency key that a receiver sees: made from the episode, the event with its resource
/// versions, and the target.
fn row_id(queue: &str, event: &str, episode: &str, resources: &[(String, String, u32)]) -> Uuid {
    let mut versions: Vec<String> =
        resources.iter().map(|(kind, id, version)| format!("{kind}/{id}/{version}")).collect();
    versions.sort();
    stable_id(&[episode, &format!("{event} {}", versions.join(" ")), queue])
}

fn subscribed(receiver: &Receiver, event: &str) -> bool {
    receiver.events.iter().any(|wanted| event == wanted || event.split('.').next() == Some(wanted))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(events: &[&str]) -> Config {
        let mut config: Config = toml::from_str(crate::config::DEFAULTS).unwrap();
        config.delivery.receivers = vec![Receiver {
            name: "wellness".into(),
            url: "https://wellness.example/hook".into(),
            secret_file: "/nowhere".into(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
        }];
        config
    }

    fn made(events: &[&str], event: &str, version: u32) -> Vec<OutboxRow> {
        let task = [("Task".to_owned(), "t1".to_owned(), version)];
        rows(&config(events), event, "sr1", &task, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_receiver_gets_what_it_subscribed_to() {
        assert_eq!(made(&["task"], "task.updated", 1)[0].queue, "webhook:wellness");
        assert_eq!(made(&["task.updated"], "task.updated", 1).len(), 1);
        assert!(made(&["referral", "outcome"], "task.updated", 1).is_empty());
        assert!(made(&["tas"], "task.updated", 1).is_empty());
        assert!(made(&[], "task.updated", 1).is_empty());
    }

    #[test]
    fn the_same_event_has_the_same_key_and_another_version_another() {
        assert_eq!(made(&["task"], "task.updated", 1)[0].id, made(&["task"], "task.updated", 1)[0].id);
        assert_ne!(made(&["task"], "task.updated", 1)[0].id, made(&["task"], "task.updated", 2)[0].id);
    }
}
