//! What is told to a sender, and what is not: warnings reach it, what it typed in the wrong place
//! is neither repeated nor kept.

use reqwest::Method;
use serde_json::{Value, json};

use super::edge::log;
use super::referrals::{bars_message, nhs_number};
use super::running::{self, Reply, send};
use super::stage::{JSON, PLANTED, Stage, quiet};

const AWAY: &str = "299 fingerpost \"the link worker is away today; they have the person all the same\"";

async fn owned(stage: &Stage, worker: &str, prefer: &str) -> Reply {
    let mut task = stage.read("Task", &stage.accepted.task).await;
    task["owner"] = json!({"reference": format!("PractitionerRole/{}.{worker}", stage.pool)});
    let path = format!("/fhir/Task/{}", stage.accepted.task);
    let request = stage.running.request(Method::PUT, &path, &stage.own).header("content-type", JSON);
    send(request.header("prefer", prefer).body(task.to_string())).await
}

fn warnings(reply: &Reply) -> Vec<&str> {
    reply.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect()
}

/// The diagnostics of an OperationOutcome's warnings.
fn warned(outcome: &Value) -> Vec<&str> {
    let issues = outcome["issue"].as_array().map_or(&[][..], Vec::as_slice);
    issues.iter().filter(|one| one["severity"] == "warning").filter_map(|one| one["diagnostics"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_names_a_link_worker_who_is_away_is_warned() {
    let stage = Stage::set(None).await;
    let place = stage.running.gateway.place();
    let worker = place.workers().iter().find(|row| row.pool == stage.pool).unwrap().id.clone();
    let well = owned(&stage, &worker, "return=minimal").await;
    assert_eq!((well.status, warnings(&well)), (200, vec![]), "{}", well.text);

    let role = format!("{}.{worker}", stage.pool);
    let mut away = stage.read("PractitionerRole", &role).await;
    away["notAvailable"] = json!([{"description": "Away", "during": {"start": "2020-01-01"}}]);
    let told = stage.ask(Method::PUT, &format!("/fhir/PractitionerRole/{role}"), &stage.own, &away).await;
    assert_eq!(told.status, 200, "{}", told.text);

    for prefer in ["return=minimal", "return=representation", "return=OperationOutcome"] {
        let reply = owned(&stage, &worker, prefer).await;
        assert_eq!((reply.status, warnings(&reply)), (200, vec![AWAY]), "{prefer}: {}", reply.text);
        assert_eq!(reply.text.is_empty(), prefer == "return=minimal", "{prefer}");
        let kind = reply.json()["resourceType"].clone();
        let expected = [Value::Null, json!("Task"), json!("OperationOutcome")];
        assert!(expected.contains(&kind), "{prefer}");
        if kind == "OperationOutcome" {
            assert!(AWAY.contains(warned(&reply.json())[0]), "{}", reply.text);
        }
    }
    // In a batch there are no headers of an entry's own.
    let task = stage.read("Task", &stage.accepted.task).await;
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": task,
        "request": {"method": "PUT", "url": format!("Task/{}", stage.accepted.task)}}]});
    let reply = stage.ask(Method::POST, "/fhir", &stage.own, &batch).await;
    let response = &reply.json()["entry"][0]["response"];
    assert_eq!((reply.status, warned(&response["outcome"]).len()), (200, 1), "{}", reply.text);
    stage.is_whole();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_needs_somebody_today_is_told_to_whoever_sent_it() {
    let stage = Stage::set(None).await;
    let sent = async |ninth: i64| {
        let items: Vec<Value> = (1..=9)
            .map(|n| json!({"linkId": n.to_string(), "answer": [{"valueInteger": if n == 9 { ninth } else { 1 }}]}))
            .collect();
        let body = json!({"resourceType": "QuestionnaireResponse", "status": "completed",
            "questionnaire": "https://fingerpost.dev/Questionnaire/phq9",
            "subject": {"reference": format!("Patient/{}", stage.accepted.patient)},
            "basedOn": [{"reference": format!("ServiceRequest/{}", stage.accepted.id)}],
            "authored": stage.running.gateway.clock.now().to_string(), "item": items});
        stage.ask(Method::POST, "/fhir/QuestionnaireResponse", &stage.own, &body).await
    };
    let quiet_one = sent(0).await;
    assert_eq!((quiet_one.status, warnings(&quiet_one)), (201, vec![]), "{}", quiet_one.text);
    let told = sent(1).await;
    assert_eq!((told.status, warnings(&told).len()), (201, 1), "{}", told.text);
    assert!(warnings(&told)[0].contains("needs attention today"), "{:?}", told.headers);
}

#[tokio::test]
async fn a_search_tells_of_parameters_that_it_left_out() {
    let running = running::start(|_| {}).await;
    let token = running.practice("surgery");
    let reply = running.get("/fhir/Task?nonsense=Zyxwvplanted&9990000018=1&Mr%20Zyxwvplanted", &token).await;
    let outcome = reply.json()["entry"].as_array().and_then(|all| all.last().cloned()).unwrap_or_default();
    assert_eq!((reply.status, outcome["search"]["mode"].as_str()), (200, Some("outcome")), "{}", reply.text);
    assert!(warned(&outcome["resource"])[0].contains("left out of the search: nonsense, "), "{}", reply.text);
    assert!(!reply.text.contains("9990000018"), "{}", reply.text);
    quiet("a search", &reply.text);
    for entry in log(&running).await {
        assert!(!entry.contains("9990000018"), "{entry}");
        quiet("an entry", &entry);
    }
}

#[tokio::test]
async fn what_was_typed_where_a_name_belongs_is_not_repeated() {
    let running = running::start(|_| {}).await;
    let token = running.practice("surgery");
    let number = nhs_number(1);
    let long = "a".repeat(1_000_000);
    let names =
        [PLANTED[0], PLANTED[1], number.as_str(), &format!("nhs{number}"), "_Zyxwvplanted", "Mr Zyxwvplanted", &long];
    for name in names {
        let mut message = bars_message(1, "N84001");
        message["entry"][2]["resource"][name] = json!("x");
        let resource = message["entry"][2]["resource"].clone();
        for (path, body) in [("/fhir/$process-message", &message), ("/fhir/$validate", &resource), ("/fhir", &message)]
        {
            let reply = running.post(path, &token, JSON, body.to_string()).await;
            assert!(reply.text.len() < 10_000, "{path}: {} bytes", reply.text.len());
            assert!(reply.status >= 400 || path.ends_with("$validate"), "{path}: {}", reply.text);
            quiet(path, &reply.text);
        }
    }
    let reply =
        running.post("/fhir/$validate", &token, JSON, json!({"resourceType": "Task", "statu": "x"}).to_string()).await;
    assert!(reply.text.contains("Task.statu"), "a slip of the hand is named: {}", reply.text);
    log(&running).await.iter().for_each(|entry| quiet("an entry", entry));
}

#[tokio::test]
async fn ten_thousand_parameters_are_too_many() {
    let running = running::start(|_| {}).await;
    let token = running.practice("surgery");
    let many: String = (0..10_000).map(|n| format!("a{n}=&")).collect();
    let posted = running.request(Method::POST, "/fhir/Task/_search", &token);
    let posted = send(posted.header("content-type", "application/x-www-form-urlencoded").body(many.clone())).await;
    let got = running.get(&format!("/fhir/Task?{}", &many[..40_000]), &token).await;
    let batch = json!({"resourceType": "Bundle", "type": "batch",
        "entry": [{"request": {"method": "GET", "url": format!("Task?{many}")}}]});
    let batch = running.post("/fhir", &token, JSON, batch.to_string()).await;
    for reply in [&posted, &got] {
        assert_eq!((reply.status, reply.issue()), (400, "too-long".to_owned()), "{}", reply.text);
        assert!(reply.text.contains("100 parameters") && reply.text.len() < 2000, "{}", reply.text);
    }
    assert_eq!(batch.json()["entry"][0]["response"]["status"], "400 Bad Request", "{}", batch.text);
    assert!(log(&running).await.iter().all(|entry| entry.len() < 2000));
}
