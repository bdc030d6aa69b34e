//! The `Authorization` of one MESH request. Pure: the time, the nonce and its count are arguments.
//!
//! ```text
//! NHSMESH <mailbox>:<nonce>:<nonce count>:<yyyyMMddHHmm, UTC>:<mac>
//! mac = lower-hex HMAC-SHA256(shared key, "<mailbox>:<nonce>:<nonce count>:<password>:<yyyyMMddHHmm>")
//! ```
//!
//! A token is good once, within two hours of the server's clock: each request, and each try of a
//! request, has a nonce of its own. <https://digital.nhs.uk/developer/api-catalogue/message-exchange-for-social-care-and-health-api>

use aws_lc_rs::hmac;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

/// What signs a mailbox's requests. Neither the password nor the key is ever printed.
#[derive(Clone)]
pub struct Credentials {
    mailbox: String,
    password: String,
    key: hmac::Key,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("mailbox", &self.mailbox).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Of one mailbox. Its name is made upper case, as the server has it.
    pub fn new(mailbox: &str, password: &str, shared_key: &str) -> Self {
        Self {
            mailbox: mailbox.to_ascii_uppercase(),
            password: password.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, shared_key.as_bytes()),
        }
    }

    /// The mailbox, upper case.
    pub fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// The header's value for one try of one request.
    pub fn authorization(&self, nonce: Uuid, count: u32, now: Timestamp) -> String {
        let at = now.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M").to_string();
        let Self { mailbox, password, key } = self;
        let mac = hmac::sign(key, format!("{mailbox}:{nonce}:{count}:{password}:{at}").as_bytes());
        let mac: String = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("NHSMESH {mailbox}:{nonce}:{count}:{at}:{mac}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KNOWN: &str = "NHSMESH X26ABC1:00000000-0000-4000-8000-000000000001:0:202601021530:\
                         0fa9d5cce7f431f8c21c313736a45e734affbd5a2222b95efdfa49f1131a691f";

    fn nonce() -> Uuid {
        "00000000-0000-4000-8000-000000000001".parse().unwrap()
    }

    fn made(mailbox: &str, password: &str, count: u32, at: &str) -> String {
        Credentials::new(mailbox, password, "TestKey").authorization(nonce(), count, at.parse().unwrap())
    }

    #[test]
    fn it_is_the_known_answer() {
        assert_eq!(made("X26ABC1", "password", 0, "2026-01-02T15:30:59Z"), KNOWN);
    }

    #[test]
    fn the_mailbox_is_upper_case_in_the_token_and_in_its_mac() {
        assert_eq!(made("x26abc1", "password", 0, "2026-01-02T15:30:00Z"), KNOWN);
    }

    #[test]
    fn the_minute_is_utc_in_summer_too() {
        let made = made("X26ABC1", "password", 0, "2026-07-01T16:05:00+01:00");
        assert!(made.contains(":0:202607011505:"), "{made}");
    }

    #[test]
    fn password_nonce_count_and_minute_all_change_the_mac() {
        let mac = |token: String| token.rsplit(':').next().unwrap().to_owned();
        let at = "2026-01-02T15:30:00Z";
        let mut macs = vec![
            mac(made("X26ABC1", "password", 0, at)),
            mac(made("X26ABC1", "passwore", 0, at)),
            mac(made("X26ABC1", "password", 1, at)),
            mac(made("X26ABC1", "password", 0, "2026-01-02T15:31:00Z")),
            mac(Credentials::new("X26ABC1", "password", "TestKey").authorization(Uuid::nil(), 0, at.parse().unwrap())),
        ];
        macs.sort();
        macs.dedup();
        assert_eq!(macs.len(), 5);
    }

    #[test]
    fn neither_password_nor_key_is_printed() {
        let printed = format!("{:?}", Credentials::new("X26ABC1", "open sesame", "ThisIsTheKey"));
        assert!(printed.contains("X26ABC1") && !printed.contains("sesame") && !printed.contains("ThisIs"), "{printed}");
    }
}
