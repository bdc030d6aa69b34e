//! What the value of a key looks like: its type, its range, its grammar.
//!
//! A fault says what was wanted. It repeats the value only where that cannot be a secret.

use url::Url;

use super::network::Network;
use crate::fhir::ids::OdsCode;

/// The most tables that one list may have, by environment variable.
pub const LIST_MAX: usize = 1000;

/// The shape of a value.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Any text.
    Text,
    /// Text that is not empty.
    Name,
    /// A list of texts.
    Texts,
    /// One text or a list of texts, each not empty and at least one.
    Words,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of these words, each named with or without what follows a full stop.
    WordsOf(&'static [&'static str]),
    /// An ODS code.
    Ods,
    /// A list of ODS codes.
    OdsList,
    /// A whole number from the first to the second.
    Whole(i64, i64),
    /// A number from the first to the second.
    Number(f64, f64),
    /// `true` or `false`.
    Flag,
    /// A file or folder; empty: none. Relative to the file that names it.
    Path,
    /// A file that must be named.
    PathNamed,
    /// `http://` or `https://`, or empty.
    Url,
    /// `http://` or `https://`.
    UrlNamed,
    /// `HOST:PORT` with the host an IP address or name, or empty.
    Address,
    /// A list of `HOST:PORT`.
    Addresses,
    /// A list of IP addresses and CIDR blocks.
    Networks,
    /// `sqlite:PATH` or `postgres://...`.
    StoreUrl,
    /// 64 hex digits, or empty.
    Digest,
    /// A date, `2026-01-31`.
    Date,
}

impl Shape {
    /// Says what is wrong with a value.
    ///
    /// # Errors
    /// What is wrong and what was wanted.
    pub fn check(self, value: &toml::Value) -> Result<(), String> {
        match self {
            Self::Whole(least, most) => whole(value, least, most),
            Self::Number(least, most) => number(value, least, most),
            Self::Flag => value.as_bool().map(|_| ()).ok_or_else(|| wanted("true or false", value)),
            Self::Texts => texts(value).map(|_| ()),
            Self::Words => words(value),
            Self::OdsList => texts(value)?.into_iter().try_for_each(ods),
            Self::WordsOf(words) => texts(value)?.into_iter().try_for_each(|text| {
                let first = text.split('.').next().unwrap_or(text);
                one_of(first, words).map_err(|_| format!("'{text}' is not one of {}", words.join(", ")))
            }),
            Self::Addresses => texts(value)?.into_iter().try_for_each(address),
            Self::Networks => texts(value)?.into_iter().try_for_each(|text| Network::parse(text).map(|_| ())),
            _ => self.check_text(value.as_str().ok_or_else(|| wanted("a text in quotes", value))?),
        }
    }

    fn check_text(self, text: &str) -> Result<(), String> {
        match self {
            Self::Name if text.trim().is_empty() => Err("must not be empty".into()),
            Self::OneOf(words) => one_of(text, words),
            Self::Ods => ods(text),
            Self::PathNamed if text.is_empty() => Err("names no file".into()),
            Self::Url if text.is_empty() => Ok(()),
            Self::Url | Self::UrlNamed => http_url(text),
            Self::Address if text.is_empty() => Ok(()),
            Self::Address => address(text),
            Self::StoreUrl => store_url(text),
            Self::Digest => digest(text),
            Self::Date => text
                .parse::<jiff::civil::Date>()
                .map(|_| ())
                .map_err(|_| format!("'{text}' is not a date such as 2026-01-31")),
            _ => Ok(()),
        }
    }

    /// A value of this shape for where a faulty one was left out.
    pub fn stand_in(self) -> toml::Value {
        match self {
            Self::Texts | Self::Words | Self::OdsList | Self::WordsOf(_) | Self::Addresses | Self::Networks => {
                toml::Value::Array(Vec::new())
            }
            Self::OneOf(words) => toml::Value::String(words.first().copied().unwrap_or("").to_owned()),
            Self::Whole(least, _) => toml::Value::Integer(least),
            Self::Number(least, _) => toml::Value::Float(least),
            Self::Flag => toml::Value::Boolean(false),
            // Long enough to pass for an ODS code too: one fault must not bring a second.
            _ => toml::Value::String("NONE".to_owned()),
        }
    }

    /// Reads what an environment variable says as a value of this shape; lists are comma-separated.
    pub fn from_text(self, text: &str) -> toml::Value {
        let as_text = || toml::Value::String(text.to_owned());
        match self {
            Self::Whole(..) => text.trim().parse().map_or_else(|_| as_text(), toml::Value::Integer),
            Self::Number(..) => text.trim().parse().map_or_else(|_| as_text(), toml::Value::Float),
            Self::Flag => text.trim().parse().map_or_else(|_| as_text(), toml::Value::Boolean),
            Self::Texts | Self::Words | Self::OdsList | Self::WordsOf(_) | Self::Addresses | Self::Networks => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                toml::Value::Array(parts.map(|part| toml::Value::String(part.to_owned())).collect())
            }
            _ => as_text(),
        }
    }
}

fn wanted(what: &str, value: &toml::Value) -> String {
    let is = match value {
        toml::Value::String(_) => "a text",
        toml::Value::Integer(_) => "a whole number",
        toml::Value::Float(_) => "a number",
        toml::Value::Boolean(_) => "true or false",
        toml::Value::Datetime(_) => "a date without quotes",
        toml::Value::Array(_) => "a list",
        toml::Value::Table(_) => "a table",
    };
    format!("must be {what}, not {is}")
}

fn whole(value: &toml::Value, least: i64, most: i64) -> Result<(), String> {
    let number = value.as_integer().ok_or_else(|| wanted("a whole number", value))?;
    if (least..=most).contains(&number) { Ok(()) } else { Err(format!("{number} is not from {least} to {most}")) }
}

fn number(value: &toml::Value, least: f64, most: f64) -> Result<(), String> {
    // Whole numbers are numbers too; those of a configuration are far below where f64 loses digits.
    #[allow(clippy::cast_precision_loss)]
    let number = value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
    let number = number.ok_or_else(|| wanted("a number", value))?;
    if (least..=most).contains(&number) { Ok(()) } else { Err(format!("{number} is not from {least} to {most}")) }
}

fn texts(value: &toml::Value) -> Result<Vec<&str>, String> {
    let list = value.as_array().ok_or_else(|| wanted("a list of texts", value))?;
    list.iter().map(|item| item.as_str().ok_or_else(|| wanted("a list of texts", item))).collect()
}

fn words(value: &toml::Value) -> Result<(), String> {
    let list = match value.as_str() {
        Some(text) => vec![text],
        None => texts(value)?,
    };
    let named = !list.is_empty() && list.iter().all(|text| !text.trim().is_empty());
    if named { Ok(()) } else { Err("names nothing".into()) }
}

fn one_of(text: &str, words: &[&str]) -> Result<(), String> {
    if words.contains(&text) { Ok(()) } else { Err(format!("'{text}' is not one of {}", words.join(", "))) }
}

fn ods(text: &str) -> Result<(), String> {
    let fits = OdsCode::parse(text).is_ok();
    if fits { Ok(()) } else { Err(format!("'{text}' is not an ODS code (3 to 12 letters and digits)")) }
}

fn http_url(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|why| format!("is not a URL: {why}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("must be an https:// URL with a host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password".into());
    }
    Ok(())
}

fn address(text: &str) -> Result<(), String> {
    let fits = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok() && !host.contains(char::is_whitespace)
    });
    if fits { Ok(()) } else { Err(format!("'{text}' is not HOST:PORT")) }
}

fn store_url(text: &str) -> Result<(), String> {
    let sqlite = text.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty());
    let postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if sqlite || (postgres && Url::parse(text).is_ok()) {
        Ok(())
    } else {
        Err("must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE".into())
    }
}

fn digest(text: &str) -> Result<(), String> {
    let fits = text.is_empty() || (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()));
    if fits { Ok(()) } else { Err("must be a SHA-256 as 64 hex digits".into()) }
}

/// True when a URL's host is this machine or unspecified.
pub fn is_loopback(text: &str) -> bool {
    match Url::parse(text).ok().as_ref().and_then(Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => false,
    }
}
