//! The reason that a person gives for what they do by hand: kept with what it changed and shown, never
//! put into the audit log.

use crate::fhir::ids::NhsNumber;
use crate::rejection::{IssueType, Rejection};

/// Characters that a reason may have.
pub const CHARS: std::ops::RangeInclusive<usize> = 3..=500;

/// A reason that says something, and no patient data that can be recognised.
///
/// # Errors
/// 422 at `reason`, without its words.
pub fn checked(text: &str) -> Result<&str, Rejection> {
    let text = text.trim();
    if !CHARS.contains(&text.chars().count()) || text.chars().any(char::is_control) {
        let words = format!("say why, in {} to {} characters", CHARS.start(), CHARS.end());
        return Err(Rejection::unprocessable(IssueType::Required, words).at("reason"));
    }
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let numbers = digits.split(|c: char| !c.is_ascii_digit());
    if numbers.into_iter().any(|number| NhsNumber::parse(number).is_ok()) {
        let words = "a reason must hold no patient data: it has an NHS number";
        return Err(Rejection::unprocessable(IssueType::Value, words).at("reason"));
    }
    Ok(text)
}
