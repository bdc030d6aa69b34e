//! The operations of routing: why a referral is where it is, moving it by hand, handing it back.
//! They answer with Parameters; what a move changes is in `referral::moves`.

use serde_json::{Value, json};

use super::answer::{Answer, Answered, Record};
use super::exchange::Exchange;
use super::who;
use crate::config::Role;
use crate::fhir::plain;
use crate::referral::explain;
use crate::referral::moves::{self, Moved, Mover};
use crate::rejection::{IssueType, Rejection};

/// `GET ServiceRequest/{id}/$route-explain`.
pub async fn explain(exchange: &Exchange, id: &str) -> Answered {
    let gateway = &exchange.gateway;
    who::may_see(gateway, exchange.caller()?, "ServiceRequest", id).await?;
    let (explained, provenance) = explain::explain(gateway, id).await?.ok_or_else(Rejection::not_found)?;
    let mut record = Record::default();
    record.note(&provenance);
    let plain = serde_json::to_value(explained).unwrap_or(Value::Null);
    Ok(Answer::resource(&as_parameters(&plain), record))
}

/// `POST Task/{id}/$re-route` with `pool` and `reason`.
pub async fn re_route(exchange: &Exchange, id: &str) -> Answered {
    // Operations hold no scope on resources; a pool's desk needs its token to cover the Task.
    if exchange.caller()?.role == Role::Pool {
        exchange.caller()?.may("update", "Task")?;
    }
    let asked = asked(exchange)?;
    let (pool, reason) = (needed(&asked, "pool")?, needed(&asked, "reason")?);
    let mover = Mover::caller(exchange.caller()?, &exchange.request);
    Ok(told(&moves::reroute(&exchange.gateway, &mover, id, pool, reason).await?))
}

/// `POST Task/{id}/$hand-back` with `reason`.
pub async fn hand_back(exchange: &Exchange, id: &str) -> Answered {
    let asked = asked(exchange)?;
    let mover = Mover::caller(exchange.caller()?, &exchange.request);
    Ok(told(&moves::hand_back(&exchange.gateway, &mover, id, needed(&asked, "reason")?).await?))
}

fn asked(exchange: &Exchange) -> Result<Value, Rejection> {
    let asked = exchange.resource()?;
    super::create::same_type(&asked, "Parameters")?;
    Ok(asked)
}

fn needed<'a>(asked: &'a Value, name: &str) -> Result<&'a str, Rejection> {
    plain::text(asked, name).ok_or_else(|| {
        let words = format!("the operation needs the parameter {name}, as valueString");
        Rejection::bad_request(IssueType::Required, words).at("Parameters.parameter")
    })
}

/// Its audit entry was committed with it. Nothing of the person is told: operations need none of it.
fn told(moved: &Moved) -> Answer {
    let plain = json!({
        "referral": format!("ServiceRequest/{}", moved.referral),
        "task": format!("Task/{}/_history/{}", moved.task, moved.task_version),
        "from": moved.from,
        "pool": moved.decision.pool,
        "pool_name": moved.decision.pool_name,
    });
    Answer::resource(&as_parameters(&plain), Record::kept())
}

fn as_parameters(plain: &Value) -> Value {
    plain.as_object().map(plain::parameters).unwrap_or_default()
}
