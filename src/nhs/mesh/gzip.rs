//! Chunks are packed one by one, by gzip, where a message is sent packed. Unpacking has a limit: a small
//! chunk can hold a very large one. <https://www.rfc-editor.org/rfc/rfc1952>

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Why a chunk was not unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// It is not gzip, or its end is missing.
    Damaged,
    /// It holds more than it may.
    TooLarge,
}

/// Packs one chunk.
pub fn pack(chunk: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(chunk)?;
    packer.finish()
}

/// Unpacks one chunk to at most `limit` bytes.
pub fn unpack(chunk: &[u8], limit: usize) -> Result<Vec<u8>, Packed> {
    let mut out = Vec::new();
    let wanted = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(chunk).take(wanted).read_to_end(&mut out).map_err(|_| Packed::Damaged)?;
    if out.len() > limit { Err(Packed::TooLarge) } else { Ok(out) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_comes_back_whole_and_never_larger_than_it_may() {
        let text = b"ten bytes.".repeat(1000);
        let packed = pack(&text).unwrap();
        assert_eq!(unpack(&packed, text.len()), Ok(text.clone()));
        assert_eq!(unpack(&packed, text.len() - 1), Err(Packed::TooLarge));
        assert_eq!(unpack(&pack(&vec![0; 50_000_000]).unwrap(), 1000), Err(Packed::TooLarge));
    }

    #[test]
    fn a_damaged_chunk_is_told() {
        let packed = pack(b"ten bytes.").unwrap();
        assert_eq!(unpack(&packed[..packed.len() - 5], 100), Err(Packed::Damaged));
        assert_eq!(unpack(b"not gzip", 100), Err(Packed::Damaged));
    }
}
