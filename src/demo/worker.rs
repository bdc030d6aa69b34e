//! A simulated link worker: learns of a referral from the wellness database's inbox and does the
//! pool's part through the gateway's FHIR API, as any client would.

use serde_json::{Value, json};

use super::stage::Stage;
use super::{DemoFault, samples};
use crate::config::Role;
use crate::fhir::episode::CONTACT_OUTCOME;
use crate::fhir::onward::{ONWARD, SIGNPOST};
use crate::fhir::{self, identifier, observation, split_reference};
use crate::outcome::reason::CLOSURE_REASON;

/// A pool's client of the FHIR API.
struct Client<'a> {
    http: reqwest::Client,
    base: &'a str,
    token: String,
}

/// One referral as the wellness database was told of it.
pub struct Case {
    /// The ServiceRequest's logical id.
    pub referral: String,
    task: String,
    patient: String,
    pool: String,
    declines: bool,
}

impl Case {
    /// What a `referral.received` Bundle tells, where it asks a pool to do something.
    pub fn of(bundle: &Value) -> Option<Self> {
        let resources = || fhir::each(&bundle["entry"]).map(|entry| &entry["resource"]);
        let task = resources().find(|resource| fhir::kind(resource) == "Task")?;
        let request = resources().find(|resource| fhir::kind(resource) == "ServiceRequest")?;
        let declines = identifier(request, "https://surgery.example/id/referral") == Some(samples::DECLINED);
        Some(Self {
            referral: fhir::id(request).to_owned(),
            task: fhir::id(task).to_owned(),
            patient: task["for"]["reference"].as_str().and_then(split_reference)?.1.to_owned(),
            pool: task["owner"]["identifier"]["value"].as_str()?.to_owned(),
            declines,
        })
    }

    /// Does the pool's part, from looking at the referral to its end. `say` hears each step.
    pub async fn work(&self, stage: &Stage, say: &(dyn Fn(&str) + Send + Sync)) -> Result<(), DemoFault> {
        let client = Client::new(stage, &self.pool)?;
        if self.declines {
            self.moves(&client, "rejected", "The person would rather not, for now").await?;
            say(&format!("  {} declined with pool {}", short(&self.referral), self.pool));
            return Ok(());
        }
        let at = crate::clock::instant(stage.gateway.clock.now());
        client.create(self.unanswered(&at)).await?;
        self.moves(&client, "accepted", "The person would like to").await?;
        client.create(self.contact(&at)).await?;
        client.create(self.raw_total(&at, 19)).await?;
        client.create(self.plan()).await?;
        self.moves(&client, "in-progress", "Plan agreed").await?;
        client.create(self.ons4(&at)).await?;
        client.create(self.signpost(&at)).await?;
        self.closes(&client).await?;
        let did = "rung, accepted, met, SWEMWBS and ONS4 recorded, plan agreed, signposted, closed";
        say(&format!("  {} {did} by pool {}", short(&self.referral), self.pool));
        Ok(())
    }

    async fn moves(&self, client: &Client<'_>, status: &str, why: &str) -> Result<(), DemoFault> {
        let (mut task, version) = client.read(&format!("Task/{}", self.task)).await?;
        task["status"] = json!(status);
        task["statusReason"] = json!({"text": why});
        client.update(task, &version).await
    }

    async fn closes(&self, client: &Client<'_>) -> Result<(), DemoFault> {
        let (mut task, version) = client.read(&format!("Task/{}", self.task)).await?;
        task["status"] = json!("completed");
        task["statusReason"] = json!({"coding": [{"system": CLOSURE_REASON, "code": "completed"}]});
        client.update(task, &version).await
    }

    fn links(&self, resource: Value) -> Value {
        self.names(resource, "basedOn")
    }

    fn names(&self, mut resource: Value, from: &str) -> Value {
        resource["subject"] = json!({"reference": format!("Patient/{}", self.patient)});
        resource[from] = json!([{"reference": format!("ServiceRequest/{}", self.referral)}]);
        resource
    }

    /// A call that nobody took, before the person accepted.
    fn unanswered(&self, at: &str) -> Value {
        let code = json!({"coding": [{"system": fhir::ids::SNOMED, "code": "294631000000100"}]});
        self.links(json!({
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": observation::ACT_CODE, "code": "VR"},
            "period": {"start": at},
            "extension": [{"url": CONTACT_OUTCOME, "valueCodeableConcept": code}],
        }))
    }

    fn plan(&self) -> Value {
        let plan = json!({"resourceType": "CarePlan", "status": "active", "intent": "plan", "activity": [
            {"detail": {"status": "not-started", "description": "Two walks a week with the group"}},
        ]});
        self.names(plan, "supportingInfo")
    }

    fn signpost(&self, at: &str) -> Value {
        self.links(json!({
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "proposal",
            "category": [{"coding": [{"system": ONWARD, "code": SIGNPOST}]}],
            "authoredOn": at,
            "performer": [{"display": "Fictional Allotment Society"}],
        }))
    }

    fn contact(&self, at: &str) -> Value {
        self.links(json!({
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory"},
            "period": {"start": at, "end": at},
        }))
    }

    fn raw_total(&self, at: &str, raw: u32) -> Value {
        self.links(json!({
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": fhir::ids::SNOMED, "code": "718466001"}]},
            "effectiveDateTime": at,
            "valueQuantity": observation::score(&raw.to_string()),
        }))
    }

    fn ons4(&self, at: &str) -> Value {
        let item = |link: &str, number: u32| json!({"linkId": link, "answer": [{"valueInteger": number}]});
        self.links(json!({
            "resourceType": "QuestionnaireResponse",
            "status": "completed",
            "questionnaire": "https://fingerpost.dev/Questionnaire/ons4",
            "authored": at,
            "item": [item("satisfaction", 6), item("worthwhile", 7), item("happiness", 6), item("anxiety", 4)],
        }))
    }
}

impl<'a> Client<'a> {
    fn new(stage: &'a Stage, pool: &str) -> Result<Self, DemoFault> {
        let token = stage.token(&format!("demo-pool-{pool}"), Role::Pool, "FPE01", &[pool])?;
        let http = reqwest::Client::builder().no_proxy().build().map_err(DemoFault::new)?;
        Ok(Self { http, base: &stage.base_url, token })
    }

    async fn read(&self, what: &str) -> Result<(Value, String), DemoFault> {
        let request = self.http.get(format!("{}/fhir/{what}", self.base));
        let (resource, etag) = self.send(request, what).await?;
        Ok((resource, etag))
    }

    async fn update(&self, resource: Value, etag: &str) -> Result<(), DemoFault> {
        let what = format!("{}/{}", fhir::kind(&resource), fhir::id(&resource));
        let request = self.http.put(format!("{}/fhir/{what}", self.base)).header("if-match", etag);
        self.send(body(request, &resource), &what).await.map(drop)
    }

    async fn create(&self, resource: Value) -> Result<(), DemoFault> {
        let what = fhir::kind(&resource).to_owned();
        let request = self.http.post(format!("{}/fhir/{what}", self.base));
        self.send(body(request, &resource), &what).await.map(drop)
    }

    async fn send(&self, request: reqwest::RequestBuilder, what: &str) -> Result<(Value, String), DemoFault> {
        let answer = request.bearer_auth(&self.token).send().await.map_err(DemoFault::new)?;
        let status = answer.status();
        let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or("").to_owned();
        let text = answer.text().await.map_err(DemoFault::new)?;
        if !status.is_success() {
            return Err(DemoFault::new(format!("{what}: {status}: {text}")));
        }
        Ok((serde_json::from_str(&text).unwrap_or_default(), etag))
    }
}

fn body(request: reqwest::RequestBuilder, resource: &Value) -> reqwest::RequestBuilder {
    request.header("content-type", "application/fhir+json").body(resource.to_string())
}

/// The beginning of a logical id: enough to tell referrals apart on a screen.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
