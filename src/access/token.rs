//! The token endpoint: a client shows an assertion that it signed with its own key and gets a
//! short-lived access token. <https://hl7.org/fhir/smart-app-launch/backend-services.html>,
//! <https://www.rfc-editor.org/rfc/rfc7523>
//!
//! Every attempt is an audit entry, durable before the answer, but for the many that nobody known
//! makes from one address (`strangers`). An assertion is good once: its
//! `jti` is a door key in the same commit, so it is refused on every gateway that shares the store.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Access, Registered, scope};
use crate::audit::{Action, Agent, Entry, Kind, Outcome};
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::commit::{Commit, DoorKey};

/// The endpoint's path.
pub const PATH: &str = "/oauth2/token";
/// Longest form read, bytes.
const FORM_BYTES_MAX: usize = 32 * 1024;
/// An assertion may end at most this far ahead.
const ASSERTION_SECONDS_MAX: i64 = 300;
/// How far the client's clock may differ from ours.
const CLOCK_SECONDS: i64 = 10;
/// Longest `jti`, bytes.
const JTI_BYTES_MAX: usize = 256;
/// Characters of `X-Request-Id` that go into the log.
const REQUEST_CHARS_MAX: usize = 64;
/// The only kind of assertion.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What was asked at the token endpoint.
#[derive(Debug, Clone, Copy)]
pub struct TokenRequest<'a> {
    /// The body, `application/x-www-form-urlencoded`.
    pub form: &'a [u8],
    /// The address that the gateway is called by, without a slash at the end; the assertion's
    /// `aud` must be its token endpoint.
    pub base_url: &'a str,
    /// The client's TLS certificate (DER), where mutual TLS showed one.
    pub certificate: Option<&'a [u8]>,
    /// The network address.
    pub address: &'a str,
    /// `X-Request-Id`, or empty.
    pub request: &'a str,
}

/// An access token, as the endpoint and `fingerpost token` answer it.
#[derive(Debug, Clone, Serialize)]
pub struct TokenAnswer {
    /// The token.
    pub access_token: String,
    /// `bearer`.
    pub token_type: &'static str,
    /// Seconds that it lives.
    pub expires_in: u64,
    /// The scopes granted.
    pub scope: String,
}

/// A refusal, in OAuth's words. <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {description}")]
pub struct OAuthError {
    /// OAuth's code.
    pub error: &'static str,
    /// In words, for the client's developer.
    pub description: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Whole seconds after which to try again, where that is told.
    pub wait_seconds: Option<u64>,
}

impl OAuthError {
    const fn request(description: &'static str) -> Self {
        Self { error: "invalid_request", description, status: 400, wait_seconds: None }
    }

    const fn client(description: &'static str) -> Self {
        Self { error: "invalid_client", description, status: 401, wait_seconds: None }
    }

    const UNAVAILABLE: Self = Self {
        error: "temporarily_unavailable",
        description: "the attempt could not be recorded",
        status: 503,
        wait_seconds: None,
    };

    /// Too many from that address that no known client signed.
    const fn throttled(wait_seconds: u64) -> Self {
        let description = "too many requests from this address that no known client signed; wait, then sign in";
        Self { error: "temporarily_unavailable", description, status: 429, wait_seconds: Some(wait_seconds) }
    }

    /// The answer's body.
    pub fn body(&self) -> Value {
        json!({"error": self.error, "error_description": self.description})
    }
}

/// What a client's assertion says.
#[derive(Debug, Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    jti: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn has(&self, url: &str) -> bool {
        match self {
            Self::One(one) => one == url,
            Self::Many(many) => many.iter().any(|one| one == url),
        }
    }
}

/// Answers the token endpoint.
///
/// # Errors
/// OAuth's refusal. It is already in the audit log; so is a success, before it is answered.
pub async fn token(gateway: &Gateway, asked: TokenRequest<'_>) -> Result<TokenAnswer, OAuthError> {
    let now = gateway.clock.now();
    let judged = gateway.access.judge(&asked, now);
    let refused = match judged {
        Ok(proved) => {
            let answer =
                gateway.access.issue_to(proved.client, &proved.scopes, asked.certificate, now).map_err(|fault| {
                    tracing::error!(error = %fault, "an access token cannot be signed");
                    OAuthError::UNAVAILABLE
                })?;
            let entry = entry(&asked, Some(proved.client), Outcome::Success, &answer.scope, now);
            let commit = Commit { keys: vec![proved.once], audit: vec![entry], ..Commit::default() };
            match gateway.store.commit(commit).await {
                Ok(_) => return Ok(answer),
                Err(StoreError::Taken { .. }) => {
                    (Some(proved.client), OAuthError::client("the assertion was used before"))
                }
                Err(fault) => return Err(unrecorded(&fault)),
            }
        }
        Err(refused) => refused,
    };
    let (client, refusal) = refused;
    if client.is_none()
        && let Err(wait_seconds) = gateway.access.strangers.admit(asked.address, now)
    {
        return Err(OAuthError::throttled(wait_seconds));
    }
    let entry = entry(&asked, client, Outcome::MinorFailure, refusal.description, now);
    let recorded = gateway.store.commit(Commit { audit: vec![entry], ..Commit::default() }).await;
    recorded.map_err(|fault| unrecorded(&fault))?;
    Err(refusal)
}

fn unrecorded(fault: &StoreError) -> OAuthError {
    tracing::error!(error = %fault, "a sign-in could not be recorded");
    OAuthError::UNAVAILABLE
}

/// A client whose assertion holds.
struct Proved<'a> {
    client: &'a Registered,
    scopes: Vec<scope::Scope>,
    once: DoorKey,
}

/// A refusal, and the client where it is a known one.
type Refused<'a> = (Option<&'a Registered>, OAuthError);

impl Access {
    fn judge(&self, asked: &TokenRequest<'_>, now: Timestamp) -> Result<Proved<'_>, Refused<'_>> {
        let form = Form::read(asked.form).map_err(|refusal| (None, refusal))?;
        let assertion = form.check().map_err(|refusal| (None, refusal))?;
        let (client, claims) = self.prove(assertion).map_err(|refusal| (None, refusal))?;
        let refuse = |refusal| (Some(client), refusal);
        check_claims(&claims, &format!("{}{PATH}", asked.base_url), now).map_err(refuse)?;
        if !client.fits_certificate(asked.certificate) {
            return Err(refuse(OAuthError::client("the TLS certificate is not the client's")));
        }
        let wanted = scope::parse_all(form.scope.split_ascii_whitespace());
        let scopes = scope::meet(&client.allowed(), &wanted);
        // Operations at the machine need no scope on resources, so `ops` may be granted none.
        let grants_nothing = scopes.is_empty() && !client.allowed().is_empty();
        if grants_nothing || form.scope.trim().is_empty() {
            let description = "none of the scopes asked for is open to this client";
            return Err(refuse(OAuthError { error: "invalid_scope", description, status: 400, wait_seconds: None }));
        }
        let key = format!("{}\u{1f}{}", client.config.id, claims.jti);
        let kept = SignedDuration::from_secs(ASSERTION_SECONDS_MAX + 2 * CLOCK_SECONDS);
        let expires = now.checked_add(kept).ok();
        Ok(Proved { client, scopes, once: DoorKey { scope: "jti", key, digest: String::new(), expires } })
    }

    /// The client that the assertion names, when one of that client's keys signed it.
    fn prove(&self, assertion: &str) -> Result<(&Registered, Assertion), OAuthError> {
        let header = jsonwebtoken::decode_header(assertion)
            .map_err(|_| OAuthError::client("the assertion is not a JWT signed by RS384, RS512 or ES384"))?;
        let kid = header.kid.ok_or(OAuthError::client("the assertion's header names no key (kid)"))?;
        // Whom it claims to be from, not yet believed: it only says whose keys to try.
        let claimed: Assertion = jsonwebtoken::dangerous::insecure_decode(assertion)
            .map(|token| token.claims)
            .map_err(|_| OAuthError::client("the assertion lacks iss, sub, aud, exp or jti"))?;
        let unknown = OAuthError::client("the client is not known, or the assertion is not signed by its key");
        let client = self.clients.get(&claimed.sub).ok_or(unknown.clone())?;
        let key = client.keys.iter().find(|key| key.kid == kid).ok_or(unknown.clone())?;
        key.claims(assertion).map(|claims| (client, claims)).ok_or(unknown)
    }
}

fn check_claims(claims: &Assertion, endpoint: &str, now: Timestamp) -> Result<(), OAuthError> {
    // Seconds since 1970 fit an f64 exactly.
    #[allow(clippy::cast_precision_loss)]
    let (now, ahead, apart) = (now.as_second() as f64, ASSERTION_SECONDS_MAX as f64, CLOCK_SECONDS as f64);
    if claims.iss != claims.sub {
        return Err(OAuthError::client("iss and sub must both be the client's id"));
    }
    if !claims.aud.has(endpoint) {
        return Err(OAuthError::client("aud must be the address of this token endpoint"));
    }
    if claims.exp <= now - apart {
        return Err(OAuthError::client("the assertion has expired"));
    }
    if claims.exp > now + ahead + apart {
        return Err(OAuthError::client("exp must be at most five minutes ahead"));
    }
    if claims.nbf.is_some_and(|nbf| nbf > now + apart) {
        return Err(OAuthError::client("the assertion is not yet valid"));
    }
    if claims.jti.is_empty() || claims.jti.len() > JTI_BYTES_MAX {
        return Err(OAuthError::client("jti must be 1 to 256 bytes"));
    }
    Ok(())
}

fn entry(
    asked: &TokenRequest<'_>,
    client: Option<&Registered>,
    outcome: Outcome,
    detail: &str,
    now: Timestamp,
) -> Entry {
    let config = client.map(|client| &client.config);
    let known = config.map(|config| Agent::of(&config.id, &config.ods, &format!("{:?}", config.role).to_lowercase()));
    let agent = Agent { address: asked.address.to_owned(), ..known.unwrap_or_else(|| Agent::of("unknown", "", "")) };
    Entry {
        outcome,
        request: asked.request.chars().take(REQUEST_CHARS_MAX).collect(),
        detail: detail.to_owned(),
        ..Entry::operations(Kind::SignIn, "token", Action::E, agent, now)
    }
}

/// The form's fields.
#[derive(Debug, Default)]
struct Form {
    grant_type: String,
    scope: String,
    client_assertion_type: String,
    client_assertion: String,
}

impl Form {
    fn read(bytes: &[u8]) -> Result<Self, OAuthError> {
        const FAULT: OAuthError = OAuthError::request("the body must be a form, each field once");
        if bytes.len() > FORM_BYTES_MAX {
            return Err(OAuthError::request("the body is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| FAULT)?;
        let (mut form, mut seen) = (Self::default(), Vec::new());
        for field in text.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').ok_or(FAULT)?;
            let (name, value) = (decode(name).ok_or(FAULT)?, decode(value).ok_or(FAULT)?);
            if seen.contains(&name) {
                return Err(FAULT);
            }
            match name.as_str() {
                "grant_type" => form.grant_type = value,
                "scope" => form.scope = value,
                "client_assertion_type" => form.client_assertion_type = value,
                "client_assertion" => form.client_assertion = value,
                _ => {} // OAuth asks that unknown fields are passed over
            }
            seen.push(name);
        }
        Ok(form)
    }

    /// The assertion, when the rest of the form is as it must be.
    fn check(&self) -> Result<&str, OAuthError> {
        if self.grant_type.is_empty() {
            return Err(OAuthError::request("grant_type is missing"));
        }
        if self.grant_type != "client_credentials" {
            let description = "grant_type must be client_credentials";
            return Err(OAuthError { error: "unsupported_grant_type", description, status: 400, wait_seconds: None });
        }
        if self.client_assertion_type != ASSERTION_TYPE || self.client_assertion.is_empty() {
            return Err(OAuthError::client("a client signs in by client_assertion, of type jwt-bearer"));
        }
        Ok(&self.client_assertion)
    }
}

/// Undoes the form's percent encoding. <https://url.spec.whatwg.org/#application/x-www-form-urlencoded>
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
                u8::from_str_radix(digits, 16).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}
