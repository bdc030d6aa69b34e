//! Counting and logging requests: one line and two meters a request.
//!
//! The request line: `method`, `route` (a template: never a raw path or query), `status`,
//! `duration_ms`, `request` (`X-Request-Id`). No bodies, no ids of resources, no patient data.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the durations counted, seconds.
const BUCKETS_SECONDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 2.1, 5.0];

static METERS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// One request that was answered.
#[derive(Debug)]
pub struct Line<'a> {
    /// The method.
    pub method: &'a str,
    /// The route's template.
    pub route: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
    /// `X-Request-Id`, or empty.
    pub request: String,
}

/// Counts and logs one request.
pub fn request(line: Line<'_>) {
    let _ = meters();
    let method = known_method(line.method);
    let labels = [("method", method.to_owned()), ("route", line.route.to_owned()), ("status", line.status.to_string())];
    metrics::counter!("fingerpost_requests_total", &labels).increment(1);
    metrics::histogram!("fingerpost_request_seconds", "route" => line.route.to_owned()).record(line.took.as_secs_f64());
    tracing::info!(
        method,
        route = line.route,
        status = line.status,
        duration_ms = u64::try_from(line.took.as_millis()).unwrap_or(u64::MAX),
        request = line.request,
        "request"
    );
}

/// All meters of this process as Prometheus reads them.
pub fn render() -> String {
    meters().as_ref().map(PrometheusHandle::render).unwrap_or_default()
}

/// A method that a caller made up must not become a label.
fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

fn meters() -> &'static Option<PrometheusHandle> {
    METERS.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS_SECONDS).ok()?;
        builder.install_recorder().ok()
    })
}
