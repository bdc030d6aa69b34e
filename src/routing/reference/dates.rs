//! The ways in which published files write a day.

use jiff::civil::Date;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A day as `2022-01-01`, `20220101`, `01Jan2022`, `01-Jan-22`, `01-Jan-2022` or, day first as is
/// usual in England, `01/02/2022`. A year of two digits is of this century. Anything else is none.
pub fn day(text: &str) -> Option<Date> {
    let text = text.trim().split([' ', 'T']).next().unwrap_or("");
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split(['-', '/']).collect();
    match (text.len(), parts.as_slice()) {
        (8, [_]) if digits => date(text.get(..4)?, text.get(4..6)?, text.get(6..)?),
        (9, [_]) => named(text.get(..2)?, text.get(2..5)?, text.get(5..)?),
        (10, [year, month, day]) if year.len() == 4 => date(year, month, day),
        (10, [day, month, year]) if text.contains('/') => date(year, month, day),
        (9 | 11, [day, month, year]) if month.len() == 3 => named(day, month, year),
        _ => None,
    }
}

fn named(day: &str, month: &str, year: &str) -> Option<Date> {
    let month = MONTHS.iter().position(|name| *name == month.to_ascii_lowercase())? + 1;
    date(year, &month.to_string(), day)
}

fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i16>().ok()).flatten();
    let year = if year.len() == 2 { number(year)? + 2000 } else { number(year)? };
    Date::new(year, i8::try_from(number(month)?).ok()?, i8::try_from(number(day)?).ok()?).ok()
}

/// A spreadsheet's day number: 1 is 1900-01-01, with the leap day that 1900 had not.
/// <https://learn.microsoft.com/en-us/office/troubleshoot/excel/wrongly-assumes-1900-is-leap-year>
pub fn serial(text: &str) -> Option<Date> {
    let whole: i64 = text.split('.').next()?.parse().ok()?;
    let span = jiff::Span::new().try_days(whole).ok()?;
    (whole > 60).then(|| jiff::civil::date(1899, 12, 30).checked_add(span).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_published_style_is_the_same_day() {
        for text in
            ["2022-01-03", "20220103", "03Jan2022", "03-Jan-22", "03-JAN-2022", "03/01/2022", "2022-01-03T00:00"]
        {
            assert_eq!(day(text), Some(jiff::civil::date(2022, 1, 3)), "{text}");
        }
        assert_eq!(serial("44564"), Some(jiff::civil::date(2022, 1, 3)));
        for text in ["", "2022", "31/02/2022", "13/13/2022", "Jan 2022", "03-01-2022", "3Jan2022", "0é/1/2022"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
