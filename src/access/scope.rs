//! SMART v2 system scopes: `system/Type.cruds`, with `*` for every type. Pure.
//! <https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html>
//!
//! The words of SMART v1 (`read`, `write`, `*`) are read too. Scopes narrowed by a search
//! (`?category=...`) and scopes of users and patients are not known here, so they grant nothing.

use std::fmt;

/// What may be done, in SMART's order.
const LETTERS: [char; 5] = ['c', 'r', 'u', 'd', 's'];

/// A set of SMART's letters: create, read, update, delete, search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// The letters of a text, which must be in SMART's order, each once.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut rights, mut next) = (0, 0);
        for letter in text.chars() {
            let at = LETTERS.iter().position(|known| *known == letter).filter(|at| *at >= next)?;
            rights |= 1 << at;
            next = at + 1;
        }
        (rights > 0).then_some(Self(rights))
    }

    /// True when the letter is in the set.
    pub fn has(self, letter: char) -> bool {
        LETTERS.iter().position(|known| *known == letter).is_some_and(|at| self.0 & (1 << at) != 0)
    }

    fn meet(self, other: Self) -> Option<Self> {
        let both = self.0 & other.0;
        (both > 0).then_some(Self(both))
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LETTERS.iter().filter(|letter| self.has(**letter)).try_for_each(|letter| write!(f, "{letter}"))
    }
}

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    kind: String,
    rights: Rights,
}

impl Scope {
    /// The scope for these rights on one resource type.
    pub fn new(kind: &str, rights: Rights) -> Self {
        Self { kind: kind.to_owned(), rights }
    }

    /// Reads one scope; `None` for one that grants nothing here.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rights) = text.strip_prefix("system/")?.split_once('.')?;
        let named = kind == "*" || (!kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric()));
        let rights = match rights {
            "read" => "rs",
            "write" => "cud",
            "*" => "cruds",
            letters => letters,
        };
        Rights::parse(rights).filter(|_| named).map(|rights| Self { kind: kind.to_owned(), rights })
    }

    /// True when it lets `letter` be done to resources of type `kind`.
    pub fn covers(&self, kind: &str, letter: char) -> bool {
        (self.kind == "*" || self.kind == kind) && self.rights.has(letter)
    }

    /// What both scopes allow, if anything.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let kind = match (self.kind.as_str(), other.kind.as_str()) {
            ("*", kind) | (kind, "*") => kind,
            (one, two) if one == two => one,
            _ => return None,
        };
        self.rights.meet(other.rights).map(|rights| Self { kind: kind.to_owned(), rights })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system/{}.{}", self.kind, self.rights)
    }
}

/// What both lists allow: each pair that meets, once.
pub fn meet(one: &[Scope], two: &[Scope]) -> Vec<Scope> {
    let mut both = Vec::new();
    for met in one.iter().flat_map(|a| two.iter().filter_map(|b| a.meet(b))) {
        if !both.contains(&met) {
            both.push(met);
        }
    }
    both
}

/// The scopes of texts; those that grant nothing here are left out.
pub fn parse_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Scope> {
    texts.into_iter().filter_map(Scope::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn met(one: &str, two: &str) -> String {
        let list = |text: &str| parse_all(text.split_whitespace().collect::<Vec<_>>());
        meet(&list(one), &list(two)).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn reads_what_smart_writes_and_nothing_else() {
        for good in ["system/Task.cruds", "system/*.rs", "system/Task.r", "system/Task.read", "system/*.*"] {
            assert!(Scope::parse(good).is_some(), "{good}");
        }
        for bad in
            ["system/Task.sr", "system/Task.", "system/.r", "user/Task.r", "system/Task.rr", "system/Task.rs?x=y", "*"]
        {
            assert!(Scope::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_narrower_of_two_scopes_is_granted() {
        assert_eq!(met("system/*.rs", "system/Task.cruds system/Patient.s"), "system/Task.rs system/Patient.s");
        assert_eq!(met("system/Task.c", "system/Task.rs"), "");
        assert_eq!(met("system/Task.rs", "system/Patient.rs"), "");
        assert_eq!(met("system/*.cruds", "system/*.r"), "system/*.r");
    }

    proptest! {
        #[test]
        fn nothing_is_granted_that_one_side_does_not_allow(
            one in "(system/(Task|Patient|\\*)\\.c?r?u?d?s? ?){1,3}",
            two in "(system/(Task|Patient|\\*)\\.c?r?u?d?s? ?){1,3}",
        ) {
            let list = |text: &str| parse_all(text.split_whitespace().collect::<Vec<_>>());
            let (one, two) = (list(&one), list(&two));
            let both = meet(&one, &two);
            let covers = |scopes: &[Scope], kind: &str, letter| scopes.iter().any(|s| s.covers(kind, letter));
            for kind in ["Task", "Patient", "Flag"] {
                for letter in LETTERS {
                    prop_assert_eq!(
                        covers(&both, kind, letter),
                        covers(&one, kind, letter) && covers(&two, kind, letter)
                    );
                }
            }
        }
    }
}
