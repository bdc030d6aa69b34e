//! Every measure, taken and refused: ranges, missing items, raw against converted, versions, who
//! answered, stages, and why there is no number.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/referrals.rs"]
mod referrals;

use fingerpost::fhir::{check, ids::stable_id};
use fingerpost::outcome::measure::{Part, measures};
use fingerpost::rejection::Rejection;
use fingerpost::store::Stored;
use pool::{House, Referred, house};
use serde_json::{Value, json};

const LOCAL: &str = "https://fingerpost.dev/CodeSystem/measure";
const SNOMED: &str = "http://snomed.info/sct";
const STAGE: &str = "https://fingerpost.dev/StructureDefinition/measure-stage";
const VERSION: &str = "https://fingerpost.dev/StructureDefinition/instrument-version";
const ANSWERED_BY: &str = "https://fingerpost.dev/StructureDefinition/answered-by";

async fn accepted() -> (House, Referred) {
    let house = house(|_| {}).await;
    let to = house.refer(1).await;
    house.moves(&to, "accepted").await.unwrap();
    (house, to)
}

fn refused(result: Result<Stored, Rejection>) -> (u16, String) {
    let rejection = result.map(|stored| String::from_utf8_lossy(&stored.body).into_owned()).expect_err("it is refused");
    (rejection.status(), rejection.issues[0].expression.clone().unwrap_or_default())
}

fn code(system: &str, code: &str) -> Value {
    json!({"coding": [{"system": system, "code": code}]})
}

fn own(id: &str) -> Value {
    let scale = measures().scale(id).unwrap();
    code(&scale.system, &scale.code)
}

fn number(digits: &str) -> Value {
    let value: Value = serde_json::from_str(digits).unwrap();
    json!({"value": value, "unit": "score", "system": "http://unitsofmeasure.org", "code": "{score}"})
}

/// An Observation of a measure, without a value.
fn observation(to: &Referred, id: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": own(id),
        "subject": {"reference": format!("Patient/{}", to.patient)},
        "basedOn": [{"reference": format!("ServiceRequest/{}", to.referral)}],
        "effectiveDateTime": "2026-02-01T10:00:00Z"})
}

fn single(to: &Referred, id: &str, digits: &str, version: &str) -> Value {
    let mut made = observation(to, id);
    made["valueQuantity"] = number(digits);
    if !version.is_empty() {
        made["method"] = json!({"text": version});
    }
    made
}

fn panel(to: &Referred, id: &str, items: &[(&str, &str)]) -> Value {
    let mut made = observation(to, id);
    let component = |(item, digits): &(&str, &str)| json!({"code": own(item), "valueQuantity": number(digits)});
    made["component"] = items.iter().map(component).collect();
    made
}

fn response(to: &Referred, questionnaire: &str, items: &[(&str, &str)]) -> Value {
    let item = |(link, digits): &(&str, &str)| {
        let value: Value = serde_json::from_str(digits).unwrap();
        json!({"linkId": link, "answer": [{"valueInteger": value}]})
    };
    json!({"resourceType": "QuestionnaireResponse", "status": "completed",
        "questionnaire": format!("https://forms.example/Questionnaire/{questionnaire}"),
        "subject": {"reference": format!("Patient/{}", to.patient)},
        "basedOn": [{"reference": format!("ServiceRequest/{}", to.referral)}],
        "authored": "2026-02-01T10:00:00Z", "item": items.iter().map(item).collect::<Vec<_>>()})
}

/// `n` numbered answers of the same value.
fn same(n: usize, digits: &str) -> Vec<(String, String)> {
    (1..=n).map(|i| (i.to_string(), digits.to_owned())).collect()
}

fn borrowed(items: &[(String, String)]) -> Vec<(&str, &str)> {
    items.iter().map(|(link, digits)| (link.as_str(), digits.as_str())).collect()
}

fn extension<'a>(resource: &'a Value, url: &str) -> Option<&'a str> {
    let found = resource["extension"].as_array()?.iter().find(|extension| extension["url"] == url)?;
    found["valueCode"].as_str().or_else(|| found["valueString"].as_str())
}

impl House {
    async fn made(&self, from: &Stored, id: &str) -> Option<Value> {
        let id = stable_id(&[&from.id, id]).to_string();
        let stored = self.gateway.store.read("Observation", &id).await.unwrap()?;
        Some(serde_json::from_slice(&stored.body).unwrap())
    }
}

/// `(measure, version to name, good numbers, bad numbers)`.
type Single = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const SINGLES: &[Single] = &[
    ("swemwbs", "", &["7", "35", "21.0"], &["6", "36", "21.5", "-7", "26.02", "9.51", "2e1"]),
    ("wemwbs", "", &["14", "70"], &["13", "71", "40.5"]),
    ("ons4-satisfaction", "", &["0", "10"], &["-1", "11", "5.5"]),
    ("ons4-worthwhile", "", &["0", "10"], &["11"]),
    ("ons4-happiness", "", &["0", "10"], &["11"]),
    ("ons4-anxiety", "", &["0", "10"], &["11"]),
    ("eq-vas", "", &["0", "100"], &["-1", "101", "50.5"]),
    ("eq5d5l-index", "UK 5L 2026", &["1", "0.850", "-0.594"], &["\"0.8\"", "0.1234567"]),
    ("eq5d5l-pain", "", &["1", "5"], &["0", "6"]),
    ("ucla3", "", &["3", "9"], &["2", "10", "4.5"]),
    ("ons-loneliness", "", &["0", "12"], &["-1", "13"]),
    ("pam-score", "13-item 2014", &["0", "63.1", "100"], &["\"high\""]),
    ("pam-level", "13-item 2014", &["1", "4"], &["2.5"]),
    ("gse", "", &["10", "40"], &["9", "41"]),
    ("phq9", "", &["0", "27"], &["-1", "28", "13.5"]),
    ("gad7", "", &["0", "21"], &["22"]),
    ("goal-1", "", &["0", "10"], &["11", "3.3"]),
    ("goal-2", "", &["5"], &["-1"]),
    ("goal-3", "", &["5"], &["99999999999999999999"]),
    ("reqol10", "", &["0", "40"], &["41"]),
    ("mycaw-concern-1", "", &["0", "6"], &["2.5"]),
    ("mycaw-concern-2", "", &["3"], &["2.5"]),
    ("mycaw-wellbeing", "", &["3"], &["2.5"]),
];

#[tokio::test]
async fn numbers_in_range_are_filed_and_others_refused_by_element() {
    let (house, to) = accepted().await;
    for (id, version, good, bad) in SINGLES {
        for digits in *good {
            let stored = house.create(&to, single(&to, id, digits, version)).await;
            let stored = stored.unwrap_or_else(|why| panic!("{id} {digits}: {why}"));
            let kept = house.read("Observation", &stored.id).await;
            let scale = measures().scale(id).unwrap();
            assert_eq!(kept["code"]["coding"][0]["code"], scale.code.as_str());
            assert_eq!(kept["valueQuantity"]["value"].as_f64(), serde_json::from_str::<f64>(digits).ok(), "{id}");
            check::check(&kept).unwrap();
        }
        for digits in *bad {
            let wrong = refused(house.create(&to, single(&to, id, digits, version)).await);
            assert_eq!(wrong, (422, "Observation.valueQuantity.value".into()), "{id} {digits}");
        }
        let nothing = refused(house.create(&to, observation(&to, id)).await);
        let at = if version.is_empty() { "Observation.valueQuantity.value" } else { "Observation.method" };
        assert_eq!(nothing, (422, at.into()), "{id}");
    }
    let kept = house.create(&to, single(&to, "eq5d5l-index", "0.850", "UK 5L 2026")).await.unwrap();
    let kept = house.read("Observation", &kept.id).await;
    assert_eq!(kept["valueQuantity"]["value"].to_string(), "0.850", "no digit is lost");
    assert_eq!(extension(&kept, VERSION), Some("UK 5L 2026"));
}

#[test]
fn each_line_of_the_table_is_in_these_tests() {
    let tested = |id: &str| SINGLES.iter().any(|(known, ..)| *known == id);
    let panels = ["ons4", "eq5d5l", "mycaw", "goals", "swemwbs-metric"];
    let items = ["eq5d5l-mobility", "eq5d5l-self-care", "eq5d5l-activities", "eq5d5l-anxiety"];
    for scale in measures().all() {
        let known = tested(&scale.id) || panels.contains(&scale.id.as_str()) || items.contains(&scale.id.as_str());
        assert!(known, "{}", scale.id);
        assert!(scale.part != Part::Item || measures().scale(&scale.measure).is_some());
    }
}

#[tokio::test]
async fn metric_sent_as_raw_is_named_as_such() {
    let (house, to) = accepted().await;
    let words = async |digits: &str| {
        let refused = house.create(&to, single(&to, "swemwbs", digits, "")).await.unwrap_err();
        refused.issues[0].diagnostics.clone()
    };
    assert!(words("26.02").await.contains("metric sent as raw"));
    assert!(words("26.03").await.contains("no converted score is this number"));
    let metric = single(&to, "swemwbs-metric", "26.02", "");
    assert_eq!(refused(house.create(&to, metric).await), (422, "Observation.code".into()));
    let mut both = single(&to, "swemwbs", "29", "");
    both["component"] = json!([{"code": code(LOCAL, "swemwbs-metric"), "valueQuantity": number("26.02")}]);
    house.create(&to, both.clone()).await.unwrap();
    both["component"][0]["valueQuantity"] = number("27.03");
    let at = "Observation.component[0].valueQuantity.value";
    assert_eq!(refused(house.create(&to, both).await), (422, at.into()));
}

#[tokio::test]
async fn older_and_foreign_codes_are_taken_and_never_given_out() {
    let (house, to) = accepted().await;
    for (system, taken, given) in [
        (SNOMED, "960481000000107", "718466001"),
        (SNOMED, "885541000000103", "718426000"),
        ("http://loinc.org", "100946-3", "ons-loneliness"),
    ] {
        let mut score = single(&to, "swemwbs", if given == "ons-loneliness" { "12" } else { "30" }, "");
        score["code"] = code(system, taken);
        let kept = house.create(&to, score).await.unwrap();
        let kept = house.read("Observation", &kept.id).await;
        assert_eq!(kept["code"]["coding"].as_array().unwrap().len(), 1);
        assert_eq!(kept["code"]["coding"][0]["code"], given);
    }
    let mut two = single(&to, "swemwbs", "20", "");
    two["code"] = json!({"coding": [{"system": SNOMED, "code": "718466001"}, {"system": SNOMED, "code": "718426000"}]});
    assert_eq!(refused(house.create(&to, two).await), (422, "Observation.code".into()));
}

#[tokio::test]
async fn panels_have_their_items_and_no_total() {
    let (house, to) = accepted().await;
    let three = [("ons4-satisfaction", "7"), ("ons4-worthwhile", "8"), ("ons4-anxiety", "2")];
    house.create(&to, panel(&to, "ons4", &three)).await.unwrap();
    let mut total = panel(&to, "ons4", &three);
    total["valueInteger"] = json!(17);
    assert_eq!(refused(house.create(&to, total).await).1, "Observation.valueInteger");
    for (items, at) in [
        (&[("ons4-anxiety", "11")][..], "Observation.component[0].valueQuantity.value"),
        (&[("ons4-anxiety", "1"), ("ons4-anxiety", "1")][..], "Observation.component[1].code"),
        (&[("goal-1", "1")][..], "Observation.component[0].code"),
        (&[][..], "Observation.component"),
    ] {
        let mut wrong = panel(&to, "ons4", items);
        if items.is_empty() {
            wrong.as_object_mut().unwrap().shift_remove("component");
        }
        assert_eq!(refused(house.create(&to, wrong).await), (422, at.into()));
    }
    let mycaw = [("mycaw-wellbeing", "2"), ("mycaw-concern-1", "5")];
    house.create(&to, panel(&to, "mycaw", &mycaw)).await.unwrap();
    let five = [
        ("eq5d5l-pain", "3"),
        ("eq5d5l-mobility", "2"),
        ("eq5d5l-self-care", "1"),
        ("eq5d5l-activities", "1"),
        ("eq5d5l-anxiety", "4"),
    ];
    let kept = house.create(&to, panel(&to, "eq5d5l", &five)).await.unwrap();
    assert_eq!(house.read("Observation", &kept.id).await["valueString"], "21134");
    let kept = house.create(&to, panel(&to, "eq5d5l", &five[..4])).await.unwrap();
    assert!(house.read("Observation", &kept.id).await["valueString"].is_null(), "no profile without all five");
    let mut wrong = panel(&to, "eq5d5l", &five);
    wrong["valueString"] = json!("11111");
    assert_eq!(refused(house.create(&to, wrong).await), (422, "Observation.valueString".into()));
}

#[tokio::test]
async fn goals_are_an_entry_each_under_its_national_code() {
    let (house, to) = accepted().await;
    let sent = house.create(&to, panel(&to, "goals", &[("goal-1", "3"), ("goal-3", "8")])).await.unwrap();
    assert_eq!(house.made(&sent, "goal-3").await.unwrap()["code"]["coding"][0]["code"], "1638551000000109");
    assert!(house.made(&sent, "goal-2").await.is_none());
    let sent = house.create(&to, response(&to, "goal-based-outcomes", &[("goal-2", "4")])).await.unwrap();
    let goal = house.made(&sent, "goal-2").await.unwrap();
    assert_eq!(goal["valueQuantity"]["value"], 4);
    check::check(&goal).unwrap();
    let rows = house.gateway.store.outbox_of(&to.referral, "writeback:").await.unwrap();
    assert_eq!(rows.iter().filter(|(_, event, _)| event == "outcome.score").count(), 3, "no panel is filed");
}

#[tokio::test]
async fn responses_are_summed_by_the_rule_of_the_measure() {
    let (house, to) = accepted().await;
    for (questionnaire, id, items, digits, total) in [
        ("swemwbs", "swemwbs", 7, "3", 21),
        ("wemwbs", "wemwbs", 14, "5", 70),
        ("ucla-3", "ucla3", 3, "2", 6),
        ("ons-loneliness", "ons-loneliness", 4, "3", 12),
        ("gse", "gse", 10, "4", 40),
        ("PHQ-9", "phq9", 9, "1", 9),
        ("gad_7", "gad7", 7, "0", 0),
    ] {
        let all = same(items, digits);
        let sent = house.create(&to, response(&to, questionnaire, &borrowed(&all))).await.unwrap();
        let made = house.made(&sent, id).await.unwrap();
        assert_eq!(made["valueQuantity"]["value"], total, "{id}");
        check::check(&made).unwrap();
        let mut high = borrowed(&all);
        high[1].1 = "9";
        let at = "QuestionnaireResponse.item[1].answer";
        assert_eq!(refused(house.create(&to, response(&to, questionnaire, &high)).await), (422, at.into()), "{id}");
        let mut twice = borrowed(&all);
        twice[1].0 = "1";
        let at = "QuestionnaireResponse.item[1].linkId";
        assert_eq!(refused(house.create(&to, response(&to, questionnaire, &twice)).await), (422, at.into()), "{id}");
        let more = same(items + 1, digits);
        let more = refused(house.create(&to, response(&to, questionnaire, &borrowed(&more))).await);
        assert_eq!(more, (422, "QuestionnaireResponse.item".into()), "{id}");
    }
    let one = house.create(&to, response(&to, "eq-vas", &[("vas", "75")])).await.unwrap();
    assert_eq!(house.made(&one, "eq-vas").await.unwrap()["valueQuantity"]["value"], 75);
    let two = response(&to, "eq-vas", &[("vas", "75"), ("other", "1")]);
    assert_eq!(refused(house.create(&to, two).await).1, "QuestionnaireResponse.item");
    let pam = response(&to, "pam-level", &[("level", "3")]);
    assert_eq!(refused(house.create(&to, pam).await).1, "QuestionnaireResponse.questionnaire");
    let pam = house.create(&to, response(&to, "pam-level|13-item", &[("level", "3")])).await.unwrap();
    assert_eq!(extension(&house.made(&pam, "pam-level").await.unwrap(), VERSION), Some("13-item"));
}

#[tokio::test]
async fn a_missing_item_means_no_total_or_a_refusal() {
    let (house, to) = accepted().await;
    let six = same(6, "3");
    let refusal = refused(house.create(&to, response(&to, "swemwbs", &borrowed(&six))).await);
    assert_eq!(refusal, (422, "QuestionnaireResponse.item".into()));
    let three = same(3, "2");
    let sent = house.create(&to, response(&to, "ons-loneliness", &borrowed(&three))).await.unwrap();
    let made = house.made(&sent, "ons-loneliness").await.unwrap();
    assert!(made["valueQuantity"].is_null());
    assert_eq!(made["dataAbsentReason"]["coding"][0]["code"], "unknown");
    check::check(&made).unwrap();
    let rows = house.gateway.store.outbox_of(&to.referral, "writeback:").await.unwrap();
    assert!(rows.iter().all(|(_, event, _)| event != "outcome.score"), "what is no score is not filed");
    // A whole response is not taken back by an incomplete one.
    let four = same(4, "2");
    let sent = house.create(&to, response(&to, "ons-loneliness", &borrowed(&four))).await.unwrap();
    let mut less = house.read("QuestionnaireResponse", &sent.id).await;
    less["status"] = json!("amended");
    less["item"].as_array_mut().unwrap().pop();
    assert_eq!(refused(house.update(&to.pool, less, None).await), (422, "QuestionnaireResponse.item".into()));
}

#[tokio::test]
async fn items_beside_a_total_must_sum_to_it() {
    let (house, to) = accepted().await;
    let item =
        |n: usize, digits: &str| json!({"code": code(LOCAL, &format!("ucla3-{n}")), "valueQuantity": number(digits)});
    let mut score = single(&to, "ucla3", "6", "");
    score["component"] = json!([item(1, "2"), item(2, "2"), item(3, "2")]);
    house.create(&to, score.clone()).await.unwrap();
    score["component"][0] = item(1, "3");
    assert_eq!(refused(house.create(&to, score.clone()).await).1, "Observation.valueQuantity.value");
    score["component"][0] = item(1, "4");
    assert_eq!(refused(house.create(&to, score.clone()).await).1, "Observation.component[0].valueQuantity.value");
    score["component"][0] = item(4, "1");
    assert_eq!(refused(house.create(&to, score).await).1, "Observation.component[0].code");
}

#[tokio::test]
async fn not_suitable_is_a_reason_that_is_kept_and_not_filed() {
    let (house, to) = accepted().await;
    let absent = |reason: &str| {
        let mut made = observation(&to, "swemwbs");
        made["dataAbsentReason"] = json!({"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": reason}]});
        made
    };
    let mut noted = absent("not-applicable");
    assert_eq!(refused(house.create(&to, noted.clone()).await), (422, "Observation.note".into()));
    noted["note"] = json!([{"text": "not validated for this person"}]);
    let kept = house.create(&to, noted.clone()).await.unwrap();
    check::check(&house.read("Observation", &kept.id).await).unwrap();
    house.create(&to, absent("asked-declined")).await.unwrap();
    assert_eq!(refused(house.create(&to, absent("masked")).await), (422, "Observation.dataAbsentReason".into()));
    noted["valueInteger"] = json!(20);
    assert_eq!(refused(house.create(&to, noted).await), (422, "Observation.valueInteger".into()));
    let rows = house.gateway.store.outbox_of(&to.referral, "writeback:").await.unwrap();
    assert!(rows.iter().all(|(_, event, _)| event != "outcome.score"));
    // A number that was filed does not become a reason: the record would keep the number.
    let score = house.create(&to, single(&to, "phq9", "9", "")).await.unwrap();
    let mut score = house.read("Observation", &score.id).await;
    score.as_object_mut().unwrap().shift_remove("valueQuantity");
    score["dataAbsentReason"] = absent("asked-declined")["dataAbsentReason"].clone();
    assert_eq!(
        refused(house.update(&to.pool, score.clone(), None).await),
        (422, "Observation.dataAbsentReason".into())
    );
    score.as_object_mut().unwrap().shift_remove("dataAbsentReason");
    score["code"] = own("gad7");
    score["valueQuantity"] = number("9");
    assert_eq!(refused(house.update(&to.pool, score, None).await), (422, "Observation.code".into()));
}

#[tokio::test]
async fn the_stage_follows_from_what_is_there_unless_it_is_said() {
    let (house, to) = accepted().await;
    let stage = async |resource: Value| {
        let kept = house.create(&to, resource).await.unwrap();
        extension(&house.read("Observation", &kept.id).await, STAGE).unwrap().to_owned()
    };
    assert_eq!(stage(single(&to, "phq9", "15", "")).await, "baseline");
    assert_eq!(stage(single(&to, "phq9", "12", "")).await, "review");
    assert_eq!(stage(single(&to, "gad7", "12", "")).await, "baseline");
    assert_eq!(stage(single(&to, "phq9", "12", "other version")).await, "baseline", "versions are not mixed");
    let mut said = single(&to, "phq9", "9", "");
    said["extension"] = json!([{"url": STAGE, "valueCode": "closure"}]);
    assert_eq!(stage(said.clone()).await, "closure");
    said["extension"][0]["valueCode"] = json!("later");
    assert_eq!(refused(house.create(&to, said).await), (422, "Observation.extension".into()));
    // A correction keeps the stage of what it corrects.
    let first = house.create(&to, single(&to, "phq9", "15", "")).await.unwrap();
    let mut corrected = house.read("Observation", &first.id).await;
    corrected["status"] = json!("corrected");
    corrected["valueQuantity"] = number("14");
    house.update(&to.pool, corrected, None).await.unwrap();
    assert_eq!(extension(&house.read("Observation", &first.id).await, STAGE), Some("baseline"));
}

#[tokio::test]
async fn who_answered_is_kept_without_a_third_partys_name() {
    let (house, to) = accepted().await;
    let answered = async |performer: Value| {
        let mut score = single(&to, "gad7", "5", "");
        score["performer"] = json!([performer]);
        match house.create(&to, score).await {
            Ok(kept) => Ok(house.read("Observation", &kept.id).await),
            Err(why) => Err(refused(Err(why))),
        }
    };
    let me = json!({"reference": format!("Patient/{}", to.patient)});
    let kept = answered(me.clone()).await.unwrap();
    assert_eq!(extension(&kept, ANSWERED_BY), Some("patient"));
    assert_eq!(kept["performer"][1]["identifier"]["value"], "FPE01", "the organisation is there beside the person");
    let relation = answered(json!({"reference": "RelatedPerson/r1", "display": "A Named Neighbour"})).await.unwrap();
    assert_eq!(extension(&relation, ANSWERED_BY), Some("related-person"));
    assert!(!relation.to_string().contains("Neighbour"));
    let staff = answered(json!({"type": "Practitioner", "display": "L. Worker"})).await.unwrap();
    assert_eq!(extension(&staff, ANSWERED_BY), Some("staff"));
    for wrong in [json!({"reference": "Patient/other"}), json!({"reference": "Device/1"})] {
        assert_eq!(answered(wrong).await.unwrap_err(), (422, "Observation.performer[0]".into()));
    }
    let mut form = response(&to, "ons4|2018", &[("anxiety", "3")]);
    form["source"] = me;
    let sent = house.create(&to, form.clone()).await.unwrap();
    let made = house.made(&sent, "ons4").await.unwrap();
    assert_eq!((extension(&made, ANSWERED_BY), extension(&made, VERSION)), (Some("patient"), Some("2018")));
    check::check(&made).unwrap();
    form["source"] = json!({"reference": "Patient/other"});
    assert_eq!(refused(house.create(&to, form).await), (422, "QuestionnaireResponse.source".into()));
}
