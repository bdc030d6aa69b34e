//! Folder route: a file for the supplier's interface, named by its message's id. Written beside
//! its place, brought to disk and renamed, so that the other side sees it whole or not at all.
//! Not here: MLLP or HTTP to the supplier; their specifications come with the pairing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::entry::{Encoded, Submission, Unencodable};
use super::practice::Came;
use super::route::Form;
use super::{file_record, hl7v2};

/// One try. `true`: something may have left the house.
pub async fn attempt(folder: &Path, form: Form, submission: &Submission) -> (Came, bool) {
    let (encoded, ending) = match form {
        Form::FileRecord => (file_record::encode(submission, file_record::Pairing::Configured), "xml"),
        Form::Result => (hl7v2::result(submission), "hl7"),
        Form::Letter => (hl7v2::letter(submission), "hl7"),
    };
    let encoded = match encoded {
        Ok(encoded) => encoded,
        Err(Unencodable(why)) => return (Came::Refused(why), false),
    };
    let message = encoded.message.clone();
    let place = folder.join(format!("{message}.{ending}"));
    match tokio::task::spawn_blocking(move || lay(place, &encoded)).await {
        Ok(Ok(())) => (Came::Taken(vec![message]), true),
        _ => (Came::Unreached, false),
    }
}

fn lay(place: PathBuf, encoded: &Encoded) -> std::io::Result<()> {
    if place.exists() {
        return Ok(());
    }
    let beside = place.with_extension("part");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(&encoded.bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, &place)?;
    let folder = place.parent().unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
