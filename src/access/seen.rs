//! Access tokens whose signature was found good a moment ago. A P-384 signature takes longer to
//! check than a referral takes to map, and a client shows the same token a thousand times.
//!
//! Only the signature is remembered: expiry, certificate, client and scopes are judged each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};

use super::bearer::Claims;

/// Tokens remembered; past it all are forgotten and checked anew.
const TOKENS_MAX: usize = 4096;

/// Signatures found good, by the token's SHA-256.
#[derive(Debug, Default)]
pub(super) struct Seen {
    good: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

impl Seen {
    /// The claims of `token`: remembered, or as `check` finds them.
    pub fn claims(&self, token: &str, check: impl FnOnce() -> Option<Claims>) -> Option<Arc<Claims>> {
        let key: [u8; 32] = digest(&SHA256, token.as_bytes()).as_ref().try_into().ok()?;
        if let Some(claims) = self.lock().get(&key) {
            return Some(claims.clone());
        }
        let claims = Arc::new(check()?);
        let mut good = self.lock();
        if good.len() >= TOKENS_MAX {
            good.clear();
        }
        good.insert(key, claims.clone());
        Some(claims)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<Claims>>> {
        self.good.lock().unwrap_or_else(|held| held.into_inner())
    }
}
