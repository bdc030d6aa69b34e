//! Webhook signatures: HMAC-SHA256 over `id.timestamp.body`.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
//!
//! Symmetric signatures (`v1`) only; one secret a receiver, so a rotation is a new receiver.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine};

/// Bytes that a secret must have.
pub const SECRET_BYTES_MIN: usize = 16;

/// A receiver's secret.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    /// Reads `whsec_` and base64, or the raw text of a secret.
    ///
    /// # Errors
    /// In words, when it is too short or not base64; the secret is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bytes = match text.strip_prefix("whsec_") {
            Some(coded) => BASE64_STANDARD.decode(coded).map_err(|_| "what follows whsec_ is not base64".to_owned())?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(format!("the secret is shorter than {SECRET_BYTES_MIN} bytes"));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The `webhook-signature` of one message.
    pub fn sign(&self, id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp_seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn signs_as_the_specification_does() {
        // The known answer of the Standard Webhooks reference libraries.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn refuses_a_weak_or_damaged_secret() {
        assert!(Secret::parse("whsec_%%%").is_err());
        assert!(Secret::parse("short").is_err());
        assert!(Secret::parse("").is_err());
        assert!(Secret::parse("a raw secret of some length\n").is_ok());
    }
}
