//! A score as a number that loses no digit: a whole count of millionths.
//!
//! Not a float: 26.02 must come back as 26.02, and sums and means must be the same everywhere.

use std::fmt;
use std::ops::{Add, Sub};

use serde_json::Value;

/// Decimal places that are kept; a number with more is not taken.
const PLACES: u32 = 6;
/// One, in millionths.
const ONE: i64 = 1_000_000;
/// The largest whole part that is taken: far above any score, far below an overflow.
const WHOLE_MAX: i64 = 1_000_000;

/// A decimal number of at most six places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(i64);

impl Number {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// A whole number; `None` where it is larger than any score.
    pub fn whole(number: i64) -> Option<Self> {
        (-WHOLE_MAX..=WHOLE_MAX).contains(&number).then_some(Self(number * ONE))
    }

    /// Reads plain digits with at most one decimal point: no exponent, no plus sign, no spaces.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangles = digits.contains('.') && places.is_empty();
        if whole.is_empty() || dangles || whole.len() > 7 || !plain(whole) || !plain(places) {
            return None;
        }
        let whole = whole.parse::<i64>().ok().filter(|whole| *whole <= WHOLE_MAX)?;
        let places = places.trim_end_matches('0');
        let short = PLACES.checked_sub(u32::try_from(places.len()).ok()?)?;
        let fraction = if places.is_empty() { 0 } else { places.parse::<i64>().ok()? * 10_i64.pow(short) };
        let sum = whole * ONE + fraction;
        Some(Self(if negative { -sum } else { sum }))
    }

    /// The number of a FHIR integer or decimal, its digits as they came.
    pub fn of(value: &Value) -> Option<Self> {
        value.is_number().then(|| value.to_string()).and_then(|digits| Self::parse(&digits))
    }

    /// As a count of millionths.
    pub const fn millionths(self) -> i64 {
        self.0
    }

    /// So many millionths.
    pub const fn of_millionths(millionths: i64) -> Self {
        Self(millionths)
    }

    /// True without decimals. `21.0` is whole.
    pub const fn is_whole(self) -> bool {
        self.0 % ONE == 0
    }

    /// The sum of many divided by their count, to two places, half away from zero; `None` of none.
    pub fn mean(of: &[Self]) -> Option<Self> {
        let count = i128::try_from(of.len()).ok().filter(|count| *count > 0)?;
        let sum: i128 = of.iter().map(|number| i128::from(number.0)).sum();
        let hundredth = i128::from(ONE / 100);
        let (above, below) = (sum.abs(), count * hundredth);
        let rounded = (2 * above + below) / (2 * below);
        let whole = i64::try_from(rounded * hundredth * sum.signum()).ok()?;
        Some(Self(whole))
    }

    /// With exactly two decimal places (cut, not rounded): `3.50`.
    pub fn two_places(self) -> String {
        let (sign, all) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        format!("{sign}{}.{:02}", all / ONE.unsigned_abs(), all % ONE.unsigned_abs() / (ONE.unsigned_abs() / 100))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, all) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let (whole, rest) = (all / ONE.unsigned_abs(), all % ONE.unsigned_abs());
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        write!(f, "{sign}{whole}.{}", format!("{rest:06}").trim_end_matches('0'))
    }
}

impl Add for Number {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Number {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<String> {
        Number::parse(text).map(|number| number.to_string())
    }

    #[test]
    fn digits_come_back_as_they_were() {
        for text in ["0", "7", "26.02", "-0.594", "0.000001", "1000000"] {
            assert_eq!(number(text).as_deref(), Some(text));
        }
        assert_eq!(number("35.00").as_deref(), Some("35"));
        assert!(Number::parse("21.0").is_some_and(Number::is_whole));
        assert!(Number::parse("21.5").is_some_and(|number| !number.is_whole()));
    }

    #[test]
    fn what_is_no_plain_number_is_none() {
        for text in ["", "-", ".5", "5.", "1e2", "+1", " 1", "1,5", "0.0000001", "99999999999999999999", "1.2.3"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn means_are_rounded_to_two_places() {
        let of = |texts: &[&str]| {
            let numbers: Vec<Number> = texts.iter().filter_map(|text| Number::parse(text)).collect();
            Number::mean(&numbers).map(Number::two_places)
        };
        assert_eq!(of(&["1", "2"]).as_deref(), Some("1.50"));
        assert_eq!(of(&["1", "1", "2"]).as_deref(), Some("1.33"));
        assert_eq!(of(&["-1", "-1", "-2"]).as_deref(), Some("-1.33"));
        assert_eq!(of(&["0.005"]).as_deref(), Some("0.01"));
        assert_eq!(of(&["-0.005"]).as_deref(), Some("-0.01"));
        assert_eq!(of(&[]), None);
    }
}
