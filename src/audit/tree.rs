//! The Merkle tree of the log: pure arithmetic over hashes, no I/O, no time.
//! <https://www.rfc-editor.org/rfc/rfc6962#section-2.1>; the checks of proofs follow
//! <https://www.rfc-editor.org/rfc/rfc9162#section-2.1>.
//!
//! Proofs come in two steps, so that a tree of any size is proved in bounded memory: the
//! `*_ranges` functions say which runs of leaves a proof needs, and the caller folds each run
//! into one hash with a [`Frontier`] while it reads them from wherever they are kept.

use std::ops::Range;

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// What a leaf's hash begins with, so that no leaf can pass for a node.
const LEAF: u8 = 0;
/// What a node's hash begins with.
const NODE: u8 = 1;

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// SHA-256 of an entry's bytes: what the log holds of it.
pub fn digest(entry: &[u8]) -> Hash {
    sha256(&[entry])
}

/// The leaf of an audit entry. The log's entry is the digest of the JSON, not the JSON, so that
/// the log can be published whole without a word about anyone.
pub fn entry_hash(entry: &[u8]) -> Hash {
    leaf_hash(&digest(entry))
}

/// The hash of a log entry's bytes.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[LEAF], entry])
}

/// The hash of two subtrees side by side.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[NODE], left, right])
}

/// The root of the tree over these leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

/// The right edge of a tree: the roots of its whole subtrees, largest (leftmost) first. All that
/// is needed to add a leaf and to tell the root, in the space of one hash a set bit of the size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    edge: Vec<Hash>,
}

impl Frontier {
    /// The empty tree's.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what [`Frontier::to_bytes`] wrote; `None` when its length cannot be that of a tree
    /// of `size` leaves.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && hashes.len() == size.count_ones() as usize;
        fits.then(|| Self { size, edge: hashes.to_vec() })
    }

    /// The hashes one after another; the size is kept beside them.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.edge.concat()
    }

    /// Adds a leaf: each whole pair of subtrees on the edge becomes one, as carries do in addition.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.edge.push(hash);
        self.size += 1;
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root; of the empty tree, the digest of nothing.
    pub fn root(&self) -> Hash {
        let mut from_right = self.edge.iter().rev();
        let Some(last) = from_right.next() else { return sha256(&[]) };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The largest power of two below `n`, where the tree of `n > 1` leaves is split.
const fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// The runs of leaves whose roots are the inclusion proof of leaf `index` in a tree of `size`,
/// in the proof's order. Empty when there is no such leaf.
pub fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if index >= size {
        return ranges;
    }
    let (mut from, mut to) = (0, size);
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            ranges.push(middle..to);
            to = middle;
        } else {
            ranges.push(from..middle);
            from = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The runs of leaves whose roots are the consistency proof between the trees of `old` and `new`
/// leaves, in the proof's order. Empty when the sizes are equal or there is nothing to prove.
pub fn consistency_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if old == 0 || old >= new {
        return ranges;
    }
    let (mut from, mut to) = (0, new);
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            ranges.push(middle..to);
            to = middle;
        } else {
            ranges.push(from..middle);
            from = middle;
        }
    }
    if from > 0 {
        ranges.push(from..to);
    }
    ranges.reverse();
    ranges
}

/// The root that an inclusion proof leads to; `None` when it has not the length it must have.
pub fn root_from_inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for step in proof {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(step, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// True when the proof shows that the tree of `new` leaves with `new_root` begins with the tree
/// of `old` leaves with `old_root`.
pub fn is_consistent(old: u64, old_root: Hash, new: u64, new_root: Hash, proof: &[Hash]) -> bool {
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && old_root == root(&[]);
    }
    if old > new {
        return false;
    }
    // An old tree that is one whole subtree of the new one needs no hash of its own.
    let whole = old.is_power_of_two().then_some(old_root);
    let mut steps = whole.iter().chain(proof);
    let Some(first) = steps.next() else { return false };
    let (mut node, mut last) = (old - 1, new - 1);
    let skip = node.trailing_ones();
    (node, last) = (node >> skip, last >> skip);
    let (mut old_hash, mut new_hash) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(step, &old_hash);
            new_hash = node_hash(step, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The leaves and roots that Certificate Transparency's own tests use.
    const KNOWN: [(&[u8], &str); 8] = [
        (b"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (b"\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (b"\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (b"\x20\x21", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        (b"\x30\x31", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (b"\x40\x41\x42\x43", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (b"\x50\x51\x52\x53\x54\x55\x56\x57", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let mut frontier = Frontier::new();
        assert_eq!(hex(&frontier.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, expected) in KNOWN {
            frontier.push(leaf_hash(leaf));
            assert_eq!(hex(&frontier.root()), expected);
        }
    }

    /// The definition in RFC 6962, section 2.1, as it is written there.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            more => {
                let (left, right) = more.split_at(split(more.len() as u64) as usize);
                node_hash(&by_definition(left), &by_definition(right))
            }
        }
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    fn fold(leaves: &[Hash], ranges: &[Range<u64>]) -> Vec<Hash> {
        ranges.iter().map(|run| root(&leaves[run.start as usize..run.end as usize])).collect()
    }

    #[test]
    fn every_inclusion_and_consistency_proof_up_to_a_size_holds() {
        let all = leaves(40);
        for size in 1..=all.len() {
            let tree = &all[..size];
            assert_eq!(root(tree), by_definition(tree));
            for old in 0..=size {
                let proof = fold(tree, &consistency_ranges(old as u64, size as u64));
                assert!(is_consistent(old as u64, root(&tree[..old]), size as u64, root(tree), &proof), "{old} {size}");
            }
            for index in 0..size {
                let proof = fold(tree, &inclusion_ranges(index as u64, size as u64));
                assert_eq!(root_from_inclusion(index as u64, size as u64, tree[index], &proof), Some(root(tree)));
            }
        }
    }

    proptest! {
        #[test]
        fn a_frontier_survives_its_bytes(size in 0_usize..600) {
            let mut frontier = Frontier::new();
            leaves(size).into_iter().for_each(|leaf| frontier.push(leaf));
            let mut again = Frontier::from_bytes(size as u64, &frontier.to_bytes()).unwrap();
            prop_assert_eq!(&again, &frontier);
            prop_assert!(Frontier::from_bytes(size as u64, &[frontier.to_bytes(), vec![0]].concat()).is_none());
            again.push(leaf_hash(b"next"));
            frontier.push(leaf_hash(b"next"));
            prop_assert_eq!(again.root(), frontier.root());
        }

        #[test]
        fn a_changed_proof_proves_nothing(size in 2_usize..200, at in any::<proptest::sample::Index>(),
                                          old in any::<proptest::sample::Index>(),
                                          step in any::<proptest::sample::Index>(), bit in 0_usize..256) {
            let tree = leaves(size);
            let index = at.index(size) as u64;
            let mut proof = fold(&tree, &inclusion_ranges(index, size as u64));
            let chosen = step.index(proof.len());
            proof[chosen][bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_from_inclusion(index, size as u64, tree[index as usize], &proof), Some(root(&tree)));
            let old = 1 + old.index(size - 1);
            let mut proof = fold(&tree, &consistency_ranges(old as u64, size as u64));
            let chosen = step.index(proof.len());
            proof[chosen][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_consistent(old as u64, root(&tree[..old]), size as u64, root(&tree), &proof));
            proof[chosen][bit / 8] ^= 1 << (bit % 8);
            proof.pop();
            prop_assert!(!is_consistent(old as u64, root(&tree[..old]), size as u64, root(&tree), &proof));
        }

        #[test]
        fn huge_sizes_do_not_overflow(index in any::<u64>(), size in any::<u64>()) {
            prop_assert!(inclusion_ranges(index, size).len() <= 64);
            prop_assert!(consistency_ranges(index, size).len() <= 65);
            prop_assert!(index < size || root_from_inclusion(index, size, [0; 32], &[]).is_none());
        }
    }
}
