//! The identifiers of the field, each made in one place and right from then on.
//!
//! All of them are text from the first byte to the last: an identifier that passes
//! through a number, or a spreadsheet, loses digits.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// `https://fhir.nhs.uk/Id/nhs-number`
pub const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
/// `https://fhir.nhs.uk/Id/ods-organization-code`
pub const ODS: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
/// `http://snomed.info/sct`
pub const SNOMED: &str = "http://snomed.info/sct";
/// The gateway's own identifier for one EMIS observation: `ORGANISATION-GUID/OBSERVATION-GUID`.
pub const EMIS_OBSERVATION: &str = "https://fingerpost.dev/id/emis-observation";

/// Why a text is not the identifier it claims to be. Never holds the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    /// Wrong length or a character that does not belong.
    #[error("is not of the right shape")]
    Shape,
    /// The check digit does not hold.
    #[error("fails its check digit")]
    CheckDigit,
    /// A SNOMED CT id of 16 digits or more ending in 0 that fails its check digit.
    #[error("fails its check digit and ends in 0: probable spreadsheet truncation")]
    Truncated,
    /// A SNOMED CT id that names a description or relationship, not a concept.
    #[error("is not a concept id")]
    Partition,
}

/// A ten-digit NHS number whose modulus 11 check digit holds.
/// <https://www.datadictionary.nhs.uk/attributes/nhs_number.html>
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct NhsNumber(String);

impl NhsNumber {
    /// Reads an NHS number, allowing the spaces and hyphens that people write in it.
    pub fn parse(text: &str) -> Result<Self, IdFault> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        if digits.len() != 10 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(IdFault::Shape);
        }
        let sum: u32 = digits.bytes().take(9).zip((2..=10).rev()).map(|(b, w)| u32::from(b - b'0') * w).sum();
        let check = (11 - sum % 11) % 11;
        let last = u32::from(digits.as_bytes()[9] - b'0');
        if check == last { Ok(Self(digits)) } else { Err(IdFault::CheckDigit) }
    }

    /// The ten digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the range that NHS England sets aside for tests (it begins 999).
    pub fn is_test(&self) -> bool {
        self.0.starts_with("999")
    }
}

/// Shows no digits: an NHS number must not reach a log by way of `{:?}`.
impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(..)")
    }
}

/// An organisation's ODS code: 3 to 12 capital letters and digits.
/// <https://digital.nhs.uk/services/organisation-data-service>
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct OdsCode(String);

impl OdsCode {
    /// Reads an ODS code, in either case.
    pub fn parse(text: &str) -> Result<Self, IdFault> {
        let code = text.trim().to_ascii_uppercase();
        let fits = (3..=12).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
        if fits { Ok(Self(code)) } else { Err(IdFault::Shape) }
    }

    /// The code in capitals.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OdsCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OdsCode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(|fault| serde::de::Error::custom(format!("ODS code '{text}' {fault}")))
    }
}

/// A SNOMED CT concept id: 6 to 18 digits, a concept partition (00 or 10), a good check digit.
/// <https://confluence.ihtsdotools.org/display/DOCRELFMT/6+SNOMED+CT+Identifiers>
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SnomedCode(String);

impl SnomedCode {
    /// Reads a concept id. A damaged one is refused, never repaired.
    pub fn parse(text: &str) -> Result<Self, IdFault> {
        let text = text.trim();
        check_sctid(text)?;
        match &text[text.len() - 3..text.len() - 1] {
            "00" | "10" => Ok(Self(text.to_owned())),
            _ => Err(IdFault::Partition),
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnomedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks length and Verhoeff digit of any SNOMED CT id, whatever its partition.
pub fn check_sctid(text: &str) -> Result<(), IdFault> {
    let shaped = (6..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if !shaped {
        return Err(IdFault::Shape);
    }
    if verhoeff(text) {
        Ok(())
    } else if text.len() >= 16 && text.ends_with('0') {
        Err(IdFault::Truncated)
    } else {
        Err(IdFault::CheckDigit)
    }
}

/// True when the Verhoeff check digit at the end of `digits` holds.
fn verhoeff(digits: &str) -> bool {
    const D: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const P: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let fold = |c: u8, (i, b): (usize, u8)| D[usize::from(c)][usize::from(P[i % 8][usize::from(b - b'0')])];
    digits.bytes().rev().enumerate().fold(0, fold) == 0
}

/// The namespace of every logical id that the gateway makes.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_4a0e_5b3c_4d52_9a53_1f0e_9a7c_11b7);

/// A stable logical id: the same parts give the same id, on any node, without asking a store.
/// Parts are joined by a character that none of them holds.
pub fn stable_id(parts: &[&str]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, parts.join("\u{1f}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nhs_numbers_hold_their_check_digit() {
        assert_eq!(NhsNumber::parse("944 930 5552").map(|n| n.as_str().to_owned()), Ok("9449305552".into()));
        assert_eq!(NhsNumber::parse("9449305553").err(), Some(IdFault::CheckDigit));
        assert_eq!(NhsNumber::parse("944930555").err(), Some(IdFault::Shape));
        assert_eq!(NhsNumber::parse("９４４９３０５５５２").err(), Some(IdFault::Shape));
        assert_eq!(format!("{:?}", NhsNumber::parse("9449305552")), "Ok(NhsNumber(..))");
    }

    #[test]
    fn snomed_ids_keep_partition_and_check_digit() {
        assert!(SnomedCode::parse("871731000000106").is_ok());
        assert_eq!(SnomedCode::parse("506031000006117").err(), Some(IdFault::Partition));
        assert_eq!(SnomedCode::parse("1777541000006110").err(), Some(IdFault::Truncated));
        assert_eq!(SnomedCode::parse("871731000000107").err(), Some(IdFault::CheckDigit));
        assert_eq!(SnomedCode::parse("8.7173E+14").err(), Some(IdFault::Shape));
    }
}
