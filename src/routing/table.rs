//! Hash tables whose keys are a place's own codes and ids, which no sender chooses: hashed by
//! FNV-1a, which is quicker for such short keys than the standard hash that withstands an attacker.
//! <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by a place's codes or ids.
pub type Table<K, V> = HashMap<K, V, BuildHasherDefault<Fnv>>;

/// FNV-1a of 64 bits.
#[derive(Debug, Clone, Copy)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
