//! Who is calling and what they may do: nothing, unless a configured client shows that it may.

use crate::audit::Agent;
use crate::config::Role;
use crate::fhir::ids::OdsCode;

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
}

/// Knows the configured clients and checks tokens.
#[derive(Debug, Default)]
pub struct Access {}
