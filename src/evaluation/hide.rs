//! Small numbers: a count from 1 up to below the threshold is hidden, and with it as many of the
//! others of its table as would give it away by subtraction. What suppression is by local rule;
//! the threshold is `evaluation.hidden_below`.

use super::{ChangeRow, Count, Evaluation, GroupRow, Row};
use crate::suppress;

/// What words that few people share become: words can name a person.
const OTHER_WORDS: &str = "other words";

/// Hides the counts at these places that must be hidden; one that is hidden already stays so.
fn hide(counts: &mut [&mut Count], below: u64) {
    let numbers: Vec<u64> = counts.iter().map(|count| count.unwrap_or(0)).collect();
    for (count, hidden) in counts.iter_mut().zip(suppress::hide(&numbers, None, below)) {
        if hidden {
            **count = None;
        }
    }
}

fn single(count: &mut Count, below: u64) {
    if count.is_some_and(|number| (1..below).contains(&number)) {
        *count = None;
    }
}

fn rows(rows: &mut Vec<Row>, below: u64) {
    let rare = |row: &Row| row.code.is_empty() && row.count.is_some_and(|count| count < below);
    let mut folded = 0;
    rows.retain(|row| {
        let fold = rare(row);
        folded += if fold { row.count.unwrap_or(0) } else { 0 };
        !fold
    });
    if folded > 0 {
        rows.push(Row { label: OTHER_WORDS.to_owned(), code: String::new(), count: Some(folded) });
    }
    counted(rows, below);
}

fn counted(rows: &mut [Row], below: u64) {
    let mut counts: Vec<&mut Count> = rows.iter_mut().map(|row| &mut row.count).collect();
    hide(&mut counts, below);
}

fn groups(rows: &mut [GroupRow], below: u64) {
    let columns: [fn(&mut GroupRow) -> &mut Count; 5] = [
        |row| &mut row.referred,
        |row| &mut row.accepted,
        |row| &mut row.declined,
        |row| &mut row.dropped_out,
        |row| &mut row.unmet,
    ];
    for column in columns {
        let mut counts: Vec<&mut Count> = rows.iter_mut().map(column).collect();
        hide(&mut counts, below);
    }
    // Of a group too small to be shown nothing is shown.
    for row in rows.iter_mut().filter(|row| row.referred.is_none()) {
        columns.iter().for_each(|column| *column(row) = None);
    }
}

fn change(row: &mut ChangeRow, below: u64) {
    single(&mut row.lost, below);
    single(&mut row.waiting, below);
    if row.paired.is_some_and(|paired| (1..below).contains(&paired)) {
        (row.paired, row.mean, row.interval) = (None, None, None);
        (row.improved, row.same, row.worse) = (None, None, None);
        return;
    }
    hide(&mut [&mut row.improved, &mut row.same, &mut row.worse], below);
}

/// The dataset with small numbers hidden; `below` 0 or 1 hides nothing.
pub fn small_numbers(mut whole: Evaluation, below: u64) -> Evaluation {
    if below < 2 {
        return whole;
    }
    whole.hidden_below = below;
    counted(&mut whole.standing, below);
    let lists = [&mut whole.reasons, &mut whole.support, &mut whole.unmet_needs, &mut whole.closures];
    lists.into_iter().for_each(|list| rows(list, below));
    counted(&mut whole.absent, below);
    let singles =
        [&mut whole.referred, &mut whole.referred_on, &mut whole.signposted, &mut whole.dropped_out, &mut whole.unmet];
    singles.into_iter().for_each(|count| single(count, below));
    let few = whole.contacts.people.is_some_and(|people| (1..below).contains(&people));
    let contacts = &mut whole.contacts;
    if few {
        (contacts.people, contacts.met, contacts.mean) = (None, None, None);
        contacts.modes.iter_mut().for_each(|row| row.count = None);
    }
    single(&mut contacts.missed, below);
    counted(&mut contacts.modes, below);
    [&mut whole.ages, &mut whole.sexes, &mut whole.ethnicities].into_iter().for_each(|rows| groups(rows, below));
    whole.changes.iter_mut().for_each(|row| change(row, below));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(counts: &[u64], below: u64) -> Vec<Count> {
        let mut counts: Vec<Count> = counts.iter().map(|count| Some(*count)).collect();
        let mut places: Vec<&mut Count> = counts.iter_mut().collect();
        hide(&mut places, below);
        counts
    }

    #[test]
    fn a_small_count_cannot_be_found_by_subtraction() {
        assert_eq!(hidden(&[10, 20, 0], 5), [Some(10), Some(20), Some(0)]);
        assert_eq!(hidden(&[3, 20, 9, 0], 5), [None, Some(20), None, Some(0)]);
        assert_eq!(hidden(&[3, 2, 9], 5), [None, None, Some(9)]);
        assert_eq!(hidden(&[1, 1, 9], 5), [None, None, None]);
        assert_eq!(hidden(&[4, 0], 5), [None, None], "the sum may be known: one hidden count alone is found");
        assert_eq!(hidden(&[5, 6], 5), [Some(5), Some(6)]);
    }

    #[test]
    fn rare_words_are_not_shown() {
        let row = |label: &str, code: &str, count| Row { label: label.into(), code: code.into(), count: Some(count) };
        let mut list =
            vec![row("loneliness", "", 9), row("the boiler of number 4", "", 1), row("y", "", 4), row("z", "s|1", 2)];
        rows(&mut list, 5);
        let shown: Vec<_> = list.iter().map(|row| (row.label.as_str(), row.count)).collect();
        assert_eq!(shown, [("loneliness", Some(9)), ("z", None), (OTHER_WORDS, None)]);
    }
}
