//! Every key of the gateway's configuration, with the shape and range of its value.
//!
//! A test holds this table against `config/gateway.toml` and `config/README.md`.

use super::settings::Key;
use super::shape::Shape::{
    self, Address, Addresses, Digest, Flag, Name, Networks, Number, Ods, OdsList, OneOf, Path, PathNamed, StoreUrl,
    Text, Texts, Url, UrlNamed, Whole, WordsOf,
};

/// The events that a receiver may ask for; each stands for all that begin with it and a full stop.
pub const EVENTS: &[&str] = &["referral", "task", "outcome", "writeback"];

/// The routes into a practice's record; see `writeback::route`.
pub const ROUTES: &[&str] = &["fhir", "update-record", "send-document", "file-record", "hl7v2", "hl7v2-document"];

const fn key(path: &'static str, shape: Shape) -> Key {
    Key { path, shape, required: false }
}

const fn needed(path: &'static str, shape: Shape) -> Key {
    Key { path, shape, required: true }
}

/// The table.
pub const KEYS: &[Key] = &[
    key("gateway.mode", OneOf(&["production", "development"])),
    key("gateway.place", Name),
    key("gateway.config_dir", Path),
    key("gateway.mappings_dir", Path),
    key("gateway.ods", Ods),
    key("gateway.name", Name),
    key("store.url", StoreUrl),
    key("store.url_file", Path),
    key("store.group_max", Whole(1, 10_000)),
    key("store.queue_max", Whole(1, 1_000_000)),
    key("store.readers", Whole(1, 64)),
    key("serve.listen", Addresses),
    key("serve.tls_cert_file", Path),
    key("serve.tls_key_file", Path),
    key("serve.client_ca_file", Path),
    key("serve.base_url", Url),
    key("serve.trusted_proxies", Networks),
    key("serve.proxy_header", OneOf(&["either", "forwarded", "x-forwarded-for"])),
    key("serve.body_bytes_max", Whole(1024, 1 << 30)),
    key("serve.drain_seconds", Whole(0, 600)),
    key("serve.answer_seconds_max", Whole(1, 300)),
    key("mllp.listen", Address),
    key("nhs.test_numbers", OneOf(&["refuse", "allow", "require"])),
    key("bars.service_ids", Texts),
    key("bars.versions", Texts),
    key("bars.use_cases", Texts),
    key("intake.emis.wait_days", Whole(0, 365)),
    key("intake.emis.mass_delete_share", Number(0.0, 1.0)),
    key("intake.emis.scope", OneOf(&["coded", "all-referrals"])),
    key("intake.emis.recipients", OdsList),
    key("intake.emis.folder", Path),
    key("intake.emis.folder_poll_seconds", Whole(1, 86_400)),
    key("intake.emis.pgp_key_file", Path),
    key("delivery.allow_loopback", Flag),
    key("delivery.attempts_max", Whole(1, 1000)),
    key("delivery.retry_first_ms", Whole(1, 3_600_000)),
    key("delivery.retry_max_ms", Whole(1, 86_400_000)),
    key("delivery.timeout_ms", Whole(10, 600_000)),
    key("delivery.in_flight_max", Whole(1, 1000)),
    key("delivery.lease_seconds", Whole(1, 86_400)),
    needed("delivery.receivers[].name", Name),
    needed("delivery.receivers[].url", UrlNamed),
    needed("delivery.receivers[].secret_file", PathNamed),
    needed("delivery.receivers[].events", WordsOf(EVENTS)),
    key("outcome.share", OneOf(&["all", "codes", "nothing"])),
    key("outcome.attention_hours", Whole(1, 80)),
    key("writeback.infrastructure_hours", Whole(1, 8760)),
    key("writeback.business_hours", Whole(1, 8760)),
    key("writeback.practice_days", Whole(1, 365)),
    key("writeback.look_again_minutes", Whole(1, 10_080)),
    needed("writeback.practices[].ods", Ods),
    needed("writeback.practices[].routes", WordsOf(ROUTES)),
    key("writeback.practices[].base_url", Url),
    key("writeback.practices[].token_file", Path),
    key("writeback.practices[].mailbox", Text),
    key("writeback.practices[].pairing_file", Path),
    key("writeback.practices[].folder", Path),
    key("evaluation.hidden_below", Whole(0, 1000)),
    key("mesh.url", Url),
    key("mesh.mailbox", Text),
    key("mesh.password_file", Path),
    key("mesh.shared_key_file", Path),
    key("mesh.ca_file", Path),
    key("mesh.certificate_file", Path),
    key("mesh.key_file", Path),
    key("mesh.poll_seconds", Whole(1, 86_400)),
    key("mesh.page_messages", Whole(10, 5000)),
    key("mesh.poll_messages_max", Whole(1, 100_000)),
    key("mesh.chunk_bytes_max", Whole(16, 100_000_000)),
    key("mesh.message_bytes_max", Whole(1024, 1 << 30)),
    key("mesh.timeout_ms", Whole(10, 600_000)),
    key("mesh.birth_date_format", OneOf(&["ddmmyyyy", "yyyymmdd"])),
    key("audit.origin", Name),
    key("audit.key_file", Path),
    key("access.token_seconds", Whole(10, 3600)),
    key("access.key_file", Path),
    key("access.unknown_burst", Whole(1, 100_000)),
    key("access.unknown_per_minute", Whole(1, 100_000)),
    needed("access.clients[].id", Name),
    needed("access.clients[].name", Text),
    needed("access.clients[].ods", Ods),
    needed("access.clients[].role", OneOf(&["referrer", "consumer", "pool", "ig", "ops"])),
    key("access.clients[].pools", Texts),
    key("access.clients[].scopes", Texts),
    key("access.clients[].jwks_file", Path),
    key("access.clients[].certificate_sha256", Digest),
    key("access.clients[].source", OneOf(&["general-practice", "mental-health", "self-referral", "agency"])),
    key("log.filter", Text),
    key("log.format", OneOf(&["json", "text"])),
];
