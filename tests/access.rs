//! Deny by default: the token endpoint, access tokens, and the matrix of role, interaction, type
//! and row.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use fingerpost::access::{Access, Caller, Credentials, MintFault, TokenAnswer, TokenRequest, roles, token};
use fingerpost::clock::Clock;
use fingerpost::config::{Client, Config, Role};
use fingerpost::fhir::ids::OdsCode;
use fingerpost::gateway::Gateway;
use fingerpost::store::{EntrySearch, param};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const BASE: &str = "https://gateway.example";
const CERTIFICATE: &[u8] = b"a certificate's DER, of which only the digest counts";

struct Key {
    algorithm: Algorithm,
    signing: EncodingKey,
    jwk: Value,
}

fn es384(kid: &str) -> Key {
    use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let jwk = json!({"kty": "EC", "crv": "P-384", "kid": kid, "use": "sig", "key_ops": ["verify"],
        "x": URL_SAFE_NO_PAD.encode(&point[1..49]), "y": URL_SAFE_NO_PAD.encode(&point[49..])});
    let signing = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
    Key { algorithm: Algorithm::ES384, signing, jwk }
}

fn rsa(kid: &str, algorithm: Algorithm) -> Key {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let jwk = json!({"kty": "RSA", "kid": kid, "use": "sig",
        "n": URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero()),
        "e": URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero())});
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(der.as_ref())
    );
    Key { algorithm, signing: EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(), jwk }
}

struct World {
    folder: tempfile::TempDir,
    gateway: Gateway,
    ec: Key,
    rsa: Key,
}

fn client(id: &str, role: Role, ods: &str, jwks: &str) -> Client {
    Client {
        id: id.into(),
        name: id.into(),
        ods: OdsCode::parse(ods).unwrap(),
        role,
        pools: Vec::new(),
        scopes: Vec::new(),
        jwks_file: jwks.into(),
        certificate_sha256: String::new(),
        source: String::new(),
    }
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ec, rsa) = (es384("ec-1"), rsa("rsa-1", Algorithm::RS384));
        let jwks = folder.path().join("client.jwks.json");
        std::fs::write(&jwks, json!({"keys": [ec.jwk, rsa.jwk]}).to_string()).unwrap();
        let jwks = jwks.to_str().unwrap();
        let mut config = Config::development(folder.path());
        let mut bound = client("bound", Role::Consumer, "RY0", jwks);
        bound.certificate_sha256 = hex(CERTIFICATE);
        let mut narrow = client("narrow", Role::Consumer, "RY0", jwks);
        narrow.scopes = vec!["system/Task.rs".into(), "system/Patient.cruds".into()];
        config.access.clients = vec![client("wellness", Role::Consumer, "RY0", jwks), bound, narrow];
        let clock = Clock::fixed("2026-11-24T10:00:00Z".parse().unwrap());
        let gateway = Gateway::open_or_create(config, clock).await.unwrap();
        Self { folder, gateway, ec, rsa }
    }

    fn now(&self) -> i64 {
        self.gateway.clock.now().as_second()
    }

    fn claims(&self, id: &str) -> Value {
        json!({"iss": id, "sub": id, "aud": format!("{BASE}/oauth2/token"), "exp": self.now() + 240,
            "jti": uuid::Uuid::new_v4().to_string()})
    }

    async fn ask(&self, form: &str, certificate: Option<&[u8]>) -> Result<TokenAnswer, &'static str> {
        let asked =
            TokenRequest { form: form.as_bytes(), base_url: BASE, certificate, address: "192.0.2.1", request: "r-1" };
        token(&self.gateway, asked).await.map_err(|refusal| refusal.error)
    }

    async fn sign_in(&self, id: &str) -> TokenAnswer {
        self.ask(&form(&sign(&self.ec, "ec-1", &self.claims(id)), "system/*.rs"), None).await.unwrap()
    }

    fn show(&self, token: &str, certificate: Option<&[u8]>) -> Result<Caller, &'static str> {
        let header = format!("Bearer {token}");
        let shown = Credentials { authorization: Some(&header), certificate, address: "192.0.2.1", practitioner: None };
        let found = self.gateway.access.authenticate(shown, self.gateway.clock.now());
        found.map_err(|rejection| {
            assert_eq!(rejection.status(), 401);
            rejection.issues[0].kind.code()
        })
    }

    /// Sign-ins in the log: `(successes, refusals)`.
    async fn logged(&self) -> (usize, usize) {
        let find = EntrySearch { interaction: Some("token".into()), count: 1000, ..EntrySearch::default() };
        let entries = self.gateway.store.find_entries(find).await.unwrap();
        let entries: Vec<Value> = entries.iter().map(|(_, leaf)| serde_json::from_slice(leaf).unwrap()).collect();
        let good = entries.iter().filter(|entry| entry["outcome"] == "0").count();
        (good, entries.len() - good)
    }
}

fn hex(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(key: &Key, kid: &str, claims: &Value) -> String {
    let mut header = Header::new(key.algorithm);
    header.kid = Some(kid.into());
    jsonwebtoken::encode(&header, claims, &key.signing).unwrap()
}

fn form(assertion: &str, scope: &str) -> String {
    let scope = scope.replace(' ', "+").replace('/', "%2F").replace('*', "%2a");
    format!(
        "grant_type=client_credentials&scope={scope}&client_assertion_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    )
}

#[tokio::test]
async fn a_client_signs_in_with_either_kind_of_key_and_is_logged() {
    let world = World::new().await;
    let rs512 = Key { algorithm: Algorithm::RS512, signing: world.rsa.signing.clone(), jwk: Value::Null };
    for (key, kid) in [(&world.ec, "ec-1"), (&world.rsa, "rsa-1"), (&rs512, "rsa-1")] {
        let assertion = sign(key, kid, &world.claims("wellness"));
        let answer = world.ask(&form(&assertion, "system/Task.rs system/Patient.r"), None).await.unwrap();
        assert_eq!((answer.token_type, answer.expires_in), ("bearer", 300));
        assert_eq!(answer.scope, "system/Patient.r system/Task.rs");
        let caller = world.show(&answer.access_token, None).unwrap();
        assert_eq!((caller.client.as_str(), caller.role, caller.ods.as_str()), ("wellness", Role::Consumer, "RY0"));
        caller.may("read", "Task").unwrap();
        assert!(caller.may("search-type", "Patient").is_err(), "the token does not cover it");
        assert!(caller.may("update", "Task").is_err(), "the role does not allow it");
    }
    assert_eq!(world.logged().await, (3, 0));
    let document = fingerpost::access::smart_configuration(BASE);
    assert_eq!(document["token_endpoint"], "https://gateway.example/oauth2/token");
    let keys = world.gateway.access.jwks();
    assert_eq!((&keys["keys"][0]["alg"], keys["keys"][0].get("d")), (&json!("ES384"), None));
}

#[tokio::test]
async fn an_assertion_that_is_not_right_is_refused_and_logged() {
    let world = World::new().await;
    let (other_ec, other_rsa) = (es384("ec-1"), rsa("rsa-1", Algorithm::RS384));
    let with = |change: fn(&mut Value)| {
        let mut claims = world.claims("wellness");
        change(&mut claims);
        sign(&world.ec, "ec-1", &claims)
    };
    let now = world.now();
    let at = |exp: i64| {
        let mut claims = world.claims("wellness");
        claims["exp"] = json!(exp);
        sign(&world.ec, "ec-1", &claims)
    };
    let bare = |header: &str| {
        let claims = world.claims("wellness").to_string();
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    };
    // The public key's text as an HMAC secret: what a careless verifier would take.
    let public = world.ec.jwk["x"].as_str().unwrap().to_owned();
    let hmac = Key { algorithm: Algorithm::HS256, signing: EncodingKey::from_secret(public.as_bytes()), jwk: json!(0) };
    let assertions = [
        ("another EC key", sign(&other_ec, "ec-1", &world.claims("wellness"))),
        ("another RSA key", sign(&other_rsa, "rsa-1", &world.claims("wellness"))),
        ("an unknown key id", sign(&world.ec, "ec-9", &world.claims("wellness"))),
        ("an unknown client", sign(&world.ec, "ec-1", &world.claims("stranger"))),
        ("iss is not sub", with(|claims| claims["iss"] = json!("bound"))),
        ("another audience", with(|claims| claims["aud"] = json!("https://elsewhere.example/oauth2/token"))),
        ("no jti", with(|claims| drop(claims.as_object_mut().unwrap().remove("jti")))),
        ("an empty jti", with(|claims| claims["jti"] = json!(""))),
        ("a long jti", with(|claims| claims["jti"] = json!("x".repeat(300)))),
        ("expired", at(now - 60)),
        ("too far ahead", at(now + 3600)),
        ("alg none", bare(r#"{"alg":"none","kid":"ec-1"}"#)),
        ("an empty signature", bare(r#"{"alg":"ES384","kid":"ec-1"}"#)),
        ("HS256", sign(&hmac, "ec-1", &world.claims("wellness"))),
        ("not a JWT", "nonsense".into()),
        ("nothing", String::new()),
    ];
    for (what, assertion) in &assertions {
        let answer = world.ask(&form(assertion, "system/*.rs"), None).await;
        assert_eq!(answer.err(), Some("invalid_client"), "{what}");
    }
    assert_eq!(world.logged().await, (0, assertions.len()));
    let good = || sign(&world.ec, "ec-1", &world.claims("wellness"));
    for (scope, what) in [("", "no scope"), ("system/Task.cud", "beyond the role"), ("user/Task.r", "a user's scope")] {
        assert_eq!(world.ask(&form(&good(), scope), None).await.err(), Some("invalid_scope"), "{what}");
    }
    let twice = format!("{}&scope=x", form(&good(), "system/*.rs"));
    assert_eq!(world.ask(&twice, None).await.err(), Some("invalid_request"));
    for bad in ["%", "a=%zz", "a=%ff", "plain", ""] {
        assert_eq!(world.ask(bad, None).await.err(), Some("invalid_request"), "{bad}");
    }
    let password = form(&good(), "x").replace("client_credentials", "password");
    assert_eq!(world.ask(&password, None).await.err(), Some("unsupported_grant_type"));
    assert_eq!(world.logged().await.0, 0);
}

#[tokio::test]
async fn an_assertion_is_good_once_on_every_gateway_of_the_store() {
    let world = World::new().await;
    let assertion = form(&sign(&world.ec, "ec-1", &world.claims("wellness")), "system/*.rs");
    world.ask(&assertion, None).await.unwrap();
    assert_eq!(world.ask(&assertion, None).await.err(), Some("invalid_client"));
    let config = (*world.gateway.config).clone();
    let second = Gateway::open_at(config, world.gateway.clock.clone()).await.unwrap();
    let asked = TokenRequest {
        form: assertion.as_bytes(),
        base_url: BASE,
        certificate: None,
        address: "192.0.2.2",
        request: "",
    };
    assert_eq!(token(&second, asked).await.err().map(|refusal| refusal.error), Some("invalid_client"));
    assert_eq!(world.logged().await, (1, 2));
    // A token of one gateway is good at the other: they share the key.
    let answer = world.sign_in("wellness").await;
    let header = format!("Bearer {}", answer.access_token);
    let shown = Credentials { authorization: Some(&header), ..Credentials::default() };
    assert!(second.access.authenticate(shown, second.clock.now()).is_ok());
}

#[tokio::test]
async fn an_access_token_is_refused_when_expired_changed_foreign_or_its_client_is_gone() {
    let world = World::new().await;
    let answer = world.sign_in("wellness").await;
    let good = answer.access_token;
    assert!(world.show(&good, None).is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let header = |text: &str| format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(text), parts[1], parts[2]);
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    claims["scope"] = json!("system/*.cruds");
    let wider = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]);
    let foreign = sign(&es384("x"), "x", &claims);
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#), parts[1]);
    for bad in [&wider, &foreign, &unsigned, &header(r#"{"alg":"HS256","typ":"at+jwt"}"#), &"x".repeat(9000), "a.b.c"] {
        assert_eq!(world.show(bad, None).err(), Some("unknown"), "{bad:.40}");
    }
    let assertion = sign(&world.ec, "ec-1", &world.claims("wellness"));
    assert_eq!(world.show(&assertion, None).err(), Some("unknown"), "an assertion is no access token");
    let none = world.gateway.access.authenticate(Credentials::default(), world.gateway.clock.now());
    assert_eq!(none.err().map(|r| r.issues[0].kind.code()), Some("login"));
    let basic = Credentials { authorization: Some("Basic YTpi"), ..Credentials::default() };
    assert!(world.gateway.access.authenticate(basic, world.gateway.clock.now()).is_err());
    // The client is taken out of the configuration: its token ends with that.
    let mut config = (*world.gateway.config).clone();
    config.access.clients.retain(|client| client.id != "wellness");
    let without = Access::load(&config).unwrap();
    let header = format!("Bearer {good}");
    let shown = Credentials { authorization: Some(&header), ..Credentials::default() };
    assert!(without.authenticate(shown, world.gateway.clock.now()).is_err());
    assert!(Access::default().authenticate(shown, world.gateway.clock.now()).is_err(), "knows nobody");
    world.gateway.clock.advance(jiff::SignedDuration::from_secs(301));
    assert_eq!(world.show(&good, None).err(), Some("expired"));
}

#[tokio::test]
async fn a_certificate_binds_the_client_and_its_token() {
    let world = World::new().await;
    let ask = |id: &str| form(&sign(&world.ec, "ec-1", &world.claims(id)), "system/*.rs");
    assert_eq!(world.ask(&ask("bound"), None).await.err(), Some("invalid_client"));
    assert_eq!(world.ask(&ask("bound"), Some(b"another")).await.err(), Some("invalid_client"));
    let bound = world.ask(&ask("bound"), Some(CERTIFICATE)).await.unwrap().access_token;
    assert!(world.show(&bound, Some(CERTIFICATE)).is_ok());
    assert_eq!(world.show(&bound, None).err(), Some("unknown"));
    assert_eq!(world.show(&bound, Some(b"another")).err(), Some("unknown"));
    // Not asked for by the configuration, but it came by mutual TLS: bound all the same.
    let chosen = world.ask(&ask("wellness"), Some(b"another")).await.unwrap().access_token;
    assert!(world.show(&chosen, Some(b"another")).is_ok());
    assert_eq!(world.show(&chosen, None).err(), Some("unknown"));
}

#[tokio::test]
async fn a_client_is_never_granted_more_than_its_configuration_and_role() {
    let world = World::new().await;
    let answer = world.sign_in("narrow").await;
    assert_eq!(answer.scope, "system/Patient.rs system/Task.rs");
    let caller = world.show(&answer.access_token, None).unwrap();
    assert!(caller.may("read", "Observation").is_err());
    let practitioner = base64::engine::general_purpose::STANDARD.encode(
        json!({"resourceType": "Practitioner", "name": [{"family": "Nobody"}],
            "identifier": [{"system": "https://fhir.nhs.uk/Id/sds-user-id", "value": "555021935107"}]})
        .to_string(),
    );
    let header = format!("Bearer {}", answer.access_token);
    let mut shown = Credentials { authorization: Some(&header), ..Credentials::default() };
    for (given, user) in [(practitioner.as_str(), "555021935107"), ("not base64", ""), ("", "")] {
        shown.practitioner = Some(given);
        assert_eq!(world.gateway.access.authenticate(shown, world.gateway.clock.now()).unwrap().user, user);
    }
}

#[tokio::test]
async fn tokens_for_trying_are_minted_only_in_development() {
    let world = World::new().await;
    let now = world.gateway.clock.now();
    let access = &world.gateway.access;
    let known = access.mint("wellness", None, now).unwrap();
    assert_eq!(world.show(&known.access_token, None).unwrap().role, Role::Consumer);
    let as_pool = Some((Role::Pool, OdsCode::parse("A1B2C").unwrap(), vec!["pool-north".to_owned()]));
    let trying = access.mint("somebody", as_pool.clone(), now).unwrap();
    let caller = world.show(&trying.access_token, None).unwrap();
    assert_eq!((caller.role, caller.pools), (Role::Pool, vec!["pool-north".to_owned()]));
    assert_eq!(access.mint("somebody", None, now).err(), Some(MintFault::Unknown("somebody".into())));
    let mut config = (*world.gateway.config).clone();
    config.gateway.mode = fingerpost::config::Mode::Production;
    let production = Access::load(&config).unwrap();
    assert_eq!(production.mint("wellness", None, now).err(), Some(MintFault::Production));
    // A token for trying, signed with the same key, is nothing to a production gateway.
    let header = format!("Bearer {}", trying.access_token);
    let shown = Credentials { authorization: Some(&header), ..Credentials::default() };
    assert!(production.authenticate(shown, now).is_err());
}

#[tokio::test]
async fn unusable_keys_are_faults_with_their_file() {
    let world = World::new().await;
    let file = world.folder.path().join("client.jwks.json");
    let mut config = (*world.gateway.config).clone();
    let no_kid = json!({"keys": [{"kty": "EC", "crv": "P-384", "x": "a", "y": "b"}]});
    let p256 = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": "a", "y": "b"}]});
    let small = json!({"keys": [{"kty": "RSA", "kid": "k", "n": URL_SAFE_NO_PAD.encode([1; 128]), "e": "AQAB"}]});
    let shared = json!({"keys": [{"kty": "oct", "kid": "k", "k": "c2VjcmV0"}]});
    for bad in [no_kid, p256, small, shared, json!({"keys": []}), json!("x")] {
        std::fs::write(&file, bad.to_string()).unwrap();
        let faults = Access::load(&config).expect_err("a fault");
        assert_eq!(faults.len(), 3, "one for each client: {bad}");
        assert!(faults[0].file.ends_with("client.jwks.json"));
    }
    config.access.clients.clear();
    config.access.key_file = world.folder.path().join("client.jwks.json").display().to_string();
    assert!(Access::load(&config).is_err(), "its own key is not a key");
}

fn caller(role: Role, ods: &str, pools: &[&str]) -> Caller {
    Caller {
        client: "c".into(),
        ods: OdsCode::parse(ods).unwrap(),
        role,
        pools: pools.iter().map(ToString::to_string).collect(),
        scopes: roles::scopes(role).iter().map(ToString::to_string).collect(),
        user: String::new(),
        address: String::new(),
    }
}

const ROLES: [Role; 5] = [Role::Referrer, Role::Consumer, Role::Pool, Role::Ig, Role::Ops];

/// The whole matrix, written out: what is not here is refused.
#[test]
fn the_matrix_of_role_interaction_and_type() {
    // (type, interaction letter) -> who may, as initials of the roles in their order.
    let story_read = "RCPI";
    let expected = |kind: &str, interaction: &str| match (kind, interaction) {
        ("AuditEvent", "read" | "vread" | "history-instance" | "search-type") => "I",
        // A pool's are referrals onward and signposts only; `outcome` sees to it.
        ("ServiceRequest", "create" | "update") => "RP",
        (
            "Task" | "Observation" | "QuestionnaireResponse" | "Encounter" | "CarePlan" | "Goal" | "Communication",
            "create" | "update",
        ) => "P",
        (
            "ServiceRequest"
            | "Task"
            | "Patient"
            | "Observation"
            | "QuestionnaireResponse"
            | "Encounter"
            | "EpisodeOfCare"
            | "CarePlan"
            | "Goal"
            | "Communication"
            | "Flag"
            | "Consent"
            | "Provenance",
            "read" | "vread" | "history-instance" | "search-type",
        ) => story_read,
        _ => "",
    };
    let initials = ["R", "C", "P", "I", "O"];
    let kinds = [
        "ServiceRequest",
        "Task",
        "Patient",
        "Observation",
        "QuestionnaireResponse",
        "Encounter",
        "EpisodeOfCare",
        "CarePlan",
        "Goal",
        "Communication",
        "Flag",
        "Consent",
        "Provenance",
        "AuditEvent",
        "Medication",
        "Subscription",
        "*",
        "",
    ];
    let interactions =
        ["read", "vread", "history-instance", "search-type", "create", "update", "patch-all", "delete", "export"];
    for (role, initial) in ROLES.into_iter().zip(initials) {
        let caller = caller(role, "N84001", &["pool-north"]);
        for kind in kinds {
            for interaction in interactions {
                let may = caller.may(interaction, kind);
                assert_eq!(may.is_ok(), expected(kind, interaction).contains(initial), "{role:?} {interaction} {kind}");
                assert!(may.is_ok() || may.unwrap_err().status() == 403);
            }
        }
    }
}

#[test]
fn operations_are_for_their_roles_only() {
    let expected = [
        ("process-message", "R"),
        ("intake", "RO"),
        ("metrics", "O"),
        ("replay", "O"),
        ("held", "IO"),
        ("ledger", "IO"),
        ("transaction", "RP"),
        ("validate", "RCPIO"),
        ("anything-else", ""),
    ];
    for (role, initial) in ROLES.into_iter().zip(["R", "C", "P", "I", "O"]) {
        for (operation, who) in expected {
            let may = caller(role, "N84001", &[]).may(operation, "");
            assert_eq!(may.is_ok(), who.contains(initial), "{role:?} {operation}");
        }
    }
    let mut narrow = caller(Role::Referrer, "N84001", &[]);
    narrow.scopes = vec!["system/ServiceRequest.rs".into()];
    assert!(narrow.may("process-message", "").is_err(), "the token does not cover creating");
}

#[test]
fn rows_are_seen_by_those_they_concern() {
    let ours = [(param::PRACTICE, "N84001".to_owned()), (param::POOL, "pool-north".to_owned())];
    let theirs = [(param::PRACTICE, "N84002".to_owned()), (param::POOL, "pool-south".to_owned())];
    // A pool that happens to be called like a practice is not that practice.
    let confused = [(param::POOL, "N84001".to_owned())];
    let rows: [&[(u8, String)]; 4] = [&ours, &theirs, &confused, &[]];
    let expected = [
        (Role::Referrer, [true, false, false, false]),
        (Role::Pool, [true, false, false, false]),
        (Role::Consumer, [true; 4]),
        (Role::Ig, [true; 4]),
        (Role::Ops, [false; 4]),
    ];
    for (role, sees) in expected {
        let caller = caller(role, "N84001", &["pool-north"]);
        assert_eq!(rows.map(|rows| caller.may_see(rows)), sees, "{role:?}");
        assert_eq!(caller.visible().is_none(), matches!(role, Role::Consumer | Role::Ig));
    }
    assert!(!caller(Role::Pool, "N84001", &[]).may_see(&ours), "a pool client without pools sees nothing");
    let _shared: Arc<Access> = Arc::new(Access::default());
}
