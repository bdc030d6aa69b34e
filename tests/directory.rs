//! Pools, link workers and venues as FHIR: shown to all, kept up to date, and routed by at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/running.rs"]
mod running;

use fingerpost::clock::Clock;
use fingerpost::config::Role;
use fingerpost::directory;
use fingerpost::gateway::Gateway;
use running::{Reply, Running};
use serde_json::{Value, json};

/// A link worker of the example place, and their pool.
const ROLE: &str = "PractitionerRole/north.w-north-1";

async fn shown() -> (Running, String) {
    let running = running::start(|_| {}).await;
    assert!(directory::publish(&running.gateway).await.unwrap() > 0);
    let consumer = running.token("wellness", Role::Consumer, "RY0", &[]);
    (running, consumer)
}

async fn put(running: &Running, token: &str, resource: &Value) -> Reply {
    let path = format!("/fhir/{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    let request = running.request(reqwest::Method::PUT, &path, token);
    running::send(request.header("content-type", "application/fhir+json").body(resource.to_string())).await
}

#[tokio::test]
async fn everybody_sees_who_works_where() {
    let (running, consumer) = shown().await;
    let pool = running.token("pool", Role::Pool, "FPE04", &["formby"]);
    let ops = running.token("ops", Role::Ops, "FPG01", &[]);
    for token in [&consumer, &pool, &ops, &running.practice("surgery")] {
        let role = running.get(&format!("/fhir/{ROLE}"), token).await;
        assert_eq!(role.status, 200, "{}", role.text);
        fingerpost::fhir::check::check(&role.json()).unwrap();
        let found = running.get("/fhir/PractitionerRole?service=HealthcareService/north", token).await;
        assert!(found.json()["entry"].as_array().is_some_and(|all| !all.is_empty()), "{}", found.text);
    }
    for path in ["HealthcareService?name=north", "Practitioner?gender=female", "Organization?identifier=FPE01"] {
        let found = running.get(&format!("/fhir/{path}"), &ops).await.json();
        let first = &found["entry"][0]["resource"];
        assert!(first["id"].is_string(), "{path}: {found}");
        fingerpost::fhir::check::check(first).unwrap();
    }
    // What operations may not see is not shown to them by this.
    assert_eq!(running.get("/fhir/Patient", &ops).await.status, 403);
    // Nothing changed: no version is made.
    assert_eq!(directory::publish(&running.gateway).await.unwrap(), 0);
    let statement = running.get("/fhir/metadata", "").await.json();
    let types: Vec<&Value> = statement["rest"][0]["resource"].as_array().unwrap().iter().collect();
    let role = types.iter().find(|t| t["type"] == "PractitionerRole").unwrap();
    let codes = role["interaction"].to_string();
    assert!(codes.contains("update") && !codes.contains("create"), "{codes}");
}

#[tokio::test]
async fn an_absence_by_fhir_is_routed_by_at_once_and_after_a_restart() {
    let (running, consumer) = shown().await;
    let mut role = running.get(&format!("/fhir/{ROLE}"), &consumer).await.json();
    role["notAvailable"] = json!([{"description": "Away", "during": {"start": "2020-01-01", "end": "2099-12-31"}}]);
    let answer = put(&running, &consumer, &role).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let absent = |gateway: &Gateway| {
        let on = "2026-11-25".parse().unwrap();
        gateway.place().absences().iter().any(|absence| absence.worker == "w-north-1" && absence.period.holds(on))
    };
    assert!(absent(&running.gateway));
    assert_ne!(running.gateway.place().version, running.gateway.files_place.version);
    // Publishing again leaves what is kept by FHIR, and another process has it too.
    directory::publish(&running.gateway).await.unwrap();
    assert!(absent(&running.gateway));
    let again = Gateway::open_at((*running.gateway.config).clone(), Clock::System).await.unwrap();
    assert!(absent(&again));
    // Back at work: the other process takes it over.
    role.as_object_mut().unwrap().shift_remove("notAvailable");
    assert_eq!(put(&running, &consumer, &role).await.status, 200);
    directory::refresh(&again).await.unwrap();
    assert!(!absent(&running.gateway) && !absent(&again));
}

#[tokio::test]
async fn what_is_not_right_is_refused_with_its_element_and_changes_nothing() {
    let (running, consumer) = shown().await;
    let role = running.get(&format!("/fhir/{ROLE}"), &consumer).await.json();
    let before = running.gateway.place().version.clone();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut role = role.clone();
        change(&mut role);
        role
    };
    let slot =
        |from: &str, to: &str| json!([{"daysOfWeek": ["mon"], "availableStartTime": from, "availableEndTime": to}]);
    let bad = [
        (changed(&|r| r["availableTime"] = slot("17:00:00", "09:00:00")), "PractitionerRole.availableTime"),
        (
            changed(&|r| r["notAvailable"] = json!([{"description": "x", "during": {"start": "soon"}}])),
            "PractitionerRole.notAvailable",
        ),
        (changed(&|r| r["specialty"] = json!([{"text": "everything"}])), "PractitionerRole.specialty"),
        (changed(&|r| r["extension"][0]["valueDecimal"] = json!(-1)), "PractitionerRole.extension"),
        (changed(&|r| r["period"] = json!({"start": "2026-02-01", "end": "2026-01-01"})), "PractitionerRole.period"),
        // Right alone, wrong with the rest of the place: two absences at one time.
        (
            changed(&|r| {
                let away = json!({"description": "x", "during": {"start": "2026-01-01", "end": "2026-01-09"}});
                r["notAvailable"] = json!([away.clone(), away]);
            }),
            "PractitionerRole",
        ),
    ];
    for (resource, element) in bad {
        let answer = put(&running, &consumer, &resource).await;
        let told = answer.json()["issue"][0]["expression"][0].clone();
        assert_eq!((answer.status, told), (422, json!(element)), "{}", answer.text);
    }
    let other = running.token("other", Role::Pool, "FPE04", &["formby"]);
    let own = running.token("own", Role::Pool, "FPE01", &["north"]);
    assert_eq!(put(&running, &other, &role).await.status, 403);
    assert_eq!(put(&running, &running.practice("surgery"), &role).await.status, 403);
    let nobody = changed(&|r| r["id"] = json!("north.nobody"));
    assert_eq!(put(&running, &consumer, &nobody).await.status, 404);
    assert_eq!(running.post("/fhir/Location", &consumer, "application/fhir+json", "{}").await.status, 405);
    assert_eq!(running.gateway.place().version, before);
    assert_eq!(put(&running, &own, &role).await.status, 200);
    let stale = running.request(reqwest::Method::PUT, &format!("/fhir/{ROLE}"), &consumer);
    let stale =
        stale.header("content-type", "application/fhir+json").header("if-match", "W/\"1\"").body(role.to_string());
    assert_eq!(running::send(stale).await.status, 412);
}

#[tokio::test]
async fn a_pool_and_a_person_are_kept_by_fhir_too() {
    let (running, consumer) = shown().await;
    let mut service = running.get("/fhir/HealthcareService/north", &consumer).await.json();
    service["active"] = json!(false);
    assert_eq!(put(&running, &consumer, &service).await.status, 200);
    let mut person = running.get("/fhir/Practitioner/w-north-1", &consumer).await.json();
    person["communication"] = json!([{"coding": [{"system": "urn:ietf:bcp:47", "code": "ur"}]}]);
    assert_eq!(put(&running, &consumer, &person).await.status, 200);
    let (place, on) = (running.gateway.place(), "2026-11-25".parse().unwrap());
    assert!(!place.pool("north", on).unwrap().open);
    assert_eq!(place.worker("w-north-1", on).unwrap().languages, ["ur"]);
    person["gender"] = json!("robot");
    assert_eq!(put(&running, &consumer, &person).await.status, 422);
}
