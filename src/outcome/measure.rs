//! Wellbeing measures: ranges and the SWEMWBS conversion. Pure numbers; no licensed wording.
//!
//! SWEMWBS: seven items of 1 to 5, raw total 7 to 35, higher is better; the metric score is a
//! table look-up (Stewart-Brown et al. 2009, <https://doi.org/10.1186/1477-7525-7-15>). ONS4: four
//! items of 0 to 10, reported apart, with no total:
//! <https://analysisfunction.civilservice.gov.uk/policy-store/personal-well-being/>.

/// Items of a SWEMWBS.
pub const SWEMWBS_ITEMS: usize = 7;
/// What each may be.
pub const SWEMWBS_ITEM: std::ops::RangeInclusive<i64> = 1..=5;
/// What the raw total may be.
pub const SWEMWBS_RAW: std::ops::RangeInclusive<i64> = 7..=35;
/// What each ONS4 item may be.
pub const ONS4_ITEM: std::ops::RangeInclusive<i64> = 0..=10;
/// The ONS4 items, as events of `entries.csv`, each with the beginning of the words that name it in a link id.
pub const ONS4: [(&str, &str); 4] =
    [("ons4-satisfaction", "satis"), ("ons4-worthwhile", "worth"), ("ons4-happiness", "happ"), ("ons4-anxiety", "anx")];

/// Metric scores of raw totals 7 to 35. Text, so that no digit is lost.
const METRIC: [&str; 29] = [
    "7.00", "9.51", "11.25", "12.40", "13.33", "14.08", "14.75", "15.32", "15.84", "16.36", "16.88", "17.43", "17.98",
    "18.59", "19.25", "19.98", "20.73", "21.54", "22.35", "23.21", "24.11", "25.03", "26.02", "27.03", "28.13",
    "29.31", "30.70", "32.55", "35.00",
];

/// The metric score of a raw total.
pub fn metric(raw: i64) -> Option<&'static str> {
    let at = usize::try_from(raw.checked_sub(*SWEMWBS_RAW.start())?).ok()?;
    METRIC.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_scores_are_the_published_ones() {
        for (raw, score) in [(7, "7.00"), (10, "12.40"), (14, "15.32"), (21, "19.25"), (29, "26.02"), (35, "35.00")] {
            assert_eq!(metric(raw), Some(score));
        }
        assert_eq!((metric(6), metric(36), metric(i64::MIN)), (None, None, None));
        let numbers: Vec<f64> = METRIC.iter().filter_map(|text| text.parse().ok()).collect();
        assert!(numbers.len() == 29 && numbers.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
