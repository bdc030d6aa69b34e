//! Sets of days as sorted spans that do not touch. Small: a pool's or a practice's whole history.

use jiff::civil::Date;

use super::rows::Period;

/// Days from the first to the second, both included, in order and apart.
pub(super) type Spans = Vec<(Date, Date)>;

/// All days.
pub(super) fn always() -> Spans {
    vec![(Date::MIN, Date::MAX)]
}

/// The days of a period.
pub(super) fn span(period: Period) -> (Date, Date) {
    (period.from, period.to.unwrap_or(Date::MAX))
}

/// The days that are in any.
pub(super) fn union(mut parts: Spans) -> Spans {
    parts.sort_unstable();
    let mut out: Spans = Vec::new();
    for (from, to) in parts {
        match out.last_mut() {
            Some((_, end)) if from <= *end || end.tomorrow().is_ok_and(|next| next == from) => *end = to.max(*end),
            _ => out.push((from, to)),
        }
    }
    out
}

/// The days of `of` that are not in `without`; both sorted and apart.
pub(super) fn minus(of: &[(Date, Date)], without: &[(Date, Date)]) -> Spans {
    let mut out = Vec::new();
    for (first, to) in of {
        let mut from = Some(*first);
        for (gap_from, gap_to) in without.iter().filter(|(gap_from, gap_to)| gap_from <= to && first <= gap_to) {
            if let Some(start) = from.filter(|start| start < gap_from) {
                out.extend(gap_from.yesterday().ok().map(|end| (start, end)));
            }
            from = gap_to.tomorrow().ok();
        }
        out.extend(from.filter(|start| start <= to).map(|start| (start, *to)));
    }
    out
}

/// The days that are in both.
pub(super) fn both(a: &[(Date, Date)], b: &[(Date, Date)]) -> Spans {
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x.0.max(y.0), x.1.min(y.1))));
    union(pairs.filter(|(from, to)| from <= to).collect())
}

/// The days as words: `from 2026-01-01 to 2026-01-31`, `from 2026-02-01 on`.
pub(super) fn words(spans: &[(Date, Date)]) -> String {
    let one = |(from, to): &(Date, Date)| match *to {
        Date::MAX => format!("from {from} on"),
        to => format!("from {from} to {to}"),
    };
    spans.iter().map(one).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn days(parts: &[(i8, i8)]) -> Spans {
        parts.iter().map(|(a, b)| (jiff::civil::date(2026, 1, *a), jiff::civil::date(2026, 1, *b))).collect()
    }

    #[test]
    fn days_add_up_and_are_taken_away() {
        assert_eq!(union(days(&[(5, 6), (1, 2), (3, 4), (9, 9)])), days(&[(1, 6), (9, 9)]));
        assert_eq!(minus(&days(&[(1, 9)]), &days(&[(1, 2), (4, 5), (9, 9)])), days(&[(3, 3), (6, 8)]));
        assert_eq!(minus(&days(&[(1, 2), (5, 9)]), &days(&[(2, 6)])), days(&[(1, 1), (7, 9)]));
        assert_eq!(minus(&days(&[(2, 3)]), &days(&[(1, 9)])), days(&[]));
        assert_eq!(minus(&always(), &always()), days(&[]));
        assert_eq!(both(&days(&[(1, 4), (6, 9)]), &days(&[(3, 7)])), days(&[(3, 4), (6, 7)]));
        let open = (jiff::civil::date(2026, 2, 1), Date::MAX);
        assert_eq!(words(&[days(&[(1, 3)])[0], open]), "from 2026-01-01 to 2026-01-03 and from 2026-02-01 on");
    }
}
