//! Whoever tampers with the audit log is seen: every part of it is changed on purpose, and
//! `audit verify` says so and names the first bad entry.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use fingerpost::audit::verify::{Options, Report, verify_path, verify_store};
use fingerpost::audit::{Action, Agent, Entry, Kind, Signer, Verifier, disclosure, export, prove, tiles};
use fingerpost::store::Store;
use fingerpost::store::commit::Commit;
use rusqlite::{Connection, params};
use uuid::Uuid;

const ORIGIN: &str = "fingerpost.example/audit";

fn entry(number: u64) -> Entry {
    let at = jiff::Timestamp::from_second(1_800_000_000 + i64::try_from(number).unwrap()).unwrap();
    let word = if number.is_multiple_of(3) { "read" } else { "search-type" };
    let client = format!("client-{}", number % 7);
    let agent = Agent { address: "192.0.2.7".into(), ..Agent::of(&client, "RY0", "consumer") };
    Entry {
        id: Uuid::from_u128(u128::from(number) + 1),
        request: Uuid::from_u128(u128::from(number) + 900).to_string(),
        entities: vec![format!("Task/t{number}/_history/1")],
        patients: vec![format!("Patient/p{}", number % 5)],
        ..Entry::care(Kind::Rest, word, Action::R, agent, at)
    }
}

struct Log {
    folder: tempfile::TempDir,
    signer: Signer,
}

impl Log {
    /// A store whose log holds `count` entries; closed, so that it is one file.
    async fn new(count: u64) -> Self {
        let log = Self { folder: tempfile::tempdir().unwrap(), signer: Signer::generate(ORIGIN).unwrap() };
        Store::migrate(&log.config()).await.unwrap();
        let store = log.open().await;
        let mut next = 0;
        while next < count {
            let batch = (next..count.min(next + 7)).map(entry).collect::<Vec<_>>();
            next += batch.len() as u64;
            store.commit(Commit { audit: batch, ..Commit::default() }).await.unwrap();
        }
        store.close().await;
        drop(store);
        let sql = log.sql();
        sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        log
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("log.db")
    }

    fn config(&self) -> fingerpost::config::Store {
        let mut config = fingerpost::config::Config::development(self.folder.path()).store;
        config.url = format!("sqlite:{}", self.path().display());
        config
    }

    async fn open(&self) -> Store {
        Store::open(&self.config(), self.signer.clone()).await.unwrap()
    }

    fn sql(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn verifier(&self) -> Verifier {
        Verifier::from_vkey(&self.signer.public_key_text()).unwrap()
    }

    async fn verify(&self) -> Report {
        verify_path(&self.path(), Options::new(&self.verifier())).await
    }

    /// Tampers, verifies, and expects it to be seen; undoes it by copying the file back.
    async fn tamper(&self, what: &str, how: impl FnOnce(&Connection)) -> Report {
        let good = std::fs::read(self.path()).unwrap();
        {
            let sql = self.sql();
            how(&sql);
            sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        }
        let report = self.verify().await;
        assert!(!report.passed, "{what} was not seen");
        for rest in ["log.db-wal", "log.db-shm"] {
            std::fs::remove_file(self.folder.path().join(rest)).ok();
        }
        std::fs::write(self.path(), good).unwrap();
        report
    }
}

fn flip(bytes: &mut [u8], random: &mut fastrand::Rng) {
    let at = random.usize(..bytes.len());
    bytes[at] ^= 1 << random.u8(..8);
}

#[tokio::test]
async fn an_untouched_log_passes_from_a_store_a_copy_and_an_export() {
    let log = Log::new(2345).await;
    let report = log.verify().await;
    assert!(report.passed, "{report}");
    assert_eq!((report.entries, report.checkpoints), (2345, 3));
    let store = log.open().await;
    let report = verify_store(&store, Options::new(&log.verifier())).await;
    assert!(report.passed, "{report}");
    let out = log.folder.path().join("export");
    assert_eq!(export::export(&store, &out).await.unwrap(), 2345);
    let report = verify_path(&out, Options::new(&log.verifier())).await;
    assert!(report.passed, "{report}");
    assert_eq!(report.entries, 2345);
    assert!(export::export(&store, &out).await.is_err(), "an export is not written over another");
    // What is served is what is exported.
    for path in ["checkpoint", "tile/0/000", "tile/0/009.p/41", "tile/1/000.p/9", "tile/entries/009.p/41"] {
        let served = tiles::tile(&store, path).await.unwrap();
        assert_eq!(served, Some(std::fs::read(out.join(path)).unwrap()), "{path}");
    }
    for path in ["tile/0/010", "tile/1/000", "tile/0/009", "tile/../log.db", "nonsense"] {
        assert_eq!(tiles::tile(&store, path).await.unwrap(), None, "{path}");
    }
}

#[tokio::test]
async fn an_empty_log_passes() {
    let report = Log::new(0).await.verify().await;
    assert!(report.passed, "{report}");
}

#[tokio::test]
async fn a_log_that_grows_while_it_is_read_passes() {
    let log = Log::new(700).await;
    let store = log.open().await;
    let writer = store.clone();
    let growing = tokio::spawn(async move {
        for number in 700..1100 {
            writer.commit(Commit { audit: vec![entry(number)], ..Commit::default() }).await.unwrap();
        }
    });
    while !growing.is_finished() {
        let report = verify_store(&store, Options::new(&log.verifier())).await;
        assert!(report.passed, "{report}");
    }
    growing.await.unwrap();
}

#[tokio::test]
async fn a_flipped_byte_in_any_column_is_seen_and_its_entry_named() {
    let log = Log::new(1050).await;
    let mut random = fastrand::Rng::with_seed(7);
    for column in ["leaf", "hash", "id", "at", "agent", "action", "outcome", "interaction"] {
        for _ in 0..4 {
            let seq = random.i64(0..1050);
            let report = log
                .tamper(column, |sql| {
                    let read = format!("SELECT CAST({column} AS BLOB) FROM entry WHERE seq = ?1");
                    let mut bytes: Vec<u8> = sql.query_row(&read, [seq], |row| row.get(0)).unwrap();
                    flip(&mut bytes, &mut random);
                    let kind = match column {
                        "at" => "INTEGER",
                        "leaf" | "hash" | "id" => "BLOB",
                        _ => "TEXT",
                    };
                    let write = format!("UPDATE entry SET {column} = CAST(?1 AS {kind}) WHERE seq = ?2");
                    if kind == "INTEGER" {
                        sql.execute("UPDATE entry SET at = at + 1 WHERE seq = ?1", [seq]).unwrap();
                    } else {
                        sql.execute(&write, params![bytes, seq]).unwrap();
                    }
                })
                .await;
            let bad = report.first_bad.expect("the entry is named");
            assert_eq!((bad.position, bad.to), (seq.unsigned_abs(), None), "{column}");
        }
    }
    let report = log
        .tamper("a reference", |sql| {
            sql.execute("UPDATE entry_reference SET reference = 'Patient/px' WHERE seq = 40 AND role = 1", []).unwrap();
        })
        .await;
    assert_eq!(report.first_bad.unwrap().position, 40);
}

#[tokio::test]
async fn an_entry_dropped_swapped_inserted_or_rewritten_is_seen() {
    let log = Log::new(2100).await;
    let report = log.tamper("a dropped entry", |sql| drop(sql.execute("DELETE FROM entry WHERE seq = 500", []))).await;
    assert_eq!(report.first_bad.unwrap().position, 500);
    let close = "UPDATE entry SET seq = -seq WHERE seq > 500; UPDATE entry SET seq = -seq - 1 WHERE seq < 0;";
    let report = log
        .tamper("a drop with the gap closed", |sql| {
            sql.execute("DELETE FROM entry WHERE seq = 500", []).unwrap();
            sql.execute_batch(close).unwrap();
            let refs = close.replace("UPDATE entry SET", "UPDATE entry_reference SET");
            sql.execute("DELETE FROM entry_reference WHERE seq = 500", []).unwrap();
            sql.execute_batch(&refs).unwrap();
        })
        .await;
    let bad = report.first_bad.unwrap();
    assert!(bad.position <= 500 && bad.to.is_some_and(|to| to >= 500), "{bad:?}");
    let swap = "UPDATE entry SET seq = -1 WHERE seq = 10; UPDATE entry SET seq = 10 WHERE seq = 11;
                UPDATE entry SET seq = 11 WHERE seq = -1;";
    let report = log.tamper("two swapped", |sql| sql.execute_batch(swap).unwrap()).await;
    assert!(report.first_bad.unwrap().position <= 10);
    log.tamper("one inserted at the end", |sql| {
        sql.execute("INSERT INTO entry SELECT 2100, leaf, hash, id, at, agent, action, outcome, interaction FROM entry WHERE seq = 3", []).unwrap();
    })
    .await;
    let report = log
        .tamper("an entry rewritten with its hash", |sql| {
            let mut other = entry(1500);
            other.agent.client = "somebody-else".into();
            let (leaf, hash) = (other.leaf(), fingerpost::audit::tree::entry_hash(&other.leaf()));
            sql.execute(
                "UPDATE entry SET leaf = ?1, hash = ?2, agent = 'somebody-else' WHERE seq = 1500",
                params![leaf, hash.as_slice()],
            )
            .unwrap();
        })
        .await;
    let bad = report.first_bad.unwrap();
    assert_eq!((bad.position, bad.to), (1000, Some(1999)), "checkpoints narrow it");
}

#[tokio::test]
async fn a_cut_tail_is_seen_with_and_without_its_checkpoint() {
    let log = Log::new(2100).await;
    let report = log.tamper("a cut tail", |sql| drop(sql.execute("DELETE FROM entry WHERE seq >= 2090", []))).await;
    assert_eq!(report.first_bad.unwrap().position, 2090);
    log.tamper("a tail cut with its checkpoint", |sql| {
        sql.execute("DELETE FROM entry WHERE seq >= 2000", []).unwrap();
        sql.execute("DELETE FROM checkpoint WHERE size > 2000", []).unwrap();
    })
    .await;
    // Everything cut and the tree set back: nothing in the store shows it, a saved checkpoint does.
    let saved = tiles::tile(&log.open().await, "checkpoint").await.unwrap().unwrap();
    let saved = String::from_utf8(saved).unwrap();
    let mut edge = fingerpost::audit::tree::Frontier::new();
    (0..2000).for_each(|number| edge.push(fingerpost::audit::tree::entry_hash(&entry(number).leaf())));
    log.sql().execute("DELETE FROM entry WHERE seq >= 2000", []).unwrap();
    log.sql().execute("DELETE FROM entry_reference WHERE seq >= 2000", []).unwrap();
    log.sql().execute("DELETE FROM checkpoint WHERE size > 2000", []).unwrap();
    log.sql().execute("UPDATE tree SET size = 2000, frontier = ?1", [edge.to_bytes()]).unwrap();
    let verifier = log.verifier();
    let report = verify_path(&log.path(), Options { saved: Some(&saved), ..Options::new(&verifier) }).await;
    assert!(!report.passed);
    assert_eq!(report.first_bad.unwrap().position, 2000);
}

#[tokio::test]
async fn a_changed_checkpoint_tree_or_key_is_seen() {
    let log = Log::new(1200).await;
    let mut random = fastrand::Rng::with_seed(11);
    for size in [1000, 1200] {
        for _ in 0..10 {
            log.tamper("a checkpoint's text", |sql| {
                let mut note: Vec<u8> = sql
                    .query_row("SELECT CAST(note AS BLOB) FROM checkpoint WHERE size = ?1", [size], |row| row.get(0))
                    .unwrap();
                flip(&mut note, &mut random);
                sql.execute("UPDATE checkpoint SET note = CAST(?1 AS TEXT) WHERE size = ?2", params![note, size])
                    .unwrap();
            })
            .await;
        }
        log.tamper("a checkpoint removed", |sql| drop(sql.execute("DELETE FROM checkpoint WHERE size = ?1", [size])))
            .await;
    }
    log.tamper("the frontier", |sql| {
        let mut edge: Vec<u8> = sql.query_row("SELECT frontier FROM tree", [], |row| row.get(0)).unwrap();
        flip(&mut edge, &mut random);
        sql.execute("UPDATE tree SET frontier = ?1", [edge]).unwrap();
    })
    .await;
    log.tamper("the tree's size", |sql| drop(sql.execute("UPDATE tree SET size = 1201", []))).await;
    let other = Signer::generate(ORIGIN).unwrap();
    log.tamper("signed again by another key", |sql| {
        let mut edge = fingerpost::audit::tree::Frontier::new();
        for number in 0..1200 {
            edge.push(fingerpost::audit::tree::entry_hash(&entry(number).leaf()));
            if [1000, 1200].contains(&edge.size()) {
                let note = other.checkpoint(edge.size(), edge.root());
                let size = i64::try_from(edge.size()).unwrap();
                sql.execute("UPDATE checkpoint SET note = ?1 WHERE size = ?2", params![note, size]).unwrap();
            }
        }
    })
    .await;
}

/// Everything that the log's tables hold.
fn dump(path: &Path) -> Option<Vec<String>> {
    let sql = Connection::open(path).ok()?;
    let mut all = Vec::new();
    for (table, columns) in [
        (
            "entry",
            "hex(seq)||hex(leaf)||hex(hash)||hex(id)||hex(at)||hex(agent)||hex(action)||hex(outcome)||hex(interaction)",
        ),
        ("entry_reference", "hex(role)||hex(reference)||hex(seq)"),
        ("tree", "hex(size)||hex(frontier)"),
        ("checkpoint", "hex(size)||hex(note)"),
    ] {
        let mut read = sql.prepare(&format!("SELECT {columns} FROM {table} NOT INDEXED")).ok()?;
        let rows = read.query_map([], |row| row.get::<_, String>(0)).ok()?;
        for row in rows {
            all.push(format!("{table} {}", row.ok()?));
        }
    }
    Some(all)
}

#[tokio::test]
async fn a_damaged_file_is_a_finding_and_never_a_panic() {
    let log = Log::new(300).await;
    let good = std::fs::read(log.path()).unwrap();
    let before = dump(&log.path()).unwrap();
    let mut random = fastrand::Rng::with_seed(23);
    let (mut changed, mut seen) = (0, 0);
    for round in 0..150 {
        let mut bytes = good.clone();
        flip(&mut bytes, &mut random);
        if round % 10 == 0 {
            bytes.truncate(random.usize(..good.len()));
        }
        let copy = log.folder.path().join(format!("copy-{round}.sqlite"));
        std::fs::write(&copy, &bytes).unwrap();
        let report = verify_path(&copy, Options::new(&log.verifier())).await;
        if dump(&copy).as_ref() != Some(&before) {
            changed += 1;
            seen += u32::from(!report.passed);
            assert!(!report.passed, "round {round}");
        }
        std::fs::remove_file(copy).unwrap();
    }
    assert!(changed > 20 && changed == seen, "{changed} {seen}");
}

#[tokio::test]
async fn a_flipped_byte_in_any_exported_file_is_seen() {
    let log = Log::new(1300).await;
    let out = log.folder.path().join("export");
    export::export(&log.open().await, &out).await.unwrap();
    let mut files = Vec::new();
    let mut folders = vec![out.clone()];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 12);
    let mut random = fastrand::Rng::with_seed(5);
    for file in &files {
        for _ in 0..3 {
            let good = std::fs::read(file).unwrap();
            let mut bad = good.clone();
            flip(&mut bad, &mut random);
            std::fs::write(file, bad).unwrap();
            let report = verify_path(&out, Options::new(&log.verifier())).await;
            assert!(!report.passed, "{}", file.display());
            std::fs::write(file, good).unwrap();
        }
        let good = std::fs::read(file).unwrap();
        std::fs::remove_file(file).unwrap();
        assert!(!verify_path(&out, Options::new(&log.verifier())).await.passed, "{} removed", file.display());
        std::fs::write(file, good).unwrap();
    }
    std::fs::write(out.join("tile/extra"), "x").unwrap();
    assert!(!verify_path(&out, Options::new(&log.verifier())).await.passed, "a file too many");
    assert!(!verify_path(&log.folder.path().join("nowhere"), Options::new(&log.verifier())).await.passed);
}

#[tokio::test]
async fn an_entrys_proof_holds_offline_and_a_changed_one_does_not() {
    let log = Log::new(1025).await;
    let store = log.open().await;
    for number in [0, 511, 1024] {
        let proof = prove::prove(&store, &entry(number).id.to_string()).await.unwrap().unwrap();
        let proved = prove::check_proof(&proof, &log.verifier()).unwrap();
        assert_eq!((proved.position, proved.size), (number, 1025));
        assert_eq!(proved.entry.into_bytes(), entry(number).leaf());
        let other = proof.replace(&format!("index {number}"), &format!("index {}", (number + 1) % 1025));
        assert!(prove::check_proof(&other, &log.verifier()).is_err());
        assert!(prove::check_proof(&proof, &Signer::generate(ORIGIN).unwrap().verifier()).is_err());
        let mut random = fastrand::Rng::with_seed(number);
        for _ in 0..50 {
            let mut bytes = proof.clone().into_bytes();
            flip(&mut bytes, &mut random);
            let changed = String::from_utf8(bytes).map(|text| prove::check_proof(&text, &log.verifier()));
            assert!(!matches!(changed, Ok(Ok(_))));
        }
    }
    assert_eq!(prove::prove(&store, &Uuid::nil().to_string()).await.unwrap(), None);
    assert_eq!(prove::prove(&store, "nonsense").await.unwrap(), None);
}

#[tokio::test]
async fn who_saw_one_person_is_told_in_words_and_the_asking_is_logged() {
    let log = Log::new(20).await;
    let store = log.open().await;
    let number = fingerpost::fhir::ids::NhsNumber::parse("9990000018").unwrap();
    let body = serde_json::json!({"resourceType": "Patient", "id": "p3", "identifier": [
        {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number.as_str()}]});
    let write = fingerpost::store::commit::ResourceWrite {
        kind: "Patient".into(),
        id: "p3".into(),
        version: 1,
        at: entry(0).at,
        deleted: false,
        index: fingerpost::fhir::index::index(&body),
        body: body.to_string().into(),
        lineage: String::new(),
    };
    store.commit(Commit { writes: vec![write], audit: vec![entry(23)], ..Commit::default() }).await.unwrap();
    let operator = Agent { client: "operator".into(), ..entry(0).agent };
    let list = disclosure::disclosure(&store, &number, operator.clone(), entry(30).at).await.unwrap();
    assert_eq!(list.lines.len(), 5, "4 of 20 entries, and the one above");
    let words = list.to_string();
    assert!(words.contains("client-3 (RY0, consumer) read Task, for direct care"), "{words}");
    assert!(!words.contains(number.as_str()));
    let again = disclosure::disclosure(&store, &number, operator.clone(), entry(31).at).await.unwrap();
    assert_eq!(again.lines[0].what, "listed who had seen the data");
    let stranger = fingerpost::fhir::ids::NhsNumber::parse("9990000026").unwrap();
    let none = disclosure::disclosure(&store, &stranger, operator, entry(32).at).await.unwrap();
    assert_eq!(none.to_string(), "The gateway holds no record of this person.");
    assert!(verify_store(&store, Options::new(&log.verifier())).await.passed);
}

/// A reader that shares no code with the gateway: Python's hashlib and, where it is installed,
/// the `cryptography` package.
const READER: &str = r#"
import base64, hashlib, pathlib, sys
root, name, key = pathlib.Path(sys.argv[1]), *sys.argv[2].split("+", 2)[::2]
def h(*parts): return hashlib.sha256(b"".join(parts)).digest()
def mth(leaves):
    if not leaves: return h()
    if len(leaves) == 1: return leaves[0]
    k = 1
    while k * 2 < len(leaves): k *= 2
    return h(b"\1", mth(leaves[:k]), mth(leaves[k:]))
note = (root / "checkpoint").read_text()
body, signatures = note.split("\n\n")
origin, size, signed_root = body.split("\n")
assert origin == name
size = int(size)
leaves, digests = [], []
for n in range((size + 255) // 256):
    w = min(256, size - n * 256)
    tail = "%03d" % n + (".p/%d" % w if w < 256 else "")
    tile = (root / "tile/0" / tail).read_bytes()
    leaves += [tile[i:i + 32] for i in range(0, len(tile), 32)]
    bundle = (root / "tile/entries" / tail).read_bytes()
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        digests.append(bundle[2:2 + length]); bundle = bundle[2 + length:]
assert len(leaves) == size == len(digests)
assert all(h(b"\0", d) == l for d, l in zip(digests, leaves))
entries = (root / "entries.ndjson").read_bytes().split(b"\n")[:-1]
assert [h(e) for e in entries] == digests
assert base64.b64encode(mth(leaves)).decode() == signed_root
key = base64.b64decode(key)
assert key[0] == 1
dash, who, signature = signatures.strip().split(" ")
signature = base64.b64decode(signature)
assert signature[:4] == h(name.encode(), b"\n", key)[:4]
try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], (body + "\n").encode())
    print("verified")
except ImportError:
    print("hashes verified; the signature needs python3-cryptography")
"#;

#[tokio::test]
async fn an_independent_reader_agrees() {
    let log = Log::new(777).await;
    let out = log.folder.path().join("export");
    export::export(&log.open().await, &out).await.unwrap();
    let run = std::process::Command::new("python3")
        .args(["-c", READER, out.to_str().unwrap(), &log.signer.public_key_text()])
        .output();
    let Ok(run) = run else {
        assert_ne!(std::env::var("FINGERPOST_TEST_PEERS").as_deref(), Ok("required"), "python3 is not installed");
        return println!("skipped: python3 is not installed");
    };
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    print!("{said}");
}
