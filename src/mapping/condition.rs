//! The `when` of a row: a closed grammar over source cells, without brackets.
//!
//! ```text
//! when := all ("or" all)*          all := one ("and" one)*          one := ["not"] test
//! test := input.Column                       the cell says true
//!       | present input.Column               the cell is not blank
//!       | input.Column = 'text'              the cell is that text, in any case
//!       | input in set:NAME | refset:NAME    the input's code is in the set
//! ```

/// A condition; `C` names a cell and `S` an input's membership of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition<C, S> {
    /// The cell says true.
    True(C),
    /// The cell is not blank.
    Present(C),
    /// The cell is that text.
    Is(C, String),
    /// The input's code is in a set.
    In(S),
    /// The other way round.
    Not(Box<Condition<C, S>>),
    /// All of them.
    All(Vec<Condition<C, S>>),
    /// At least one.
    Any(Vec<Condition<C, S>>),
}

/// A condition as written: cells by name, sets as `(input, set)`.
pub type Written = Condition<String, (String, String)>;

/// Reads a condition.
pub fn parse(text: &str) -> Result<Written, String> {
    let words = words(text)?;
    let mut at = words.as_slice();
    let condition = any(&mut at)?;
    match at.first() {
        None => Ok(condition),
        Some(word) => Err(format!("'{word}' does not belong in a condition here")),
    }
}

/// Splits at spaces, keeping quoted text in one piece.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.find('\'').map(|end| end + 2).ok_or("a quoted text does not end")?,
            None => rest.find(' ').unwrap_or(rest.len()),
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

fn any(at: &mut &[String]) -> Result<Written, String> {
    let mut parts = vec![all(at)?];
    while take(at, "or") {
        parts.push(all(at)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
}

fn all(at: &mut &[String]) -> Result<Written, String> {
    let mut parts = vec![one(at)?];
    while take(at, "and") {
        parts.push(one(at)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
}

fn one(at: &mut &[String]) -> Result<Written, String> {
    if take(at, "not") {
        return Ok(Condition::Not(Box::new(one(at)?)));
    }
    if take(at, "present") {
        return Ok(Condition::Present(next(at)?));
    }
    let subject = next(at)?;
    if take(at, "in") {
        let set = next(at)?;
        let name = set.strip_prefix("set:").or_else(|| set.strip_prefix("refset:"));
        let name = name.ok_or_else(|| format!("'{set}' must be set:NAME or refset:NAME"))?;
        return Ok(Condition::In((subject, name.to_owned())));
    }
    if take(at, "=") {
        let quoted = next(at)?;
        let text = quoted.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        return Ok(Condition::Is(subject, text.ok_or("the text after '=' must be in quotes")?.to_owned()));
    }
    Ok(Condition::True(subject))
}

fn take(at: &mut &[String], word: &str) -> bool {
    let found = at.first().is_some_and(|next| next == word);
    if found {
        *at = &at[1..];
    }
    found
}

fn next(at: &mut &[String]) -> Result<String, String> {
    let (first, rest) = at.split_first().ok_or("the condition ends too early")?;
    *at = rest;
    Ok(first.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_closed_grammar_and_nothing_else() {
        let cell = |name: &str| Box::new(Condition::True(name.to_owned()));
        assert_eq!(parse("not a.X"), Ok(Condition::Not(cell("a.X"))));
        assert_eq!(
            parse("a.X or present b.Y and c.Z = 'a b'"),
            Ok(Condition::Any(vec![
                *cell("a.X"),
                Condition::All(vec![Condition::Present("b.Y".into()), Condition::Is("c.Z".into(), "a b".into())]),
            ]))
        );
        assert_eq!(parse("code in refset:sp"), Ok(Condition::In(("code".into(), "sp".into()))));
        assert!(parse("a.X or").is_err());
        assert!(parse("a.X b.Y").is_err());
        assert!(parse("a.X = b").is_err());
        assert!(parse("code in sp").is_err());
    }
}
