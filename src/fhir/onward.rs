//! ServiceRequests that a pool made: referrals onward and signposts, told by their category from
//! the referrals that came in. <https://hl7.org/fhir/R4/servicerequest.html>

use serde_json::Value;

use super::{coding, each};

/// The system of the category.
pub const ONWARD: &str = "https://fingerpost.dev/CodeSystem/onward";
/// Somebody was asked to take the person.
pub const REFERRAL: &str = "referral";
/// The person was given a name and a contact: not a referral.
pub const SIGNPOST: &str = "signpost";

/// `referral`, `signpost` or another word of the category; `None` for a referral that came in.
pub fn sort(request: &Value) -> Option<&str> {
    each(&request["category"]).find_map(|category| coding(category, ONWARD))
}

/// True when a pool made it: it is in no ledger and goes down no path.
pub fn is_onward(request: &Value) -> bool {
    sort(request).is_some()
}
