//! How outcomes reach one practice's system, chosen per practice in `[[writeback.practices]]`.
//!
//! `fhir`: a FHIR R4 endpoint of the practice system. The national routes (GP Connect Update
//! Record over MESH, IM1, the EMIS Partner API) are further arms of [`Route`].

use std::path::Path;

use crate::config::{Config, PracticeSystem};
use crate::delivery::reach;

/// A way into a practice's record.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Route {
    /// A FHIR R4 endpoint.
    Fhir {
        /// Without a slash at its end.
        base: String,
        /// A bearer token, where the system wants one.
        token: Option<String>,
    },
}

impl Route {
    /// The route of a practice.
    ///
    /// # Errors
    /// In words: what a person must configure.
    pub fn of(config: &Config, practice: &str) -> Result<Self, String> {
        let system = config.writeback.practices.iter().find(|system| system.ods.as_str() == practice);
        let system = system.ok_or_else(|| format!("needs a person: practice {practice} has no write-back route"))?;
        match system.routes.first().map(String::as_str) {
            Some("fhir") => fhir(config, system),
            other => Err(format!("needs a person: practice {practice} has the unknown route {other:?}")),
        }
    }

    /// The words of a practice's routes, in the order in which they are tried.
    pub fn words<'a>(config: &'a Config, practice: &str) -> &'a [String] {
        let system = config.writeback.practices.iter().find(|system| system.ods.as_str() == practice);
        system.map_or(&[], |system| system.routes.as_slice())
    }
}

fn fhir(config: &Config, system: &PracticeSystem) -> Result<Route, String> {
    let refused = |why: String| format!("needs a person: practice {}: {why}", system.ods);
    let url = reach::check(config, &system.base_url).map_err(refused)?;
    let token = match system.token_file.as_str() {
        "" => None,
        file => Some(
            std::fs::read_to_string(Path::new(file))
                .map(|text| text.trim().to_owned())
                .map_err(|_| refused("its token_file cannot be read".to_owned()))?,
        ),
    };
    Ok(Route::Fhir { base: url.as_str().trim_end_matches('/').to_owned(), token })
}
