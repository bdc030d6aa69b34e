//! Who is calling and what they may do: nothing, unless a configured client shows that it may.
//!
//! - A client proves itself at the token endpoint by a signed assertion (`token`), as SMART
//!   Backend Services asks: <https://hl7.org/fhir/smart-app-launch/backend-services.html>
//! - and then shows a short-lived access token with each request (`bearer`), bound to its
//!   certificate where it came by mutual TLS: <https://www.rfc-editor.org/rfc/rfc8705>
//! - What it may do is the least of three: its role's table (`roles`), its token's scopes
//!   (`scope`), and the rows that concern its organisation or pools ([`Caller::visible`]).
//!
//! People do not sign in here: the systems that they use do, and name them. Clients are taken out
//! of the configuration to be shut out; their tokens end with that.

mod bearer;
mod discovery;
mod keys;
pub mod roles;
pub mod scope;
mod seen;
pub mod strangers;
mod token;

use std::collections::HashMap;
use std::path::PathBuf;

pub use bearer::{Credentials, MintFault};
pub use discovery::smart_configuration;
pub use token::{OAuthError, TokenAnswer, TokenRequest, token};

use crate::audit::Agent;
use crate::config::{Client, Config, Fault, Role};
use crate::fhir::ids::OdsCode;
use crate::rejection::Rejection;
use crate::store::param;
use keys::{ClientKey, OwnKey};
use scope::Scope;

/// A caller whose token (and, where asked for, certificate) was checked.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client id.
    pub client: String,
    /// Its organisation.
    pub ods: OdsCode,
    /// Its role.
    pub role: Role,
    /// The pools it works for (role `pool`).
    pub pools: Vec<String>,
    /// What its token allows: SMART v2 system scopes, `system/ServiceRequest.rs`.
    pub scopes: Vec<String>,
    /// The person at the client's end, where it told us.
    pub user: String,
    /// The network address.
    pub address: String,
}

/// In the place of a pool: everybody who signs in may see it. No pool's id can be this.
pub const EVERYBODY: &str = "*";

fn everybody() -> (u8, String) {
    (param::POOL, EVERYBODY.to_owned())
}

impl Caller {
    /// The caller as the audit log names it.
    pub fn agent(&self) -> Agent {
        Agent {
            client: self.client.clone(),
            ods: self.ods.to_string(),
            role: format!("{:?}", self.role).to_lowercase(),
            user: self.user.clone(),
            address: self.address.clone(),
        }
    }

    /// Whether the caller may do `interaction` (FHIR's names: `read`, `search-type`, `update`,
    /// `process-message`...; and `intake`, `metrics`, `held`, `replay`, `ledger`) to resources of
    /// type `kind` (empty where there is none).
    ///
    /// # Errors
    /// 403 `forbidden`, saying whether the role or the token stands in the way.
    pub fn may(&self, interaction: &str, kind: &str) -> Result<(), Rejection> {
        if let Some(letter) = roles::letter(interaction) {
            if !roles::allows(self.role, kind, letter) {
                return Err(self.not_for_role(interaction, kind));
            }
            return self.covered(kind, letter);
        }
        let operation = roles::OPERATIONS
            .iter()
            .find(|operation| operation.name == interaction && operation.roles.contains(&self.role))
            .ok_or_else(|| self.not_for_role(interaction, kind))?;
        operation.needs.map_or(Ok(()), |(kind, letter)| self.covered(kind, letter))
    }

    fn covered(&self, kind: &str, letter: char) -> Result<(), Rejection> {
        let scopes = scope::parse_all(self.scopes.iter().map(String::as_str));
        if scopes.iter().any(|scope| scope.covers(kind, letter)) {
            return Ok(());
        }
        Err(Rejection::forbidden(format!("the access token does not cover system/{kind}.{letter}")))
    }

    fn not_for_role(&self, interaction: &str, kind: &str) -> Rejection {
        let role = self.agent().role;
        let on = if kind.is_empty() { String::new() } else { format!(" on {kind}") };
        Rejection::forbidden(format!("the role '{role}' does not allow {interaction}{on}"))
    }

    /// The rows that the caller may see, for [`crate::store::Search::visible`]: `None` is all,
    /// else those with any of these; an empty list is none.
    pub fn visible(&self) -> Option<Vec<(u8, String)>> {
        match self.role {
            Role::Referrer => Some(vec![(param::PRACTICE, self.ods.to_string()), everybody()]),
            Role::Pool => {
                let own = self.pools.iter().map(|pool| (param::POOL, pool.clone()));
                Some(own.chain([everybody()]).collect())
            }
            Role::Consumer | Role::Ig => None,
            Role::Ops => Some(vec![everybody()]),
        }
    }

    /// Whether a resource with these visibility rows ([`crate::store::Store::visibility`]) is one
    /// that the caller may see.
    pub fn may_see(&self, rows: &[(u8, String)]) -> bool {
        self.visible().is_none_or(|visible| rows.iter().any(|row| visible.contains(row)))
    }
}

/// A configured client and the keys it signs with.
#[derive(Debug)]
struct Registered {
    config: Client,
    keys: Vec<ClientKey>,
}

impl Registered {
    /// The least of what the role may do and what the configuration gives the client.
    fn allowed(&self) -> Vec<Scope> {
        allowed(self.config.role, &self.config.scopes)
    }
}

fn allowed(role: Role, configured: &[String]) -> Vec<Scope> {
    let by_role = roles::scopes(role);
    if configured.is_empty() {
        return by_role;
    }
    scope::meet(&by_role, &scope::parse_all(configured.iter().map(String::as_str)))
}

/// Knows the configured clients and checks tokens. The default knows nobody and refuses all.
#[derive(Debug, Default)]
pub struct Access {
    clients: HashMap<String, Registered>,
    key: Option<OwnKey>,
    token_seconds: u64,
    /// Whom our access tokens are for: this gateway, whatever address it is called by.
    audience: String,
    development: bool,
    seen: seen::Seen,
    /// Requests without a valid token.
    pub strangers: strangers::Strangers,
}

impl Access {
    /// Reads the clients' keys and the gateway's own, which is made where there is none.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn load(config: &Config) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut clients = HashMap::new();
        for client in &config.access.clients {
            let keys = read_keys(client).map_err(|fault| faults.push(fault)).unwrap_or_default();
            clients.insert(client.id.clone(), Registered { config: client.clone(), keys });
        }
        let key = own_key(config).map_err(|fault| faults.push(fault)).ok();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            clients,
            key,
            token_seconds: config.access.token_seconds,
            audience: format!("urn:fingerpost:{}", config.gateway.ods),
            development: config.is_development(),
            seen: seen::Seen::default(),
            strangers: strangers::Strangers::new(strangers::Allowance {
                burst: config.access.unknown_burst,
                per_minute: config.access.unknown_per_minute,
            }),
        })
    }
}

fn read_keys(client: &Client) -> Result<Vec<ClientKey>, Fault> {
    if client.jwks_file.is_empty() {
        return Ok(Vec::new());
    }
    let fault = |text| Fault { file: client.jwks_file.clone(), line: 1, text };
    let text = std::fs::read_to_string(&client.jwks_file).map_err(|why| fault(why.to_string()))?;
    keys::client_keys(&text).map_err(fault)
}

/// Where the key for access tokens is kept: `access.key_file`, or beside the embedded store.
fn key_path(config: &Config) -> Option<PathBuf> {
    if !config.access.key_file.is_empty() {
        return Some(PathBuf::from(&config.access.key_file));
    }
    config.beside_store("access-key.pem")
}

fn own_key(config: &Config) -> Result<OwnKey, Fault> {
    let path = key_path(config).ok_or_else(|| Fault {
        file: "the configuration".into(),
        line: 0,
        text: "access.key_file: a PostgreSQL store needs a key for access tokens that all its gateways share".into(),
    })?;
    OwnKey::load_or_create(&path).map_err(|text| Fault { file: path.display().to_string(), line: 1, text })
}
