//! Access tokens: made at the token endpoint (or minted by `fingerpost token` in development),
//! shown with each request, and checked here. They are JWTs that only this gateway reads.
//! <https://www.rfc-editor.org/rfc/rfc6750>, <https://www.rfc-editor.org/rfc/rfc9068>
//!
//! A token says who the client is and which scopes it asked for. Role, organisation and pools
//! come from the configuration at the time of use, so that a change there counts at once.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Access, Caller, Registered, TokenAnswer, allowed, keys, scope};
use crate::config::Role;
use crate::fhir::ids::OdsCode;
use crate::rejection::{BarsError, IssueType, Rejection};

/// Longest token read, bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Longest `NHSD-Requesting-Practitioner` read, bytes.
const PRACTITIONER_BYTES_MAX: usize = 16 * 1024;
/// Longest identifier of a person that goes into the log, characters.
const USER_LENGTH_MAX: usize = 64;

/// What an access token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    sub: String,
    client_id: String,
    scope: String,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    /// A caller that is in no configuration: only `mint` makes these, only development takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trying: Option<Trying>,
}

/// The certificate that a token is bound to.
#[derive(Debug, Serialize, Deserialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
}

/// An unconfigured caller of a development gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Trying {
    role: Role,
    ods: String,
    pools: Vec<String>,
}

/// What came with a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The client's TLS certificate (DER), where mutual TLS showed one.
    pub certificate: Option<&'a [u8]>,
    /// The network address.
    pub address: &'a str,
    /// The `NHSD-Requesting-Practitioner` header: base64 of a FHIR resource.
    pub practitioner: Option<&'a str>,
}

/// Why no token was minted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintFault {
    /// The gateway is not marked as a development one.
    #[error("tokens are minted only when gateway.mode is \"development\"")]
    Production,
    /// The client is not configured and no role and organisation were given.
    #[error("there is no client '{0}' in the configuration; give --role and --ods to try as one that is not")]
    Unknown(String),
    /// The gateway has no key for access tokens, or it does not sign.
    #[error("the token cannot be signed: {0}")]
    Key(String),
}

impl Access {
    /// Who is calling.
    ///
    /// # Errors
    /// 401: `login` without a token, `expired` for one past its time, `unknown` for all else.
    pub fn authenticate(&self, shown: Credentials<'_>, now: Timestamp) -> Result<Caller, Rejection> {
        let token = bearer_token(shown.authorization)?;
        let unknown = || unauthorized(IssueType::Unknown, "the access token is not one of this gateway's");
        let key = self.key.as_ref().ok_or_else(unknown)?;
        let claims = self.seen.claims(token, || key.claims(token)).ok_or_else(unknown)?;
        if claims.iss != self.audience || claims.aud != self.audience {
            return Err(unknown());
        }
        if claims.exp <= now.as_second() {
            return Err(unauthorized(IssueType::Expired, "the access token has expired; ask for a new one"));
        }
        self.check_certificate(&claims, shown.certificate)?;
        let (role, ods, pools, allowed) = self.standing(&claims).ok_or_else(unknown)?;
        let asked = scope::parse_all(claims.scope.split_ascii_whitespace());
        Ok(Caller {
            client: claims.sub.clone(),
            ods,
            role,
            pools,
            scopes: scope::meet(&allowed, &asked).iter().map(ToString::to_string).collect(),
            user: shown.practitioner.map(user).unwrap_or_default(),
            address: shown.address.to_owned(),
        })
    }

    /// What the client is now; `None` when it is no longer known.
    fn standing(&self, claims: &Claims) -> Option<(Role, OdsCode, Vec<String>, Vec<scope::Scope>)> {
        if let Some(client) = self.clients.get(&claims.sub) {
            let config = &client.config;
            return Some((config.role, config.ods.clone(), config.pools.clone(), client.allowed()));
        }
        let trying = claims.trying.as_ref().filter(|_| self.development)?;
        Some((trying.role, OdsCode::parse(&trying.ods).ok()?, trying.pools.clone(), allowed(trying.role, &[])))
    }

    fn check_certificate(&self, claims: &Claims, shown: Option<&[u8]>) -> Result<(), Rejection> {
        let bound = claims
            .cnf
            .as_ref()
            .is_none_or(|cnf| shown.is_some_and(|certificate| keys::thumbprint(certificate) == cnf.thumbprint));
        let configured = self.clients.get(&claims.sub).is_none_or(|client| client.fits_certificate(shown));
        if bound && configured {
            return Ok(());
        }
        Err(unauthorized(IssueType::Unknown, "the access token is bound to another client certificate"))
    }

    /// An access token for a configured client, or in development mode for one that is not, given
    /// a role and an organisation.
    ///
    /// # Errors
    /// See [`MintFault`].
    pub fn mint(
        &self,
        client: &str,
        unconfigured: Option<(Role, OdsCode, Vec<String>)>,
        now: Timestamp,
    ) -> Result<TokenAnswer, MintFault> {
        if !self.development {
            return Err(MintFault::Production);
        }
        let (scopes, trying) = match (self.clients.get(client), unconfigured) {
            (Some(known), _) => (known.allowed(), None),
            (None, Some((role, ods, pools))) => {
                (allowed(role, &[]), Some(Trying { role, ods: ods.to_string(), pools }))
            }
            (None, None) => return Err(MintFault::Unknown(client.to_owned())),
        };
        self.issue(client, &scopes, None, trying, now).map_err(MintFault::Key)
    }

    /// Makes the access token of a client that has proved itself.
    pub(super) fn issue_to(
        &self,
        client: &Registered,
        scopes: &[scope::Scope],
        certificate: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<TokenAnswer, String> {
        self.issue(&client.config.id, scopes, certificate, None, now)
    }

    fn issue(
        &self,
        client: &str,
        scopes: &[scope::Scope],
        certificate: Option<&[u8]>,
        trying: Option<Trying>,
        now: Timestamp,
    ) -> Result<TokenAnswer, String> {
        let scope = scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let claims = Claims {
            iss: self.audience.clone(),
            aud: self.audience.clone(),
            sub: client.to_owned(),
            client_id: client.to_owned(),
            scope: scope.clone(),
            iat: now.as_second(),
            exp: now.as_second().saturating_add_unsigned(self.token_seconds),
            jti: uuid::Uuid::new_v4().to_string(),
            cnf: certificate.map(|certificate| Confirmation { thumbprint: keys::thumbprint(certificate) }),
            trying,
        };
        let key = self.key.as_ref().ok_or("the gateway has no key for access tokens")?;
        let access_token = key.sign(&claims)?;
        Ok(TokenAnswer { access_token, token_type: "bearer", expires_in: self.token_seconds, scope })
    }
}

impl Registered {
    /// True when the client need show no certificate, or shows the one that is configured.
    pub(super) fn fits_certificate(&self, shown: Option<&[u8]>) -> bool {
        let wanted = &self.config.certificate_sha256;
        let plain: String = wanted.chars().filter(|c| *c != ':').collect();
        wanted.is_empty()
            || shown.is_some_and(|certificate| keys::certificate_hex(certificate).eq_ignore_ascii_case(&plain))
    }
}

fn bearer_token(authorization: Option<&str>) -> Result<&str, Rejection> {
    let header = authorization.unwrap_or("").trim();
    let Some((scheme, token)) = header.split_once(' ') else {
        return Err(unauthorized(IssueType::Login, "an access token is needed: Authorization: Bearer ..."));
    };
    if !scheme.eq_ignore_ascii_case("bearer") || token.len() > TOKEN_BYTES_MAX {
        return Err(unauthorized(IssueType::Unknown, "the Authorization header is not a Bearer token of this gateway"));
    }
    Ok(token.trim())
}

fn unauthorized(kind: IssueType, text: &str) -> Rejection {
    Rejection::new(BarsError::Unauthorized, kind, text)
}

/// The identifier (never the name) of the person in the header; empty when there is none to read.
fn user(header: &str) -> String {
    if header.len() > PRACTITIONER_BYTES_MAX {
        return String::new();
    }
    let bytes = STANDARD.decode(header.trim()).unwrap_or_default();
    let person: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let named = [&person["identifier"][0], &person["practitioner"]["identifier"]];
    let value = named.into_iter().find_map(|identifier| identifier["value"].as_str()).unwrap_or_default();
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'/' | b'@'));
    if plain && value.len() <= USER_LENGTH_MAX { value.to_owned() } else { String::new() }
}
