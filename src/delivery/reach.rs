//! Which addresses may be sent to, and the HTTP client that keeps to it: TLS, no redirects, no
//! loopback, private or link-local addresses - by name or by number - unless the gateway is in
//! development and `delivery.allow_loopback` is set. A public name that resolves to such an
//! address is refused when it is resolved, so a name changed later gains nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::{Config, Mode};

/// True when loopback and private receivers, and plain HTTP, are allowed.
fn open(config: &Config) -> bool {
    config.gateway.mode == Mode::Development && config.delivery.allow_loopback
}

/// Checks where a receiver or practice system stands.
///
/// # Errors
/// In words, for the person who configures it.
pub fn check(config: &Config, url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|_| "the URL cannot be read".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the URL is neither https nor http".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a name or password; use a secret file".to_owned());
    }
    if open(config) {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err("the URL is not https".to_owned());
    }
    let host = url.host_str().unwrap_or("").trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let local = host.is_empty() || host.eq_ignore_ascii_case("localhost") || host.ends_with(".localhost");
    if local || host.parse::<IpAddr>().is_ok_and(inside) {
        return Err("the URL names this machine or a private network".to_owned());
    }
    Ok(url)
}

/// The client for one receiver.
///
/// # Errors
/// When the machine's TLS roots cannot be loaded.
pub fn client(config: &Config) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_millis(config.delivery.timeout_ms))
        .pool_max_idle_per_host(config.delivery.in_flight_max)
        .user_agent(concat!("fingerpost/", env!("CARGO_PKG_VERSION")));
    if !open(config) {
        builder = builder.https_only(true).dns_resolver(Arc::new(Outside));
    }
    builder.build().map_err(|_| "the HTTP client could not be made: are the TLS roots there?".to_owned())
}

/// Resolves names, leaving out addresses inside this machine or its network.
struct Outside;

impl Resolve for Outside {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let outside: Vec<SocketAddr> = found.filter(|address| !inside(address.ip())).collect();
            if outside.is_empty() {
                return Err("the name has no address outside this network".into());
            }
            Ok(Box::new(outside.into_iter()) as Addrs)
        })
    }
}

/// Loopback, private, shared, link-local, unspecified, multicast and documentation addresses.
fn inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => inside_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped().or_else(|| v6.to_ipv4()) {
            Some(v4) => inside_v4(v4),
            None => {
                let first = v6.segments()[0];
                v6.is_multicast() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || first == 0x64
            }
        },
    }
}

fn inside_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_broadcast()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || a >= 240
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(mode: Mode, allow_loopback: bool) -> Config {
        let mut config: Config = toml::from_str(crate::config::DEFAULTS).unwrap();
        config.gateway.mode = mode;
        config.delivery.allow_loopback = allow_loopback;
        config
    }

    #[test]
    fn only_the_outside_is_reached() {
        let config = config(Mode::Production, true);
        let refused = [
            "http://wellness.example/hook",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://localhost/",
            "https://a.localhost./",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://user:word@wellness.example/",
            "ftp://wellness.example/",
            "not a url",
        ];
        for url in refused {
            assert!(check(&config, url).is_err(), "{url}");
        }
        assert!(check(&config, "https://wellness.example/hook").is_ok());
    }

    #[test]
    fn loopback_needs_development_and_the_key() {
        let here = "http://127.0.0.1:9/hook";
        assert!(check(&config(Mode::Development, true), here).is_ok());
        assert!(check(&config(Mode::Development, false), here).is_err());
        assert!(check(&config(Mode::Production, true), here).is_err());
    }
}
