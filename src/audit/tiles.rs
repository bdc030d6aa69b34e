//! The log as C2SP tiles: what anyone may fetch to follow the log without trusting the gateway.
//! <https://c2sp.org/tlog-tiles>
//!
//! An entry of the log is the SHA-256 of the entry's JSON (see [`super::tree::entry_hash`]), so
//! entry bundles hold digests and can be public: they show that nothing was changed or removed,
//! and nothing about anyone. [`Tiler`] is pure; [`tile`] reads a store.

use super::tree::{Frontier, Hash};
use crate::store::{Store, StoreError};

/// Hashes in a whole tile.
pub const WIDTH: u64 = 256;
/// Levels that are served: 256^5 leaves is more than any log here will hold.
const LEVELS: u32 = 5;
/// Rows read from the store at once.
const PAGE: usize = 4096;

/// A tile that is whole, or the last of its level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// The level; 0 holds leaf hashes.
    pub level: u32,
    /// Its place in the level.
    pub index: u64,
    /// Its hashes, one after another.
    pub hashes: Vec<Hash>,
}

impl Tile {
    /// `tile/0/x001/234/067`, with `.p/W` when it is partial.
    pub fn path(&self) -> String {
        path(&self.level.to_string(), self.index, self.hashes.len() as u64)
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.hashes.concat()
    }
}

/// The path of a tile or entry bundle.
pub fn path(level: &str, index: u64, width: u64) -> String {
    let mut name = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        name = format!("x{:03}/{name}", rest % 1000);
        rest /= 1000;
    }
    let partial = if width < WIDTH { format!(".p/{width}") } else { String::new() };
    format!("tile/{level}/{name}{partial}")
}

/// Cuts a log into tiles as its leaves come by, in the space of one tile a level.
#[derive(Debug, Default)]
pub struct Tiler {
    /// For each level: whole tiles made, and the hashes since.
    levels: Vec<(u64, Vec<Hash>)>,
}

impl Tiler {
    /// Takes the next leaf hash; gives the tiles that it makes whole.
    pub fn push(&mut self, leaf: Hash) -> Vec<Tile> {
        let (mut whole, mut hash) = (Vec::new(), leaf);
        for level in 0.. {
            if self.levels.len() == level as usize {
                self.levels.push((0, Vec::new()));
            }
            let (made, hashes) = &mut self.levels[level as usize];
            hashes.push(hash);
            if (hashes.len() as u64) < WIDTH {
                break;
            }
            let tile = Tile { level, index: *made, hashes: std::mem::take(hashes) };
            *made += 1;
            hash = super::tree::root(&tile.hashes);
            whole.push(tile);
        }
        whole
    }

    /// The partial tiles at the end.
    pub fn partial(self) -> Vec<Tile> {
        let tiles = self.levels.into_iter().zip(0..).map(|((index, hashes), level)| Tile { level, index, hashes });
        tiles.filter(|tile| !tile.hashes.is_empty()).collect()
    }
}

/// An entry bundle of these entries (each its digest), as bytes: length and digest, for each.
pub fn bundle(digests: &[Hash]) -> Vec<u8> {
    digests.iter().flat_map(|digest| [&[0, 32], &digest[..]].concat()).collect()
}

/// What a path below `tile/` asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// `None`: an entry bundle.
    level: Option<u32>,
    index: u64,
    width: u64,
}

impl Asked {
    fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (index, width) = rest.split_once(".p/").unwrap_or((rest, "256"));
        let number: String = index.split('/').map(|part| part.trim_start_matches('x')).collect();
        let asked = Self {
            level: if level == "entries" { None } else { Some(level.parse().ok()?) },
            index: number.parse().ok()?,
            width: width.parse().ok()?,
        };
        // Only the one spelling that the format has.
        let level = asked.level.map_or_else(|| "entries".to_owned(), |level| level.to_string());
        let spelt = self::path(&level, asked.index, asked.width) == path;
        (spelt && asked.level.is_none_or(|level| level < LEVELS) && asked.width > 0).then_some(asked)
    }
}

/// What `/audit/checkpoint` and `/audit/tile/...` answer: `path` is what follows `/audit/`.
/// `None` when there is no such tile (yet).
///
/// # Errors
/// When the store cannot be read.
pub async fn tile(store: &Store, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let Some((size, note)) = store.checkpoints().await?.pop() else { return Ok(None) };
    if path == "checkpoint" {
        return Ok(Some(note.into_bytes()));
    }
    let Some(asked) = Asked::parse(path) else { return Ok(None) };
    let span = WIDTH.pow(asked.level.unwrap_or(0));
    let from = asked.index.checked_mul(WIDTH * span);
    let Some(from) = from.filter(|from| from.checked_add(asked.width * span).is_some_and(|to| to <= size)) else {
        return Ok(None);
    };
    if asked.level.is_none() {
        let count = usize::try_from(asked.width).unwrap_or(0);
        let entries = store.entries(from, count).await?;
        let digests: Vec<Hash> = entries.iter().map(|(_, entry)| super::tree::digest(entry)).collect();
        return Ok((digests.len() == count).then(|| bundle(&digests)));
    }
    let mut bytes = Vec::new();
    for at in 0..asked.width {
        bytes.extend_from_slice(&range_root(store, from + at * span..from + (at + 1) * span).await?);
    }
    Ok(Some(bytes))
}

/// The root over a run of stored leaf hashes, read in pages.
pub(super) async fn range_root(store: &Store, range: std::ops::Range<u64>) -> Result<Hash, StoreError> {
    let mut frontier = Frontier::new();
    let mut at = range.start;
    while at < range.end {
        let count = PAGE.min(usize::try_from(range.end - at).unwrap_or(PAGE));
        let hashes = store.leaf_hashes(at, count).await?;
        if hashes.len() != count {
            return Err(StoreError::Engine(format!("the audit log ends before position {}", range.end)));
        }
        at += count as u64;
        hashes.into_iter().for_each(|hash| frontier.push(hash));
    }
    Ok(frontier.root())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::tree::{leaf_hash, root};

    #[test]
    fn paths_are_spelt_as_the_format_has_them() {
        assert_eq!(path("0", 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path("entries", 5, 17), "tile/entries/005.p/17");
        assert_eq!(Asked::parse("tile/1/x001/000.p/3"), Some(Asked { level: Some(1), index: 1000, width: 3 }));
        for bad in ["tile/0/1", "tile/0/000.p/256", "tile/0/000.p/0", "tile/9/000", "tile/0/../x", "tile/00/000", "x"] {
            assert_eq!(Asked::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_example_of_the_format_is_cut_as_it_says() {
        let (mut tiler, mut whole) = (Tiler::default(), Vec::new());
        let leaves: Vec<Hash> = (0..70_000_u32).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        leaves.iter().for_each(|leaf| whole.extend(tiler.push(*leaf)));
        let partial = tiler.partial();
        let count = |level| whole.iter().filter(|tile| tile.level == level).count();
        assert_eq!((count(0), count(1), count(2)), (273, 1, 0));
        let widths: Vec<_> = partial.iter().map(|tile| (tile.level, tile.hashes.len())).collect();
        assert_eq!(widths, [(0, 112), (1, 17), (2, 1)]);
        assert_eq!(partial[2].hashes[0], root(&leaves[..65_536]));
    }
}
