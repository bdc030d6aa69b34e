//! A network: one IP address, or a block of them in CIDR notation.
//! <https://www.rfc-editor.org/rfc/rfc4632#section-3.1>
//!
//! Bits past the prefix must be zero: `10.1.2.3/8` is more likely a slip than a wish.

use std::net::IpAddr;

use serde::Deserialize;

/// `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    /// Leading bits that all its addresses share.
    bits: u32,
}

impl Network {
    /// Reads an address or a block.
    ///
    /// # Errors
    /// What is wrong with it, and what was wanted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("'{text}' is not an IP address or a block such as 10.0.0.0/8 or 2001:db8::/32"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let plain = |bits: &&str| bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit());
        let bits = match bits {
            None => most,
            Some(bits) => Some(bits)
                .filter(plain)
                .and_then(|bits| bits.parse().ok())
                .filter(|bits| *bits <= most)
                .ok_or_else(|| format!("'{text}': the prefix must be a number from 0 to {most}"))?,
        };
        let network = Self { address, bits };
        if address != network.first() {
            return Err(format!("'{text}' has bits set past its prefix; the block is {}/{bits}", network.first()));
        }
        Ok(Self {
            address: address.to_canonical(),
            bits: if is_mapped(address) { bits.saturating_sub(96) } else { bits },
        })
    }

    /// True when the address is one of this network's; an IPv4 address that is mapped into IPv6 is
    /// its IPv4 address.
    pub fn holds(&self, address: IpAddr) -> bool {
        Self { address: address.to_canonical(), bits: self.bits }.first() == self.address
    }

    /// The address with the bits past the prefix cleared.
    fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(four) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.bits)).unwrap_or(0);
                IpAddr::from((four.to_bits() & mask).to_be_bytes())
            }
            IpAddr::V6(six) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.bits)).unwrap_or(0);
                IpAddr::from((six.to_bits() & mask).to_be_bytes())
            }
        }
    }
}

fn is_mapped(address: IpAddr) -> bool {
    address.is_ipv6() && address.to_canonical().is_ipv4()
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> Option<bool> {
        Some(Network::parse(network).ok()?.holds(address.parse().ok()?))
    }

    #[test]
    fn a_block_holds_its_addresses_and_no_other() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.6/31", "::ffff:192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
        ] {
            assert_eq!((holds(network, inside), holds(network, outside)), (Some(true), Some(false)), "{network}");
        }
    }

    #[test]
    fn what_is_no_block_is_none() {
        for bad in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/08x",
            "10.1.2.3/8",
            "10.0.0",
            "010.0.0.1",
            "::/129",
            "2001:db8::1/32",
            "proxy.example",
            "10.0.0.1:80",
            "[::1]",
            " 10.0.0.1",
            "10.0.0.0/8/8",
            "fe80::1%eth0",
        ] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }
}
