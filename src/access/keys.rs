//! Keys: the clients' public ones, from their JWKS files, and the gateway's own, with which it
//! signs access tokens. <https://www.rfc-editor.org/rfc/rfc7517>, <https://www.rfc-editor.org/rfc/rfc7518>

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Smallest RSA modulus taken, bytes (2,048 bits).
const RSA_BYTES_MIN: usize = 256;
/// Keys that one client may have.
const KEYS_MAX: usize = 16;
/// Bytes of one coordinate of a P-384 point.
const COORDINATE_BYTES: usize = 48;
/// What our access tokens are signed with.
const OWN_ALGORITHM: Algorithm = Algorithm::ES384;
/// The media type in our access tokens' headers. <https://www.rfc-editor.org/rfc/rfc9068>
const OWN_TYPE: &str = "at+jwt";

/// One public key of a client.
pub struct ClientKey {
    /// Its name in the set; assertions name it.
    pub kid: String,
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

/// Shows the key's name only.
impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl ClientKey {
    /// The claims of `token`, when its signature by this key holds. The algorithm must be one
    /// that fits the key's type, so a public key can never be taken for a shared secret.
    pub fn claims<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        open(token, self.algorithms, &self.key)
    }
}

/// Signature and form only; times and audiences are judged by the callers, who are told the time.
fn open<T: DeserializeOwned>(token: &str, algorithms: &[Algorithm], key: &DecodingKey) -> Option<T> {
    let mut checks = Validation::new(*algorithms.first()?);
    checks.algorithms = algorithms.to_vec();
    checks.required_spec_claims.clear();
    checks.validate_exp = false;
    checks.validate_nbf = false;
    checks.validate_aud = false;
    // The token is bytes from outside: decoding judges the header's algorithm against the list.
    jsonwebtoken::decode::<T>(token, key, &checks).ok().map(|token| token.claims)
}

/// Reads a client's JWKS.
///
/// # Errors
/// In words, what is wrong with the set or one of its keys.
pub fn client_keys(text: &str) -> Result<Vec<ClientKey>, String> {
    let set: JwkSet = serde_json::from_str(text).map_err(|fault| format!("it is not a JSON Web Key Set: {fault}"))?;
    if set.keys.is_empty() || set.keys.len() > KEYS_MAX {
        return Err(format!("it must hold 1 to {KEYS_MAX} keys"));
    }
    set.keys.iter().map(client_key).collect()
}

fn client_key(jwk: &Jwk) -> Result<ClientKey, String> {
    let kid = jwk.common.key_id.clone().filter(|kid| !kid.is_empty()).ok_or("a key has no \"kid\"")?;
    if jwk.common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
        return Err(format!("key \"{kid}\" is not for signatures"));
    }
    let algorithms: &'static [Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).unwrap_or_default();
            let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
            if bytes < RSA_BYTES_MIN {
                return Err(format!("key \"{kid}\": an RSA key must have 2,048 bits or more"));
            }
            &[Algorithm::RS384, Algorithm::RS512]
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        _ => return Err(format!("key \"{kid}\" must be RSA, or EC on P-384: the algorithms are RS384, RS512, ES384")),
    };
    let key = DecodingKey::from_jwk(jwk).map_err(|fault| format!("key \"{kid}\" cannot be read: {fault}"))?;
    Ok(ClientKey { kid, algorithms, key })
}

/// The gateway's own key.
pub struct OwnKey {
    kid: String,
    signing: EncodingKey,
    checking: DecodingKey,
    jwk: Value,
}

/// Shows the key's name only.
impl std::fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl OwnKey {
    /// Reads the key from `path`; where there is no file, makes one that only its owner can read.
    ///
    /// # Errors
    /// In words, why it could not be had.
    pub fn load_or_create(path: &Path) -> Result<Self, String> {
        if !path.exists() {
            let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map_err(|_| "no randomness")?;
            let der = pair.to_pkcs8v1().map_err(|_| "a new key cannot be written out")?;
            let pem = crate::audit::key::private_pem(der.as_ref());
            crate::audit::key::keep(path, &pem).map_err(|fault| format!("it cannot be made: {fault}"))?;
        }
        let pem = std::fs::read(path).map_err(|fault| format!("it cannot be read: {fault}"))?;
        Self::from_pem(&pem)
    }

    fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let unusable = || "it is not a PKCS#8 PEM with an EC P-384 key".to_owned();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| unusable())?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der.secret_pkcs8_der())
            .map_err(|_| unusable())?;
        // An uncompressed point: 04, x, y.
        let point = pair.public_key().as_ref();
        let (x, y) = point.get(1..).and_then(|xy| xy.split_at_checked(COORDINATE_BYTES)).ok_or_else(unusable)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // The key's thumbprint names it: <https://www.rfc-editor.org/rfc/rfc7638>
        let members = format!(r#"{{"crv":"P-384","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
        let checking = DecodingKey::from_ec_components(&x, &y).map_err(|_| unusable())?;
        let jwk = json!({"kty": "EC", "crv": "P-384", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES384"});
        Ok(Self { kid, signing: EncodingKey::from_ec_der(der.secret_pkcs8_der()), checking, jwk })
    }

    /// The public half, for `/.well-known/jwks.json`.
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// Signs an access token.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, String> {
        let mut header = Header::new(OWN_ALGORITHM);
        header.typ = Some(OWN_TYPE.to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing).map_err(|fault| fault.to_string())
    }

    /// The claims of an access token that this key signed.
    pub fn claims<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let ours = header.typ.as_deref() == Some(OWN_TYPE) && header.kid.as_deref() == Some(self.kid.as_str());
        if ours { open(token, &[OWN_ALGORITHM], &self.checking) } else { None }
    }
}

/// A certificate's thumbprint as RFC 8705 writes it in tokens.
pub fn thumbprint(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate))
}

/// A certificate's SHA-256 in lower-case hex, as the configuration writes it.
pub fn certificate_hex(certificate: &[u8]) -> String {
    digest(&SHA256, certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
