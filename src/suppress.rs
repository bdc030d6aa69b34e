//! Small numbers: hiding them, and enough of the others that a hidden one cannot be found by subtraction.

/// Which of some counts are shown, given that their sum is known. A count of 1 to `below - 1` is
/// hidden; so is one whose complement `whole - count` is, where a whole is given (all but a few
/// says as much as only a few). Then the smallest others are hidden until at least two are and
/// what is hidden comes to `below` together, or nothing is left to show.
pub fn hide(counts: &[u64], wholes: Option<&[u64]>, below: u64) -> Vec<bool> {
    let small = |count: u64| count > 0 && count < below;
    let mut hidden: Vec<bool> = counts
        .iter()
        .enumerate()
        .map(|(index, count)| {
            let rest = wholes.and_then(|wholes| wholes.get(index)).map_or(0, |whole| whole.saturating_sub(*count));
            small(*count) || small(rest)
        })
        .collect();
    cover(counts, &mut hidden, below);
    hidden
}

/// Hides more until what is hidden cannot be told apart.
pub fn cover(counts: &[u64], hidden: &mut [bool], below: u64) {
    if !hidden.contains(&true) {
        return;
    }
    // Counts of people first, and only then groups in which there is nobody to protect.
    let mut others: Vec<usize> = (0..counts.len()).filter(|index| !hidden[*index]).collect();
    others.sort_by_key(|index| (counts[*index] == 0, counts[*index], *index));
    for next in others {
        let among: Vec<u64> =
            counts.iter().zip(hidden.iter()).filter(|(_, hidden)| **hidden).map(|(c, _)| *c).collect();
        if among.len() >= 2 && among.iter().sum::<u64>() >= below {
            return;
        }
        hidden[next] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_hidden_number_is_never_alone(counts in proptest::collection::vec(0u64..40, 1..12), below in 2u64..10) {
            let hidden = hide(&counts, None, below);
            let among: Vec<u64> = counts.iter().zip(&hidden).filter(|(_, hidden)| **hidden).map(|(count, _)| *count).collect();
            for (count, hidden) in counts.iter().zip(&hidden) {
                prop_assert!(*hidden || *count == 0 || *count >= below);
            }
            let everything = among.len() == counts.len();
            prop_assert!(among.is_empty() || everything || (among.len() >= 2 && among.iter().sum::<u64>() >= below));
        }
    }
}
