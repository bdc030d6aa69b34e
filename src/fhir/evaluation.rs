//! The evaluation dataset as a MeasureReport: one group a section, one population a figure. A
//! hidden figure has no count, and says so. <https://hl7.org/fhir/R4/measurereport.html>

use serde_json::{Value, json};

use crate::evaluation::{Evaluation, Line, Question};

/// The Measure that it reports.
pub const MEASURE: &str = "https://fingerpost.dev/Measure/social-prescribing-evaluation";
/// Why a count is not there.
const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
/// The figure of a line that is no whole number.
const FIGURE: &str = "https://fingerpost.dev/StructureDefinition/figure";

/// The report.
pub fn report(question: &Question, dataset: &Evaluation) -> Value {
    let as_of = crate::clock::instant(dataset.as_of);
    let start = question.from.map_or_else(|| "1970-01-01".to_owned(), |from| from.to_string());
    let end = question.to.map_or_else(|| as_of.clone(), |to| to.to_string());
    let mut report = json!({
        "resourceType": "MeasureReport",
        "status": "complete",
        "type": "summary",
        "measure": MEASURE,
        "date": as_of,
        "period": {"start": start, "end": end},
        "group": groups(&dataset.lines()),
    });
    if let Some(practice) = &question.practice {
        report["reporter"] =
            json!({"type": "Organization", "identifier": {"system": super::ids::ODS, "value": practice}});
    }
    report
}

fn groups(lines: &[Line]) -> Value {
    let mut groups: Vec<Value> = Vec::new();
    for line in lines {
        if groups.last().is_none_or(|group| group["code"]["text"].as_str() != Some(line.section)) {
            groups.push(json!({"code": {"text": line.section}, "population": []}));
        }
        let Some(last) = groups.last_mut().and_then(|group| group["population"].as_array_mut()) else { continue };
        last.push(population(line));
    }
    Value::Array(groups)
}

fn population(line: &Line) -> Value {
    let mut population = json!({"code": {"text": format!("{}: {}", line.label, line.figure)}});
    if let Some((system, code)) = line.code.rsplit_once('|').filter(|(system, _)| !system.is_empty()) {
        population["code"]["coding"] = json!([{"system": system, "code": code, "display": line.label}]);
    }
    match (line.value.parse::<i32>(), line.value.is_empty()) {
        (Ok(count), _) => population["count"] = json!(count),
        (Err(_), true) => {}
        (Err(_), false) if line.value.parse::<f64>().is_ok() => {
            population["extension"] = json!([{"url": FIGURE, "valueString": line.value}]);
        }
        (Err(_), false) => {
            population["_count"] = json!({"extension": [{"url": ABSENT, "valueCode": "masked"}]});
        }
    }
    population
}
