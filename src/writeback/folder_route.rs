//! Folder route: a file for the supplier's interface, named by its message's id. Written beside
//! its place, brought to disk and renamed, so that the other side sees it whole or not at all.
//! Not here: MLLP or HTTP to the supplier; their specifications come with the pairing.

use std::io::Write as _;
use std::path::Path;

use super::entry::{Encoded, Submission, Unencodable};
use super::practice::Came;
use super::route::{Form, LETTER};
use super::{file_record, hl7v2};
use crate::store::filing::Filing;

/// One try; `replaced` is the filing of the version that this one replaces. `true`: something may have
/// left the house.
pub async fn attempt(folder: &Path, form: Form, submission: &Submission, replaced: Option<&Filing>) -> (Came, bool) {
    let was_letter = replaced.is_some_and(|filing| filing.messages.iter().any(|(route, _)| route == LETTER));
    let (encoded, ending) = match form {
        Form::FileRecord => (file_record::encode(submission, file_record::Pairing::Configured), "xml"),
        Form::Result => (hl7v2::result(submission), "hl7"),
        Form::Letter if was_letter => (hl7v2::letter(submission), "hl7"),
        Form::Letter => (hl7v2::first_letter(submission), "hl7"),
    };
    let encoded = match encoded {
        Ok(encoded) => encoded,
        Err(Unencodable(why)) => return (Came::Refused(why), false),
    };
    let message = encoded.message.clone();
    let place = folder.join(format!("{message}.{ending}"));
    let laid = tokio::task::spawn_blocking(move || lay(&place, &encoded)).await;
    match laid.unwrap_or(Laid::Perhaps) {
        Laid::Whole => (Came::Taken(vec![message]), true),
        Laid::Not => (Came::Unreached, false),
        Laid::Perhaps => {
            let why = "the file may have been laid: its folder could not be brought to disk".to_owned();
            (Came::Unanswered { why, message: Some(message), asked: None }, true)
        }
    }
}

/// What came of laying a file.
#[derive(Debug, PartialEq, Eq)]
enum Laid {
    /// It is there, or was.
    Whole,
    /// It is not there under its name: another route may be tried.
    Not,
    /// It was there under its name, and it is not known whether it stays.
    Perhaps,
}

fn lay(place: &Path, encoded: &Encoded) -> Laid {
    if place.exists() {
        return Laid::Whole;
    }
    if beside(place, encoded).is_err() {
        return Laid::Not;
    }
    let folder = place.parent().unwrap_or(Path::new("."));
    match std::fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        Ok(()) => Laid::Whole,
        Err(_) => Laid::Perhaps,
    }
}

fn beside(place: &Path, encoded: &Encoded) -> std::io::Result<()> {
    let part = place.with_extension("part");
    let mut file = std::fs::File::create(&part)?;
    file.write_all(&encoded.bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, place)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_laid_whole_and_once_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("A1.hl7");
        let sent = |bytes: &[u8]| Encoded {
            bytes: bytes.to_vec(),
            content_type: hl7v2::CONTENT_TYPE,
            message: "A1".into(),
            workflow: "",
        };
        std::fs::write(place.with_extension("part"), "half of one that a crash cut short").unwrap();
        assert_eq!(lay(&place, &sent(b"MSH|")), Laid::Whole);
        assert_eq!(lay(&place, &sent(b"another")), Laid::Whole);
        assert_eq!(std::fs::read(&place).unwrap(), b"MSH|", "the first stays");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(lay(&folder.path().join("absent/A1.hl7"), &sent(b"MSH|")), Laid::Not);
    }
}
