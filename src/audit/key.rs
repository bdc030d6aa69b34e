//! The log's signing key as a file: read, or made on first use and never overwritten.

use std::io::Write;
use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::note::{NoteFault, Signer};

/// Why the signing key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The file cannot be read or made.
    #[error("{file}: {why}")]
    File {
        /// Which file.
        file: String,
        /// The system's words.
        why: std::io::Error,
    },
    /// The file's text is not a key, or the log's name is not usable.
    #[error("{file}: {why}")]
    Key {
        /// Which file.
        file: String,
        /// What is wrong.
        why: NoteFault,
    },
}

impl Signer {
    /// Reads the key of the log called `origin` from `path`; where there is no file, makes a key
    /// and keeps it there, readable by its owner only. Two processes that start together end up
    /// with the same key.
    ///
    /// # Errors
    /// When the file cannot be read or made, or does not hold an Ed25519 key.
    pub fn load_or_create(origin: &str, path: &Path) -> Result<Self, KeyFault> {
        let file = || path.display().to_string();
        let key = |why| KeyFault::Key { file: file(), why };
        if !path.exists() {
            let signer = Self::generate(origin).map_err(key)?;
            let pem = signer.to_pem().map_err(key)?;
            keep(path, &pem).map_err(|why| KeyFault::File { file: file(), why })?;
        }
        let pem = std::fs::read_to_string(path).map_err(|why| KeyFault::File { file: file(), why })?;
        Self::from_pem(origin, &pem).map_err(key)
    }
}

/// A PKCS#8 private key as PEM. <https://www.rfc-editor.org/rfc/rfc7468>
pub(crate) fn private_pem(der: &[u8]) -> String {
    const LINE: usize = 64;
    let encoded = STANDARD.encode(der);
    let lines: Vec<&str> =
        (0..encoded.len()).step_by(LINE).filter_map(|at| encoded.get(at..encoded.len().min(at + LINE))).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Writes a secret to a file of its own and links it into place whole: another process sees
/// either no key or all of it, and the first one placed stays.
pub(crate) fn keep(path: &Path, secret: &str) -> std::io::Result<()> {
    let draft = path.with_extension(format!("{}.draft", uuid::Uuid::new_v4().simple()));
    let written = write_secret(&draft, secret).and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(fault) if fault.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        placed => placed,
    });
    std::fs::remove_file(&draft).ok(); // the draft may never have been made; the link is what counts
    written
}

fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit-key.pem");
        let made: Vec<String> = std::thread::scope(|threads| {
            let starts: Vec<_> = (0..4)
                .map(|_| threads.spawn(|| Signer::load_or_create("a.example", &path).unwrap().public_key_text()))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(made.iter().all(|key| *key == made[0]));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(Signer::load_or_create("a.example", &path), Err(KeyFault::Key { .. })));
    }
}
