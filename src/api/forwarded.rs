//! Who is behind a proxy: `Forwarded` and `X-Forwarded-For`, believed only from a trusted proxy.
//! <https://www.rfc-editor.org/rfc/rfc7239>
//!
//! Read from the right, as each proxy writes behind what it was sent: the first hop that is not a
//! trusted proxy is the caller, and what stands left of it is the caller's own tale. Where nothing
//! can be believed, the caller is the last proxy that can. It trusts no `by`, `host` or `proto`.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use crate::config::{Network, Serve};

/// Proxies that a request may have come through; past it the headers are not believed.
const HOPS_MAX: usize = 16;
/// The header without a standard that most proxies write.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `serve.proxy_header` where both headers are read.
const EITHER: &str = "either";

/// The address of whoever made the request that `peer` sent.
pub fn caller(peer: IpAddr, headers: &HeaderMap, serve: &Serve) -> IpAddr {
    let trusted = &serve.trusted_proxies;
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let told = |name: &HeaderName| {
        let read = serve.proxy_header == EITHER || serve.proxy_header == name.as_str();
        (read && headers.contains_key(name)).then(|| walk(peer, headers, name, trusted))
    };
    match (told(&header::FORWARDED), told(&X_FORWARDED_FOR)) {
        // A proxy that writes the one may let the other through as the caller sent it.
        (Some(one), Some(other)) if one != other => peer,
        (Some(one), _) | (None, Some(one)) => one,
        (None, None) => peer,
    }
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.holds(address))
}

/// From the nearest hop outwards, to the first that is not trusted or not to be read.
fn walk(peer: IpAddr, headers: &HeaderMap, name: &HeaderName, trusted: &[Network]) -> IpAddr {
    let standard = name == header::FORWARDED;
    let lines: Vec<&str> = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("")).collect();
    let hops = lines.iter().rev().flat_map(|line| FromRight { rest: Some(line), at: ',' });
    let mut nearest = peer;
    for (i, hop) in hops.enumerate() {
        if i == HOPS_MAX {
            return peer;
        }
        let node = if standard { node_of(hop) } else { Some(hop.trim()) };
        let Some(address) = node.and_then(address_of) else { return nearest };
        nearest = address;
        if !is_trusted(address, trusted) {
            return address;
        }
    }
    nearest
}

/// The parts of a text between separators that stand in no quotes, the last one first: what the
/// nearest proxy wrote can be told, whatever quotes were opened before it.
struct FromRight<'a> {
    rest: Option<&'a str>,
    at: char,
}

impl<'a> Iterator for FromRight<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let mut quoted = false;
        for (i, c) in rest.char_indices().rev() {
            if c == '"' && !is_escaped(&rest[..i]) {
                quoted = !quoted;
            }
            if c == self.at && !quoted {
                self.rest = Some(&rest[..i]);
                return Some(&rest[i + c.len_utf8()..]);
            }
        }
        self.rest = None;
        Some(rest)
    }
}

/// True where an odd number of backslashes stands at the end.
fn is_escaped(before: &str) -> bool {
    before.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// What an element of `Forwarded` says in `for`: it may say so once.
fn node_of(element: &str) -> Option<&str> {
    let pairs = FromRight { rest: Some(element), at: ';' };
    let mut told =
        pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(name, _)| name.eq_ignore_ascii_case("for"));
    let (_, value) = told.next()?;
    if told.next().is_some() {
        return None;
    }
    match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"'),
        None => Some(value),
    }
}

/// An address with or without a port; `None` for `unknown`, `_hidden` and what else is no address.
/// <https://www.rfc-editor.org/rfc/rfc7239#section-6>
fn address_of(node: &str) -> Option<IpAddr> {
    let bare = || node.parse::<IpAddr>().ok();
    let ported = || node.parse::<SocketAddr>().ok().map(|at| at.ip());
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    bare().or_else(ported).or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NEAR: &str = "10.0.0.1";

    fn serve(proxy_header: &str) -> Serve {
        let mut serve = crate::config::Config::development(std::path::Path::new("/tmp")).serve;
        serve.trusted_proxies = ["10.0.0.0/8", "2001:db8::/32"].map(|text| Network::parse(text).unwrap()).to_vec();
        serve.proxy_header = proxy_header.to_owned();
        serve
    }

    fn asked(peer: &str, lines: &[(&str, &str)], proxy_header: &str) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        caller(peer.parse().unwrap(), &headers, &serve(proxy_header)).to_string()
    }

    fn usual(value: &str) -> String {
        asked(NEAR, &[("x-forwarded-for", value)], "either")
    }

    fn standard(value: &str) -> String {
        asked(NEAR, &[("forwarded", value)], "either")
    }

    #[test]
    fn the_right_most_hop_that_is_no_trusted_proxy_is_the_caller() {
        for (value, told) in [
            ("192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.9, 192.0.2.1,10.0.0.2 , 10.9.9.9", "192.0.2.1"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db9::1]:4711", "2001:db9::1"),
            ("2001:db9::1", "2001:db9::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(usual(value), told, "{value}");
        }
        for (value, told) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=\"192.0.2.1:80\";proto=https;by=10.0.0.1", "192.0.2.1"),
            ("for=198.51.100.9, for=192.0.2.1;host=\"a, for=9.9.9.9\", for=\"[2001:db8::7]:80\"", "192.0.2.1"),
            ("by=10.0.0.1;for=\"[2001:db9::1]\"", "2001:db9::1"),
        ] {
            assert_eq!(standard(value), told, "{value}");
        }
        let lines = [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(asked(NEAR, &lines, "either"), "192.0.2.1");
        assert_eq!(asked("::ffff:10.0.0.1", &lines, "either"), "192.0.2.1");
    }

    #[test]
    fn who_is_not_trusted_is_not_believed() {
        let spoofed = [("x-forwarded-for", "198.51.100.9"), ("forwarded", "for=198.51.100.9")];
        assert_eq!(asked("192.0.2.66", &spoofed, "either"), "192.0.2.66");
        assert_eq!(asked("192.0.2.66", &spoofed, "forwarded"), "192.0.2.66");
        // The header that the proxy does not write is the caller's own.
        let mixed = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=198.51.100.9")];
        assert_eq!(asked(NEAR, &mixed, "either"), NEAR);
        assert_eq!(asked(NEAR, &mixed, "x-forwarded-for"), "192.0.2.1");
        assert_eq!(asked(NEAR, &mixed[1..], "x-forwarded-for"), NEAR);
        assert_eq!(asked(NEAR, &spoofed, "either"), "198.51.100.9");
    }

    #[test]
    fn garbage_is_nobody_and_leaves_the_proxy_that_sent_it() {
        for value in
            ["", ",", "unknown", "_hidden", "\"192.0.2.1\"", "192.0.2.999", "a\tb", "192.0.2.1 192.0.2.2", "[::1"]
        {
            assert_eq!(usual(value), NEAR, "{value}");
        }
        for value in [
            "",
            ";",
            "for=",
            "for=\"",
            "for=unknown",
            "for=_x",
            "192.0.2.1",
            "for=192.0.2.1;for=192.0.2.2",
            "for = 1",
            "by=192.0.2.1",
            "for=2001:db9::1]",
            "for=\"192.0.2.1",
            "for=\"192\\.0.2.1\"",
            "for=\"[192.0.2.1]\"",
        ] {
            assert_eq!(standard(value), NEAR, "{value}");
        }
        // What was believed up to there stays, and quotes that the caller opened hide nothing.
        assert_eq!(usual("198.51.100.9, garbage, 10.0.0.2"), "10.0.0.2");
        assert_eq!(standard("for=\"198.51.100.9, for=192.0.2.1"), "192.0.2.1");
        assert_eq!(standard("for=\"\\\", for=192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn ten_thousand_hops_are_not_walked() {
        let started = std::time::Instant::now();
        assert_eq!(usual(&"10.0.0.2,".repeat(10_000)), NEAR, "the last hop is empty");
        assert_eq!(usual(&vec!["10.0.0.2"; 10_000].join(",")), NEAR);
        assert_eq!(usual(&format!("{},192.0.2.1", "10.0.0.2,".repeat(10_000))), "192.0.2.1");
        assert_eq!(standard(&vec!["for=10.0.0.2"; 10_000].join(",")), NEAR);
        assert_eq!(standard(&format!("for={}", "\\".repeat(30_000))), NEAR);
        assert_eq!(standard(&format!("for={}", "\\\"".repeat(15_000))), NEAR);
        assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    }
}
