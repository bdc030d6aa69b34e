//! The CapabilityStatement: everything stated works, and what is not stated is refused.
//! <https://hl7.org/fhir/R4/capabilitystatement.html>

use fingerpost::config::Role;
use serde_json::Value;

use crate::referrals::bars_message;
use crate::running::{self, Running};

fn strings<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    let all = list.as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter_map(|item| item[member].as_str()).collect()
}

/// A value that the parameter type can read.
fn sample(kind: &str) -> &'static str {
    match kind {
        "date" => "ge2020-01-01",
        "reference" => "Patient/none",
        _ => "none",
    }
}

async fn statement(gateway: &Running) -> Value {
    let reply = gateway.get("/fhir/metadata", "").await;
    assert_eq!(reply.status, 200);
    reply.json()
}

#[tokio::test]
async fn everything_stated_works() {
    let gateway = running::start(|_| {}).await;
    let reply = gateway
        .message(&gateway.practice("surgery"), "application/fhir+json", bars_message(1, "N84001").to_string())
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let token = gateway.token("lead", Role::Ig, "FPG01", &[]);
    let statement = statement(&gateway).await;
    fingerpost::fhir::check::check(&statement).unwrap();
    assert_eq!(statement["fhirVersion"], "4.0.1");
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    assert!(resources.len() >= 9);
    for resource in resources {
        let kind = resource["type"].as_str().unwrap();
        let interactions = strings(&resource["interaction"], "code");
        let found = gateway.get(&format!("/fhir/{kind}?_count=1"), &token).await;
        assert_eq!(found.status, 200, "{kind}: {}", found.text);
        fingerpost::fhir::check::check(&found.json()).unwrap();
        for parameter in resource["searchParam"].as_array().unwrap() {
            let (name, of) = (parameter["name"].as_str().unwrap(), parameter["type"].as_str().unwrap());
            let path = format!("/fhir/{kind}?{name}={}", sample(of));
            let request = gateway.request(reqwest::Method::GET, &path, &token).header("prefer", "handling=strict");
            let reply = running::send(request).await;
            assert_eq!(reply.status, 200, "{path} is stated: {}", reply.text);
        }
        let Some(id) = found.json()["entry"][0]["resource"]["id"].as_str().map(str::to_owned) else { continue };
        for (interaction, path) in [
            ("read", format!("/fhir/{kind}/{id}")),
            ("vread", format!("/fhir/{kind}/{id}/_history/1")),
            ("history-instance", format!("/fhir/{kind}/{id}/_history")),
        ] {
            let reply = gateway.get(&path, &token).await;
            let stated = interactions.contains(&interaction);
            assert_eq!(reply.status == 200, stated, "{interaction} of {kind}, stated: {stated}; {}", reply.status);
        }
    }
}

#[tokio::test]
async fn what_is_not_stated_is_refused_as_fhir_says() {
    let gateway = running::start(|_| {}).await;
    let token = gateway.token("lead", Role::Ig, "FPG01", &[]);
    for (method, path, status, issue) in [
        ("GET", "/fhir/Slot", 404, "not-found"),
        ("GET", "/fhir/Task/none", 404, "not-found"),
        ("DELETE", "/fhir/Task/none", 405, "not-supported"),
        ("PATCH", "/fhir/Task/none", 405, "not-supported"),
        ("POST", "/fhir/Patient", 405, "not-supported"),
        ("GET", "/fhir/Task?birthdate=1950", 400, "not-supported"),
        ("GET", "/fhir/Task?_count=x", 400, "value"),
        ("GET", "/fhir/ServiceRequest?authored=soon", 400, "value"),
        ("GET", "/nowhere", 404, "not-found"),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = gateway.request(method.clone(), path, &token).header("prefer", "handling=strict");
        let reply = running::send(request).await;
        assert_eq!((reply.status, &*reply.issue()), (status, issue), "{method} {path}: {}", reply.text);
        fingerpost::fhir::check::check(&reply.json()).unwrap();
    }
}

#[tokio::test]
async fn a_parameter_that_is_not_known_is_left_out_and_said() {
    let gateway = running::start(|_| {}).await;
    let token = gateway.token("lead", Role::Ig, "FPG01", &[]);
    let reply = gateway.get("/fhir/Patient?nonsense=x&family=none&_total=accurate", &token).await;
    assert_eq!(reply.status, 200);
    let bundle = reply.json();
    assert_eq!(bundle["total"], 0);
    let link = bundle["link"][0]["url"].as_str().unwrap();
    assert!(link.contains("family=none") && !link.contains("nonsense"), "{link}");
    assert_eq!(bundle["entry"][0]["search"]["mode"], "outcome");
}

#[tokio::test]
async fn pages_stay_true_while_others_write() {
    let gateway = running::start(|_| {}).await;
    let practice = gateway.practice("surgery");
    for n in 0..5 {
        let sent = gateway.message(&practice, "application/fhir+json", bars_message(n, "N84001").to_string()).await;
        assert_eq!(sent.status, 200, "{}", sent.text);
    }
    let (mut seen, mut path, mut n) = (Vec::new(), "/fhir/ServiceRequest?_count=2".to_owned(), 5);
    loop {
        let page = gateway.get(&path, &practice).await.json();
        for entry in page["entry"].as_array().unwrap() {
            seen.push(entry["resource"]["id"].as_str().unwrap().to_owned());
        }
        let sent = gateway.message(&practice, "application/fhir+json", bars_message(n, "N84001").to_string()).await;
        assert_eq!(sent.status, 200);
        n += 1;
        let next = page["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next");
        let Some(next) = next else { break };
        path = next["url"].as_str().unwrap().strip_prefix(&gateway.base).unwrap().to_owned();
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!((seen.len(), once.len()), (5, 5), "each of the first five once, and none that came later");
}
