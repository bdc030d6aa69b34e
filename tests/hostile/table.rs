//! Each operation, with every wrong caller, address and body.

use reqwest::Method;
use serde_json::{Value, json};

use super::bodies::{bad, parameters};
use super::running::{Reply, send};
use super::stage::{JSON, PLANTED, Stage, quiet};

/// One operation: how it is asked rightly.
struct Target {
    method: Method,
    kind: &'static str,
    id: String,
    rest: &'static str,
    token: String,
    /// Who may not, and may not even know of it.
    not: Vec<String>,
    body: Option<Value>,
}

impl Target {
    fn path(&self, id: &str) -> String {
        let id = if id.is_empty() { String::new() } else { format!("/{id}") };
        let kind = if self.kind.is_empty() { String::new() } else { format!("/{}", self.kind) };
        format!("/fhir{kind}{id}{}", self.rest)
    }
}

async fn targets(stage: &Stage) -> Vec<Target> {
    let (own, other, ops, surgery) = (&stage.own, &stage.other, &stage.ops, &stage.surgery);
    let mut all = Vec::new();
    let mut add = |method, (kind, id, rest): (&'static str, &str, &'static str), token: &str, not: &[&String], body| {
        let not = not.iter().map(|one| (*one).clone()).collect();
        all.push(Target { method, kind, id: id.to_owned(), rest, token: token.to_owned(), not, body });
    };
    let (task, waiting) = (&stage.accepted.task, &stage.waiting.task);
    let moved = parameters(&[("pool", &stage.elsewhere), ("reason", "asked for")]);
    let shown =
        json!({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": stage.observation()}]});
    let transaction = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": stage.observation(), "request": {"method": "POST", "url": "Observation"}}]});
    add(Method::GET, ("ServiceRequest", &stage.accepted.id, "/$route-explain"), own, &[ops, other], None);
    add(Method::GET, ("Observation", &stage.measure, "/$filing"), own, &[ops, other], None);
    add(Method::POST, ("Task", waiting, "/$re-route"), ops, &[other, surgery, own, &stage.ig], Some(moved));
    let back = parameters(&[("reason", "no room")]);
    add(Method::POST, ("Task", waiting, "/$hand-back"), own, &[other, surgery, ops, &stage.wellness], Some(back));
    add(Method::POST, ("Task", task, "/$preview-outcome"), own, &[other, surgery, ops], Some(shown));
    add(Method::PUT, ("Task", waiting, ""), own, &[other, surgery, ops], Some(stage.read("Task", waiting).await));
    add(Method::POST, ("Observation", "", ""), own, &[other, surgery, ops], Some(stage.observation()));
    add(Method::POST, ("", "", ""), own, &[other, ops], Some(transaction));
    for (kind, id) in directory(stage).await {
        let body = stage.read(kind, &id).await;
        add(Method::PUT, (kind, &id, ""), &stage.wellness, &[other, surgery, ops], Some(body));
    }
    all
}

/// One of each, of the pool that has the referrals.
async fn directory(stage: &Stage) -> Vec<(&'static str, String)> {
    let mut all = vec![("HealthcareService", stage.pool.clone())];
    for kind in ["PractitionerRole", "Location"] {
        let search = fingerpost::store::Search::of(kind);
        let found = stage.running.gateway.store.search(search).await.unwrap().found;
        let own = found.iter().find(|one| String::from_utf8_lossy(&one.body).contains(&format!("/{}\"", stage.pool)));
        all.extend(own.map(|one| (kind, one.id.clone())));
    }
    all
}

/// What came of one try; every try carries its own request id.
struct Tries<'a> {
    stage: &'a Stage,
    requests: Vec<(String, String)>,
}

impl Tries<'_> {
    async fn go(&mut self, name: &str, method: &Method, path: &str, token: &str, body: (&str, Vec<u8>)) -> Reply {
        let request = uuid::Uuid::new_v4().to_string();
        let built = self.stage.running.request(method.clone(), path, token).header("x-request-id", &request);
        let built = if body.0.is_empty() { built } else { built.header("content-type", body.0) };
        let name = format!("{method} {path}: {name}");
        let reply = send(built.body(body.1)).await;
        self.requests.push((name.clone(), request));
        assert!((400..500).contains(&reply.status), "{name}: {} {}", reply.status, reply.text);
        let outcome = reply.json();
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{name}: {}", reply.text);
        assert!(!outcome["issue"][0]["diagnostics"].as_str().unwrap_or("").is_empty(), "{name}");
        quiet(&name, &reply.text);
        reply
    }
}

pub async fn try_all(stage: &Stage) {
    let before = stage.counts().await;
    let mut tries = Tries { stage, requests: Vec::new() };
    for target in targets(stage).await {
        callers(&mut tries, &target).await;
        addresses(&mut tries, &target).await;
        bodies(&mut tries, &target).await;
    }
    values(&mut tries).await;
    not_offered(&mut tries).await;
    assert_eq!(before, stage.counts().await, "something was written");
    let log = stage.log().await;
    let whole = log.join("\n");
    for (name, request) in &tries.requests {
        assert!(whole.contains(request), "{name}: it is not in the audit log");
    }
    log.iter().for_each(|entry| quiet("an audit entry", entry));
}

async fn callers(tries: &mut Tries<'_>, target: &Target) {
    let body = || match &target.body {
        Some(body) => (JSON, body.to_string().into_bytes()),
        None => ("", Vec::new()),
    };
    let path = target.path(&target.id);
    for (name, token) in [("no token", ""), ("a token of nobody", "Zyxwvplanted"), ("a huge token", &"a".repeat(9000))]
    {
        let reply = tries.go(name, &target.method, &path, token, body()).await;
        assert_eq!(reply.status, 401, "{path}: {name}");
    }
    for token in &target.not {
        let reply = tries.go("another's token", &target.method, &path, token, body()).await;
        assert!([403, 404, 422].contains(&reply.status), "{path}: {} {}", reply.status, reply.text);
    }
}

async fn addresses(tries: &mut Tries<'_>, target: &Target) {
    if target.id.is_empty() {
        return;
    }
    let number = super::referrals::nhs_number(1);
    let long = "a".repeat(65);
    for id in ["nobody", "a_b", "%00", "..%2F..", "'--", "%F0%9F%98%80", &number, &long, &"9".repeat(3000)] {
        let body = match &target.body {
            Some(body) if target.rest.is_empty() => {
                let mut body = body.clone();
                body["id"] = json!("nobody");
                (JSON, body.to_string().into_bytes())
            }
            Some(body) => (JSON, body.to_string().into_bytes()),
            None => ("", Vec::new()),
        };
        let reply = tries.go("no such id", &target.method, &target.path(id), &target.token, body).await;
        assert_eq!(reply.status, 404, "{id}: {}", reply.text);
    }
}

async fn bodies(tries: &mut Tries<'_>, target: &Target) {
    let Some(good) = &target.body else { return };
    for (name, media_type, bytes) in bad(good) {
        let reply = tries.go(name, &target.method, &target.path(&target.id), &target.token, (media_type, bytes)).await;
        let wanted: &[u16] = match name {
            "text" => &[415],
            "over the limit" => &[413],
            _ => &[400, 422],
        };
        assert!(wanted.contains(&reply.status), "{}: {name}: {} {}", target.kind, reply.status, reply.text);
    }
}

/// Well-formed requests whose values are not right.
async fn values(tries: &mut Tries<'_>) {
    let stage = tries.stage;
    let long = "x".repeat(501);
    let number = format!("about {}", super::referrals::nhs_number(1));
    let path = format!("/fhir/Task/{}/$re-route", stage.waiting.task);
    for (pool, reason) in [
        ("nowhere", "a reason"),
        ("", "a reason"),
        (PLANTED[0], "a reason"),
        (stage.pool.as_str(), "a reason"),
        (&stage.elsewhere, "x"),
        (&stage.elsewhere, &long),
        (&stage.elsewhere, &number),
        (&stage.elsewhere, "a\u{7}b"),
    ] {
        let body = (JSON, parameters(&[("pool", pool), ("reason", reason)]).to_string().into_bytes());
        tries.go("a value", &Method::POST, &path, &stage.ops, body).await;
    }
    let mut measures = Vec::new();
    for value in ["-1", "36", "1e400", "99999999999999999999", "2.5", "0.0000000000000000000000001"] {
        let text = stage.observation().to_string().replace("\"value\":21", &format!("\"value\":{value}"));
        measures.push((value, text));
    }
    for at in ["0001-01-01", "9999-12-31T23:59:59Z", "2026-02-30", "yesterday"] {
        let mut measure = stage.observation();
        measure["effectiveDateTime"] = json!(at);
        measures.push((at, measure.to_string()));
    }
    for (name, text) in measures {
        tries.go(name, &Method::POST, "/fhir/Observation", &stage.own, (JSON, text.into_bytes())).await;
    }
    let mut task = stage.read("Task", &stage.waiting.task).await;
    for status in ["completed", "entered-in-error", "draft", "Zyxwvplanted"] {
        task["status"] = json!(status);
        let path = format!("/fhir/Task/{}", stage.waiting.task);
        tries.go(status, &Method::PUT, &path, &stage.own, (JSON, task.to_string().into_bytes())).await;
    }
}

/// What nobody may do.
async fn not_offered(tries: &mut Tries<'_>) {
    let stage = tries.stage;
    let body = || (JSON, b"{\"resourceType\":\"Organization\",\"id\":\"FPE01\"}".to_vec());
    for token in [&stage.own, &stage.wellness, &stage.ops, &stage.surgery, &stage.ig] {
        for (method, path) in [
            (Method::PUT, "/fhir/Organization/FPE01"),
            (Method::DELETE, "/fhir/Task/x"),
            (Method::PATCH, "/fhir/Task/x"),
            (Method::POST, "/fhir/HealthcareService"),
            (Method::GET, "/fhir/Task/x/$hand-back"),
            (Method::POST, "/audit/checkpoint"),
            (Method::PUT, "/audit/tile/0/000"),
        ] {
            let reply = tries.go("not offered", &method, path, token, body()).await;
            assert!([403, 404, 405].contains(&reply.status), "{method} {path}: {}", reply.status);
        }
    }
    // The log's public parts tell of nothing but digests, whatever is asked for, and are not audited.
    for path in ["/audit/tile/0/x001", "/audit/tile/99/000", "/audit/..%2fkey", "/audit/tile/0/000.p/0", "/audit/%00"] {
        let reply = stage.running.get(path, "").await;
        assert!([400, 404].contains(&reply.status), "{path}: {} {}", reply.status, reply.text);
    }
    let message = ("x", json!({"resourceType": "Bundle", "type": "message", "entry": []}).to_string().into_bytes());
    let reply = tries.go("a pool's", &Method::POST, "/fhir/$process-message", &stage.own, (JSON, message.1)).await;
    assert_eq!(reply.status, 403);
}
