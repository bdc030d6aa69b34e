//! Which candidates are social prescribing: by code, by recipient, or by the agreement's scope.

use std::collections::HashMap;

use serde_json::Value;

use crate::config::Scope;
use crate::fhir::ids::{OdsCode, SnomedCode};
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::staging::Kind;

/// The code set of social prescribing referrals.
pub const PRESCRIBING: &str = "social-prescribing-referral";
/// Codes whose class is kept in memory; past it the memory is cleared and filled again.
const CODES_MAX: usize = 50_000;

/// What a code says about the row that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// It is in the social prescribing set.
    pub prescribing: bool,
    /// EMIS files it under a category that begins with "Referral".
    pub referral: bool,
    /// Its SNOMED id fails its check: nobody can tell what it meant.
    pub damaged: bool,
}

impl Class {
    /// The class of a coding row.
    pub fn of(gateway: &Gateway, code: &Value) -> Self {
        let cell = |name: &str| code[name].as_str().unwrap_or("").trim();
        let (concept, read) = (cell("SnomedCTConceptId"), cell("ReadTermId"));
        let named = |scheme, code: &str| !code.is_empty() && gateway.mappings.in_set(PRESCRIBING, scheme, code);
        let prescribing =
            named("snomed", concept) || ["readv2", "ctv3", "emis"].into_iter().any(|scheme| named(scheme, read));
        let category = cell("EmisCodeCategoryDescription").to_ascii_lowercase();
        let damaged = code.get(crate::parsing::emis::rows::DAMAGED).is_some()
            || (!concept.is_empty() && SnomedCode::parse(concept).is_err());
        Self { prescribing, referral: category.starts_with("referral"), damaged }
    }
}

/// The classes of codes met lately.
#[derive(Debug, Default)]
pub(super) struct Codes {
    classes: HashMap<String, Class>,
}

impl Codes {
    /// Makes sure that those of `ids` that are here can be asked for.
    pub async fn learn<'i>(&mut self, gateway: &Gateway, ids: impl Iterator<Item = &'i str>) -> Result<(), StoreError> {
        if self.classes.len() > CODES_MAX {
            self.classes.clear();
        }
        let mut new: Vec<String> = ids.filter(|id| !self.classes.contains_key(*id)).map(str::to_owned).collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        for (id, body) in gateway.store.references(Kind::Code, "", new).await? {
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            self.classes.insert(id, Class::of(gateway, &body));
        }
        Ok(())
    }

    /// The class of a code that was learnt; `None`: its coding row has not come.
    pub fn class(&self, id: &str) -> Option<Class> {
        self.classes.get(id).copied()
    }

    /// Coding rows have changed.
    pub fn forget(&mut self) {
        self.classes.clear();
    }
}

/// The ODS code of each organisation that has one.
#[derive(Debug, Default)]
pub(super) struct Organisations {
    codes: HashMap<String, OdsCode>,
}

impl Organisations {
    /// Those that are here.
    pub async fn load(gateway: &Gateway) -> Result<Self, StoreError> {
        let rows = gateway.store.references(Kind::Organisation, "", Vec::new()).await?;
        let codes = rows.into_iter().filter_map(|(key, body)| {
            let body: Value = serde_json::from_str(&body).ok()?;
            Some((key, OdsCode::parse(body["ODSCode"].as_str()?).ok()?))
        });
        Ok(Self { codes: codes.collect() })
    }

    /// The ODS code of an organisation by its GUID.
    pub fn ods(&self, guid: &str) -> Option<OdsCode> {
        self.codes.get(guid).cloned()
    }
}

/// Referrals are also selected by what the referral form says, not only by the code.
pub(super) fn is_wide(gateway: &Gateway) -> bool {
    let emis = &gateway.config.intake.emis;
    emis.scope == Scope::AllReferrals || !emis.recipients.is_empty()
}

/// The referral form alone selects it: its target is one of ours, or the agreement covers nothing else.
pub(super) fn by_form(gateway: &Gateway, target: Option<&OdsCode>) -> bool {
    let emis = &gateway.config.intake.emis;
    emis.scope == Scope::AllReferrals || target.is_some_and(|ods| emis.recipients.contains(ods))
}
