//! How sure a mean is: its 95 % interval by Student's t. Pure, in whole millionths throughout, so
//! that it is the same on every machine.
//! <https://www.itl.nist.gov/div898/handbook/eda/section3/eda352.htm>
//!
//! It says how far chance may have moved the mean of those who answered twice. It says nothing of
//! those who did not: their number stands beside it.

use super::measure::Number;

/// The 0.975 quantile of t by degrees of freedom, in thousandths: 1 to 30.
/// <https://www.itl.nist.gov/div898/handbook/eda/section3/eda3672.htm>
const T_SMALL: [i128; 30] = [
    12_706, 4_303, 3_182, 2_776, 2_571, 2_447, 2_365, 2_306, 2_262, 2_228, 2_201, 2_179, 2_160, 2_145, 2_131, 2_120,
    2_110, 2_101, 2_093, 2_086, 2_080, 2_074, 2_069, 2_064, 2_060, 2_056, 2_052, 2_048, 2_045, 2_042,
];
/// What t is in millionths beyond the table: `Z + A/df + B/df² + C/df³`, Cornish and Fisher's expansion about
/// the normal quantile, right to a thousandth from 31 on.
const BEYOND: [i128; 4] = [1_959_964, 2_372_271, 2_822_500, 2_555_800];

/// The interval's ends, two decimal places; `None` for fewer than two numbers.
pub fn of_mean(numbers: &[Number]) -> Option<[String; 2]> {
    let count = i128::try_from(numbers.len()).ok().filter(|count| *count > 1)?;
    let sum: i128 = numbers.iter().map(|number| i128::from(number.millionths())).sum();
    let squares: i128 = numbers.iter().map(|number| i128::from(number.millionths()).pow(2)).sum();
    // The squared standard error, in squared millionths.
    let spread = count.checked_mul(squares)?.checked_sub(sum.checked_mul(sum)?)?;
    let error = spread / (count * count * (count - 1));
    let t = t_millionths(count - 1);
    let half = error.checked_mul(t * t)?.checked_isqrt()? / 1_000_000;
    let mean = sum / count;
    Some([hundredths(mean - half)?, hundredths(mean + half)?])
}

fn t_millionths(freedom: i128) -> i128 {
    let small = usize::try_from(freedom - 1).ok().and_then(|at| T_SMALL.get(at));
    let beyond = || (0..).zip(BEYOND).map(|(power, of)| of / freedom.pow(power)).sum();
    small.map_or_else(beyond, |thousandths| thousandths * 1000)
}

/// Millionths to two decimal places, half away from zero.
fn hundredths(millionths: i128) -> Option<String> {
    let rounded = (millionths.abs() + 5_000) / 10_000 * 10_000 * millionths.signum();
    Some(Number::of_millionths(i64::try_from(rounded).ok()?).two_places())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(digits: &[&str]) -> Option<[String; 2]> {
        let numbers: Vec<Number> = digits.iter().filter_map(|text| Number::parse(text)).collect();
        of_mean(&numbers)
    }

    #[test]
    fn t_is_the_published_one() {
        for (freedom, thousandths) in
            [(1, 12_706), (5, 2_571), (30, 2_042), (31, 2_040), (40, 2_021), (60, 2_000), (100, 1_984), (1000, 1_962)]
        {
            assert_eq!((t_millionths(freedom) + 500) / 1000, thousandths, "{freedom}");
        }
    }

    #[test]
    fn the_interval_is_that_of_the_textbook() {
        // Mean 3, standard deviation 1.5811, t(4) = 2.776: 3 ± 1.9629.
        assert_eq!(of(&["1", "2", "3", "4", "5"]), Some(["1.04".to_owned(), "4.96".to_owned()]));
        // Mean -2, standard deviation 5.6569, t(1) = 12.706: -2 ± 50.82.
        assert_eq!(of(&["-6", "2"]), Some(["-52.82".to_owned(), "48.82".to_owned()]));
        assert_eq!(of(&["2.5", "2.5", "2.5"]), Some(["2.50".to_owned(), "2.50".to_owned()]), "no spread at all");
        assert_eq!((of(&["4"]), of(&[])), (None, None), "one person has no spread");
    }

    #[test]
    fn many_large_scores_do_not_overflow() {
        let numbers: Vec<Number> = (0..20_000).filter_map(|n| Number::whole((n % 2) * 100)).collect();
        // Mean 50, standard deviation 50.00, standard error 0.3536: 50 ± 0.69.
        assert_eq!(of_mean(&numbers), Some(["49.31".to_owned(), "50.69".to_owned()]));
    }
}
