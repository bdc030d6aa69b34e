//! The gateway refuses to start rather than guess: every fault of the configuration, the place,
//! the mappings and the code tables is listed with its file and line, all at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "support/program.rs"]
mod program;

use program::fingerpost;

/// A copy of the shipped place and mappings that a test can spoil.
fn copy(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy_tree(&root.join("config"), &folder.join("config"));
    copy_tree(&root.join("mappings"), &folder.join("mappings"));
    let file = folder.join("gateway.toml");
    let text = "[gateway]\nmode = \"development\"\nconfig_dir = \"config\"\nmappings_dir = \"mappings\"\n";
    fs::write(&file, text).unwrap();
    file
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy_tree(&entry.path(), &target) } else { drop(fs::copy(entry.path(), target)) }
    }
}

/// Replaces text in a file; gives the line, from 1, on which it stood.
fn plant(file: &Path, from: &str, to: &str) -> usize {
    let text = fs::read_to_string(file).unwrap();
    let at = text.find(from).unwrap_or_else(|| panic!("{from:?} is not in {}", file.display()));
    fs::write(file, text.replacen(from, to, 1)).unwrap();
    1 + text[..at].matches('\n').count()
}

fn append(file: &Path, more: &str) -> usize {
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, format!("{text}{more}")).unwrap();
    1 + text.matches('\n').count()
}

#[test]
fn ten_planted_faults_are_all_listed_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = copy(folder.path());
    let at = |path: &str| folder.path().join(path);
    let base = append(
        &file,
        "[intake.emis]\nwait_day = 3\nmass_delete_share = 10\n\
         [[delivery.receivers]]\nname = \"wellness\"\nurl = \"htp://wellness\"\nsecret_file = \"absent\"\nevents = [\"task\"]\n\
         [[access.clients]]\nid = \"a\"\nname = \"A\"\nods = \"N84001\"\nrole = \"pool\"\npools = [\"nowhere\"]\n",
    );
    let practices = at("config/sefton/practices.csv");
    let overlap = append(&practices, "N84001,42 Kingsway,U97058,2020-01-01,,invented,\n");
    let workers = at("config/sefton/workers.csv");
    let negative = plant(&workers, "bereavement,1.0", "bereavement,-1.0");
    let rules = at("mappings/emis-extract/referral.yaml");
    let element = plant(&rules, "to: priority", "to: prioritty");
    let column = plant(&rules, "from: obs.AssociatedText", "from: obs.AssociatedTextt");
    let table = at("mappings/codes/social-prescribing-referral.csv");
    let code = plant(&table, "871731000000106", "871731000000107");

    let ran = fingerpost(folder.path(), &["check", "--config", file.to_str().unwrap()], &[]).expect(2);
    let wanted = [
        (file.clone(), base + 1, "intake.emis.wait_day"),
        (file.clone(), base + 2, "intake.emis.mass_delete_share"),
        (file.clone(), base + 5, "delivery.receivers[0].url"),
        (file.clone(), base + 6, "delivery.receivers[0].secret_file"),
        (file.clone(), base + 13, "access.clients[0].pools"),
        (practices, overlap, "N84001 overlaps"),
        (workers, negative, "negative"),
        (rules.clone(), element, "prioritty"),
        (rules, column, "AssociatedTextt"),
        (table, code, ""),
    ];
    for (file, line, text) in wanted {
        let start = format!("{}:{line}: ", file.display());
        assert!(
            ran.out.lines().any(|row| row.starts_with(&start) && row.contains(text)),
            "{start}...{text}... is not among\n{}",
            ran.out
        );
    }
    assert!(!ran.out.contains("config/gateway.toml:"), "nothing else is at fault:\n{}", ran.out);
}

#[test]
fn the_shipped_configuration_has_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    fingerpost(folder.path(), &["check"], &[]).expect(0);
    let file = copy(folder.path());
    let ran = fingerpost(folder.path(), &["check", "--json", "--config", file.to_str().unwrap()], &[]).expect(0);
    assert_eq!(ran.json(), serde_json::json!({"ok": true, "faults": []}));
}

#[test]
fn production_does_not_serve_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(
        &file,
        "[gateway]\nmode = \"production\"\n[delivery]\nallow_loopback = true\n[[delivery.receivers]]\nname = \"w\"\n\
         url = \"http://127.0.0.1:9/hook\"\nsecret_file = \"s\"\nevents = [\"referral\"]\n\
         [[delivery.receivers]]\nname = \"w\"\nurl = \"http://w.example/hook\"\nsecret_file = \"s\"\nevents = []\n\
         [[writeback.practices]]\nods = \"N84001\"\nroutes = [\"pigeon\"]\nbase_url = \"http://p.example/fhir\"\n\
         [serve]\ntls_key_file = \"k\"\nclient_ca_file = \"c\"\n",
    )
    .unwrap();
    fs::write(folder.path().join("s"), "short").unwrap();
    let ran = fingerpost(folder.path(), &["check", "--config", "gateway.toml"], &[]).expect(2);
    for text in [
        "gateway.toml:4: delivery.allow_loopback: only development",
        "gateway.toml:7: delivery.receivers[0].url: is on this machine",
        "gateway.toml:8: delivery.receivers[0].secret_file: the secret is shorter than 24 bytes",
        "gateway.toml:11: delivery.receivers[1].name: 'w' is there already (line 6)",
        "gateway.toml:12: delivery.receivers[1].url: production mode sends over https:// only",
        "gateway.toml:14: delivery.receivers[1].events: asks for nothing",
        "gateway.toml:17: writeback.practices[0].routes: 'pigeon' is not one of fhir, update-record, send-document, file-record, hl7v2, hl7v2-document",
        "gateway.toml:18: writeback.practices[0].base_url: production mode sends over https:// only",
        "gateway.toml:20: serve.tls_key_file: k: ",
        "gateway.toml:21: serve.client_ca_file: mutual TLS needs serve.tls_cert_file",
        "serve.tls_cert_file: a certificate and its key are named together",
        "serve.tls_cert_file: production mode serves TLS only",
    ] {
        assert!(ran.out.contains(text), "{text}\nis not among\n{}", ran.out);
    }
}

#[test]
fn a_route_by_folder_needs_a_pairing_and_a_document_stands_after_its_result() {
    let folder = tempfile::tempdir().unwrap();
    let practice = |text: &str| {
        let text = format!("[gateway]\nmode = \"development\"\n[[writeback.practices]]\nods = \"N84001\"\n{text}");
        fs::write(folder.path().join("gateway.toml"), text).unwrap();
        fingerpost(folder.path(), &["check", "--config", "gateway.toml"], &[])
    };
    for route in ["file-record", "hl7v2", "hl7v2-document"] {
        let ran = practice(&format!("routes = [\"{route}\"]\n")).expect(2);
        let text = format!("gateway.toml:5: writeback.practices[0].routes: '{route}' without pairing_file: ");
        assert!(ran.out.contains(&text), "{}", ran.out);
        let ran = practice(&format!("routes = [\"{route}\"]\npairing_file = \"gateway.toml\"\n")).expect(2);
        assert!(ran.out.contains(&format!("'{route}' without folder: ")), "{}", ran.out);
    }
    let paired = "pairing_file = \"gateway.toml\"\nfolder = \".\"\n";
    practice(&format!("routes = [\"hl7v2\", \"hl7v2-document\"]\n{paired}")).expect(0);
    let ran = practice(&format!("routes = [\"hl7v2-document\", \"hl7v2\"]\n{paired}")).expect(2);
    assert!(ran.out.contains("'hl7v2' after 'hl7v2-document'"), "{}", ran.out);
}

#[test]
fn files_that_are_not_configuration_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bad: [(&str, &[u8]); 5] = [
        ("empty-section.toml", b"[gateway\n"),
        ("binary.toml", b"\xff\xfe\x00\x01"),
        ("nul.toml", b"a = \"\x00\"\n"),
        ("twice.toml", b"[store]\nreaders = 1\n[store]\nreaders = 2\n"),
        ("deep.toml", b"a.b.c.d = 1\n"),
    ];
    for (name, bytes) in bad {
        fs::write(folder.path().join(name), bytes).unwrap();
        let ran = fingerpost(folder.path(), &["check", "--config", name], &[]).expect(2);
        assert!(ran.out.lines().any(|line| line.starts_with(&format!("{name}:"))), "{name}: {}", ran.out);
    }
    let huge = "x = [".to_owned() + &"[".repeat(100_000);
    fs::write(folder.path().join("huge.toml"), huge).unwrap();
    fingerpost(folder.path(), &["check", "--config", "huge.toml"], &[]).expect(2);
    let ran = fingerpost(folder.path(), &["check", "--config", "absent.toml"], &[]).expect(2);
    assert!(ran.out.contains("absent.toml:1: cannot be read"));
    fs::write(folder.path().join("empty.toml"), "").unwrap();
    fingerpost(folder.path(), &["check", "--config", "empty.toml"], &[("FINGERPOST__GATEWAY__MODE", "development")])
        .expect(0);
}

#[test]
fn a_secret_is_never_repeated() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("url"), "postgres//user:hunter2@host/db").unwrap();
    let env = [("FINGERPOST__STORE__URL", "postgres//user:hunter2@host/db"), ("FINGERPOST__STORE__URL_FILE", "url")];
    let ran = fingerpost(folder.path(), &["check"], &env).expect(2);
    assert!(ran.out.contains("FINGERPOST__STORE__URL:"), "{}", ran.out);
    assert!(ran.out.contains("FINGERPOST__STORE__URL_FILE:"), "{}", ran.out);
    assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"));
}

#[test]
fn a_place_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["atlantis", "../sefton", ""] {
        let ran = fingerpost(folder.path(), &["check"], &[("FINGERPOST__GATEWAY__PLACE", name)]).expect(2);
        assert!(ran.out.contains("gateway.place"), "{}", ran.out);
    }
}

#[test]
fn mesh_is_configured_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = copy(folder.path());
    append(&file, "[mesh]\nurl = \"https://mesh.example\"\nkey_file = \"absent.key\"\npoll_seconds = 60\n");
    plant(&file, "development", "production");
    let run = fingerpost(folder.path(), &["check", "--config", "gateway.toml"], &[]);
    let text = format!("{}{}", run.out, run.err);
    for fault in [
        "mesh.mailbox: must name the gateway's mailbox",
        "mesh.password_file: must be named",
        "mesh.shared_key_file: must be named",
        "mesh.certificate_file: a certificate and its key are named together",
        "mesh.certificate_file: must be named: MESH asks for a client certificate",
        "mesh.poll_seconds: MESH allows one look into the inbox in 300 seconds",
        "mesh.key_file: ",
    ] {
        assert!(text.contains(fault), "{fault} in {text}");
    }
}

#[test]
fn a_trusted_proxy_is_an_address_or_a_block() {
    let folder = tempfile::tempdir().unwrap();
    let file = copy(folder.path());
    append(
        &file,
        "[serve]\ntrusted_proxies = [\n\"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.7\"]\nproxy_header = \"forwarded\"\n",
    );
    let good = fingerpost(folder.path(), &["check", "--config", "gateway.toml"], &[]);
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    for (key, wrong, why) in [
        (
            "\"2001:db8::/32\"",
            "\"10.0.0.0/33\"",
            "serve.trusted_proxies: '10.0.0.0/33': the prefix must be a number from 0 to 32",
        ),
        (
            "\"10.0.0.0/33\"",
            "\"proxy.example\"",
            "serve.trusted_proxies: 'proxy.example' is not an IP address or a block",
        ),
        ("\"proxy.example\"", "\"10.1.2.3/8\"", "serve.trusted_proxies: '10.1.2.3/8' has bits set past its prefix"),
        ("\"10.1.2.3/8\"", "8", "serve.trusted_proxies: must be a list of texts, not a whole number"),
    ] {
        plant(&file, key, wrong);
        let line =
            1 + fs::read_to_string(&file).unwrap().split("trusted_proxies").next().unwrap().matches('\n').count();
        let bad = fingerpost(folder.path(), &["check", "--config", "gateway.toml"], &[]);
        let told = format!("{}{}", bad.out, bad.err);
        assert_eq!(bad.code, 2, "{told}");
        assert!(told.contains(&format!("gateway.toml:{line}: {why}")), "{told}");
    }
    let env =
        [("FINGERPOST__SERVE__TRUSTED_PROXIES", "10.0.0.0/8,nonsense"), ("FINGERPOST__SERVE__PROXY_HEADER", "via")];
    let bad = fingerpost(folder.path(), &["check"], &env);
    let told = format!("{}{}", bad.out, bad.err);
    for why in [
        "SERVE__TRUSTED_PROXIES: serve.trusted_proxies: 'nonsense' is not",
        "SERVE__PROXY_HEADER: serve.proxy_header: 'via' is not one of",
    ] {
        assert!(told.contains(why), "{told}");
    }
}
