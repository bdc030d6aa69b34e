//! Signed checkpoints: the tree's size and root under the log's Ed25519 key.
//! <https://c2sp.org/signed-note>, <https://c2sp.org/tlog-checkpoint>
//!
//! ```text
//! fingerpost.example/audit
//! 42
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — fingerpost.example/audit Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5...
//! ```
//!
//! Signatures by other keys (witnesses) are passed over, as the format asks. Keys are files
//! in `key`; this module sees only their text.

use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

use super::tree::Hash;

/// The signature type of Ed25519 in the signed-note format.
const ED25519_TYPE: u8 = 0x01;
/// Bytes of an Ed25519 public key.
const KEY_BYTES: usize = 32;
/// Bytes of a key's hash in front of each signature.
const KEY_HASH_BYTES: usize = 4;
/// What begins a signature line: an em dash and a space.
const SIGNATURE_LINE: &str = "\u{2014} ";
/// Longest note read, bytes.
const NOTE_BYTES_MAX: usize = 64 * 1024;

/// Why a note or a key was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteFault {
    /// The key name is empty or holds white space or a plus sign.
    #[error("the log's name must not be empty and must have no white space and no '+'")]
    Name,
    /// The private or public key cannot be read.
    #[error("the key cannot be read as an Ed25519 key")]
    Key,
    /// The text has not the form of a signed checkpoint.
    #[error("it has not the form of a signed checkpoint")]
    Form,
    /// No signature by the log's key is on it.
    #[error("no signature by this key is on it")]
    Unsigned,
    /// A signature that claims to be the log's key's does not hold.
    #[error("its signature does not hold")]
    Signature,
}

/// Signs checkpoints under the log's name.
#[derive(Clone)]
pub struct Signer {
    name: Arc<str>,
    key: Arc<Ed25519KeyPair>,
}

/// Shows the name only.
impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Signer {
    /// Makes a new key for the log called `origin` (`audit.origin`).
    ///
    /// # Errors
    /// When the name is not one that a note can carry, or the system has no randomness.
    pub fn generate(origin: &str) -> Result<Self, NoteFault> {
        Self::new(origin, Ed25519KeyPair::generate().map_err(|_| NoteFault::Key)?)
    }

    /// Reads a PKCS#8 PEM, as [`Signer::to_pem`] and `openssl genpkey -algorithm ed25519` write it.
    ///
    /// # Errors
    /// When the name or the key is not usable.
    pub fn from_pem(origin: &str, pem: &str) -> Result<Self, NoteFault> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| NoteFault::Key)?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| NoteFault::Key)?;
        Self::new(origin, key)
    }

    fn new(origin: &str, key: Ed25519KeyPair) -> Result<Self, NoteFault> {
        check_name(origin)?;
        Ok(Self { name: origin.into(), key: Arc::new(key) })
    }

    /// The private key as PKCS#8 PEM. A secret.
    ///
    /// # Errors
    /// When the key cannot be written out.
    pub fn to_pem(&self) -> Result<String, NoteFault> {
        let der = self.key.to_pkcs8v1().map_err(|_| NoteFault::Key)?;
        Ok(super::key::private_pem(der.as_ref()))
    }

    /// The public key as the signed-note format spells it: `name+hash+key`. All that `audit
    /// verify` needs to be told.
    pub fn public_key_text(&self) -> String {
        self.verifier().to_string()
    }

    /// What checks this signer's checkpoints.
    pub fn verifier(&self) -> Verifier {
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(self.key.public_key().as_ref());
        Verifier { name: self.name.clone(), key }
    }

    /// The signed checkpoint of a tree.
    pub fn checkpoint(&self, size: u64, root: Hash) -> String {
        self.sign(&format!("{}\n{size}\n{}\n", self.name, STANDARD.encode(root)))
    }

    /// A signed note of other lines than a checkpoint's. `body` ends with a line end, and its first
    /// line is a title, never the log's name, so that no statement can pass for a checkpoint.
    pub fn statement(&self, body: &str) -> String {
        self.sign(body)
    }

    fn sign(&self, body: &str) -> String {
        let mut signature = self.verifier().key_hash().to_vec();
        signature.extend_from_slice(self.key.sign(body.as_bytes()).as_ref());
        format!("{body}\n{SIGNATURE_LINE}{} {}\n", self.name, STANDARD.encode(signature))
    }
}

/// Checks checkpoints with the log's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: Arc<str>,
    key: [u8; KEY_BYTES],
}

/// The key as `name+hash+key`.
impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hash = u32::from_be_bytes(self.key_hash());
        write!(f, "{}+{hash:08x}+{}", self.name, STANDARD.encode([&[ED25519_TYPE], &self.key[..]].concat()))
    }
}

impl Verifier {
    /// Reads a public key in the form `name+hash+key`.
    ///
    /// # Errors
    /// When it is not of that form, not Ed25519, or its hash is not that of its name and key.
    pub fn from_vkey(text: &str) -> Result<Self, NoteFault> {
        let text = text.trim();
        // The key's base64 may itself hold plus signs; the name may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteFault::Key);
        };
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| NoteFault::Key)?;
        let Some((&ED25519_TYPE, key)) = key.split_first() else { return Err(NoteFault::Key) };
        let verifier = Self { name: name.into(), key: key.try_into().map_err(|_| NoteFault::Key)? };
        if verifier.to_string() == text { Ok(verifier) } else { Err(NoteFault::Key) }
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.name
    }

    fn key_hash(&self) -> [u8; KEY_HASH_BYTES] {
        use aws_lc_rs::digest::{SHA256, digest};
        let named = [self.name.as_bytes(), b"\n", &[ED25519_TYPE], &self.key].concat();
        let hash = digest(&SHA256, &named);
        let mut short = [0; KEY_HASH_BYTES];
        short.copy_from_slice(&hash.as_ref()[..KEY_HASH_BYTES]);
        short
    }

    /// Checks a note's form and its signature, and gives the lines that were signed.
    ///
    /// # Errors
    /// What is wrong with it; see [`NoteFault`].
    pub fn statement<'a>(&self, note: &'a str) -> Result<&'a str, NoteFault> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteFault::Form);
        }
        let split = note.rfind("\n\n").ok_or(NoteFault::Form)?;
        let (body, signatures) = (&note[..=split], &note[split + 2..]);
        self.check_signatures(body, signatures)?;
        Ok(body)
    }

    /// Checks a checkpoint's form and its signature, and gives the tree's size and root.
    ///
    /// # Errors
    /// What is wrong with it; see [`NoteFault`].
    pub fn open(&self, note: &str) -> Result<(u64, Hash), NoteFault> {
        self.read_body(self.statement(note)?)
    }

    fn check_signatures(&self, body: &str, signatures: &str) -> Result<(), NoteFault> {
        let lines = signatures.strip_suffix('\n').ok_or(NoteFault::Form)?;
        let mut signed = false;
        for line in lines.split('\n') {
            let (name, encoded) =
                line.strip_prefix(SIGNATURE_LINE).and_then(|rest| rest.split_once(' ')).ok_or(NoteFault::Form)?;
            let bytes = STANDARD.decode(encoded).map_err(|_| NoteFault::Form)?;
            let (hash, signature) = bytes.split_at_checked(KEY_HASH_BYTES).ok_or(NoteFault::Form)?;
            if name == &*self.name && hash == self.key_hash() {
                let key = UnparsedPublicKey::new(&ED25519, self.key);
                key.verify(body.as_bytes(), signature).map_err(|_| NoteFault::Signature)?;
                signed = true;
            }
        }
        if signed { Ok(()) } else { Err(NoteFault::Unsigned) }
    }

    fn read_body(&self, body: &str) -> Result<(u64, Hash), NoteFault> {
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteFault::Form);
        };
        let number: u64 = size.parse().map_err(|_| NoteFault::Form)?;
        let root = STANDARD.decode(root).map_err(|_| NoteFault::Form)?;
        let root = Hash::try_from(root).map_err(|_| NoteFault::Form)?;
        let formed = origin == &*self.name && number.to_string() == size;
        if formed { Ok((number, root)) } else { Err(NoteFault::Form) }
    }
}

fn check_name(name: &str) -> Result<(), NoteFault> {
    let bad = name.is_empty() || name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control());
    if bad { Err(NoteFault::Name) } else { Ok(()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::audit::tree::leaf_hash;
    use proptest::prelude::*;

    const ORIGIN: &str = "fingerpost.example/audit";

    /// The example key of the Go checksum database's note package.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PETER_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn reads_a_key_and_a_signature_made_by_go() {
        let verifier = Verifier::from_vkey(PETER).unwrap();
        assert_eq!(verifier.to_string(), PETER);
        // The text is not a checkpoint, but its signature holds.
        let split = PETER_NOTE.rfind("\n\n").unwrap();
        assert_eq!(verifier.check_signatures(&PETER_NOTE[..=split], &PETER_NOTE[split + 2..]), Ok(()));
        assert_eq!(verifier.open(PETER_NOTE), Err(NoteFault::Form));
        assert_eq!(Verifier::from_vkey(&PETER.replace("c74f", "c74e")), Err(NoteFault::Key));
        assert_eq!(Verifier::from_vkey("nonsense"), Err(NoteFault::Key));
    }

    #[test]
    fn a_checkpoint_opens_with_the_public_key_alone() {
        let signer = Signer::generate(ORIGIN).unwrap();
        let verifier = Verifier::from_vkey(&signer.public_key_text()).unwrap();
        let root = leaf_hash(b"entry");
        let note = signer.checkpoint(7, root);
        assert_eq!(verifier.open(&note), Ok((7, root)));
        let again = Signer::from_pem(ORIGIN, &signer.to_pem().unwrap()).unwrap();
        assert_eq!(again.checkpoint(7, root), note);
        let witnessed = format!("{note}{SIGNATURE_LINE}witness.example AAAAAAAA\n");
        assert_eq!(verifier.open(&witnessed), Ok((7, root)));
    }

    #[test]
    fn another_key_or_name_does_not_pass() {
        let (ours, theirs) = (Signer::generate(ORIGIN).unwrap(), Signer::generate(ORIGIN).unwrap());
        let root = leaf_hash(b"entry");
        assert_eq!(ours.verifier().open(&theirs.checkpoint(1, root)), Err(NoteFault::Unsigned));
        let renamed = Signer::from_pem("other.example", &ours.to_pem().unwrap()).unwrap();
        assert_eq!(ours.verifier().open(&renamed.checkpoint(1, root)), Err(NoteFault::Unsigned));
        assert_eq!(Signer::generate("two words").err(), Some(NoteFault::Name));
        assert_eq!(Signer::from_pem(ORIGIN, "-----BEGIN PRIVATE KEY-----\nAAAA\n").err(), Some(NoteFault::Key));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_seen(at in any::<proptest::sample::Index>(), bit in 0_u8..8) {
            let signer = Signer::generate(ORIGIN).unwrap();
            let note = signer.checkpoint(1_000_003, leaf_hash(b"entry"));
            let mut bytes = note.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(signer.verifier().open(&changed).is_err());
            }
        }
    }
}
