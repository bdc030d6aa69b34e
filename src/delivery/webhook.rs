//! A configured receiver: rest-hook POST of a FHIR Bundle with Standard Webhooks headers.
//! <https://www.standardwebhooks.com/>, <https://hl7.org/fhir/R4/bundle.html>
//!
//! `webhook-id` is the outbox row's id: the receiver that has seen it answers 2xx and does nothing.

use super::attempt::{self, Verdict};
use super::runner::{self, Letter, Receiver, Tried, Unready};
use super::signature::Secret;
use super::{contents, reach};
use crate::audit;
use crate::config;
use crate::fhir::collection::collection;
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::commit::{Claimed, Commit, OutboxRow, Sent};

/// One receiver as configured, or what is wrong with its configuration.
pub struct Webhook {
    ready: Result<Ready, Unready>,
}

struct Ready {
    client: reqwest::Client,
    url: reqwest::Url,
    secret: Secret,
}

impl Webhook {
    /// The receiver of that name. What is wrong with it comes out when it is sent to.
    pub fn new(gateway: &Gateway, name: &str) -> Self {
        let receiver = gateway.config.delivery.receivers.iter().find(|receiver| receiver.name == name);
        let ready = match receiver {
            Some(receiver) => Ready::new(&gateway.config, receiver),
            None => Err(Unready::Never(format!("needs a person: no receiver '{name}' is configured"))),
        };
        Self { ready }
    }
}

impl Ready {
    fn new(config: &config::Config, receiver: &config::Receiver) -> Result<Self, Unready> {
        let refused = |why: String| Unready::NotNow(format!("receiver '{}': {why}", receiver.name));
        let url = reach::check(config, &receiver.url).map_err(refused)?;
        let text = std::fs::read_to_string(&receiver.secret_file)
            .map_err(|_| refused("its secret_file cannot be read".to_owned()))?;
        let secret = Secret::parse(&text).map_err(refused)?;
        Ok(Self { client: reach::client(config).map_err(refused)?, url, secret })
    }

    async fn letter(&self, gateway: &Gateway, row: &OutboxRow) -> Result<Letter, Unready> {
        let stored = contents::stored(gateway, row).await?;
        let entries: Vec<_> = stored
            .iter()
            .map(|one| (full_url(&gateway.config.serve.base_url, &one.kind, &one.id), one.body.clone()))
            .collect();
        let body = collection(row.id, &row.event, row.at, &entries);
        let (id, seconds) = (row.id.to_string(), gateway.clock.now().as_second());
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/fhir+json")
            .header("webhook-signature", self.secret.sign(&id, seconds, &body))
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-id", id)
            .body(body)
            .build()
            .map_err(|_| Unready::Never("the request could not be made".to_owned()))?;
        Ok(Letter {
            client: self.client.clone(),
            request,
            entities: contents::entities(&stored),
            patients: contents::patients(&stored),
        })
    }
}

/// Where the resource can be read; a `urn:uuid` while the gateway has no public address.
fn full_url(base_url: &str, kind: &str, id: &str) -> String {
    match base_url.trim_end_matches('/') {
        "" => format!("urn:uuid:{id}"),
        base => format!("{base}/fhir/{kind}/{id}"),
    }
}

impl Receiver for Webhook {
    const KIND: audit::Kind = audit::Kind::Delivery;
    const INTERACTION: &'static str = "deliver";

    type Came = Verdict;

    async fn attempt(&self, gateway: &Gateway, claimed: &Claimed) -> Tried<Verdict> {
        let letter = match &self.ready {
            Ok(ready) => ready.letter(gateway, &claimed.row).await,
            Err(why) => Err(why.clone()),
        };
        runner::exchange(gateway, letter).await
    }

    async fn settle(&self, gateway: &Gateway, claimed: &Claimed, came: &Verdict) -> Result<(Sent, Commit), StoreError> {
        let (config, now) = (&gateway.config.delivery, gateway.clock.now());
        Ok((attempt::decide(config, claimed.attempts, came.clone(), now, fastrand::f64()), Commit::default()))
    }
}
