//! Networks of IP addresses, written as `10.0.0.0/8` or as one address: the proxies whose word about their clients is believed.
//!
//! Owns their reading and the rule that an IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address. The settings are
//! checked with it, and `web` asks it who a request came from.

use std::net::IpAddr;

/// An entry that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an IP address nor a network: expected such as 127.0.0.1, 10.0.0.0/8 or fd00::/8")]
pub struct NetworkError(String);

/// Some networks.
#[derive(Debug, Clone, Default)]
pub struct Networks(Vec<Network>);

#[derive(Debug, Clone, Copy)]
struct Network {
    bits: u128,
    // Ones where the address must agree.
    mask: u128,
    is_v4: bool,
}

impl Networks {
    /// Reads the entries; the error names the first that is wrong.
    pub fn parse(entries: &[String]) -> Result<Self, NetworkError> {
        entries
            .iter()
            .map(|entry| Network::parse(entry.trim()).ok_or_else(|| NetworkError(entry.clone())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether one of them holds the address.
    pub fn hold(&self, address: IpAddr) -> bool {
        let (bits, is_v4) = bits(address);
        self.0.iter().any(|network| network.is_v4 == is_v4 && (bits ^ network.bits) & network.mask == 0)
    }
}

impl Network {
    fn parse(entry: &str) -> Option<Self> {
        let (address, length) = match entry.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (entry, None),
        };
        let given: IpAddr = address.parse().ok()?;
        let (bits, is_v4) = bits(given);
        let width = if is_v4 { 32 } else { 128 };
        let length = match length {
            None => width,
            // A length of an IPv4 network that is written as IPv6 counts the 96 bits before it.
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse::<u32>().ok()?.checked_sub(if is_v4 && given.is_ipv6() { 96 } else { 0 })?
            }
            Some(_) => return None,
        };
        let free = width.checked_sub(length)?;
        Some(Self { bits, mask: u128::MAX.checked_shl(free).unwrap_or(0), is_v4 })
    }
}

fn bits(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), true),
        IpAddr::V6(v6) => (u128::from(v6), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn networks(entries: &[&str]) -> Result<Networks, NetworkError> {
        Networks::parse(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_other() {
        let networks = networks(&["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::ffff:198.51.100.0/120", " 2001:db8::1 "]).unwrap();
        for inside in ["10.255.0.1", "::ffff:10.1.2.3", "192.0.2.7", "fdff::1", "198.51.100.255", "2001:db8::1"] {
            assert!(networks.hold(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "fe00::1", "198.51.101.0", "2001:db8::2", "::a00:1"] {
            assert!(!networks.hold(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        for bad in ["", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0/8", "10.0.0.0/", "::ffff:10.0.0.0/8"] {
            assert!(networks(&["127.0.0.1", bad]).unwrap_err().to_string().starts_with(&format!("`{bad}`")), "{bad}");
        }
        assert!(networks(&["0.0.0.0/0"]).unwrap().hold(IpAddr::V4(Ipv4Addr::BROADCAST)));
        assert!(!networks(&["0.0.0.0/0"]).unwrap().hold(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }

    proptest! {
        #[test]
        fn an_address_is_in_a_network_when_their_first_bits_are_equal(one: u32, other: u32, length in 0u32..=32) {
            let network = networks(&[&format!("{}/{length}", Ipv4Addr::from(one))]).unwrap();
            let equal = length == 0 || (one ^ other) >> (32 - length) == 0;
            prop_assert_eq!(network.hold(Ipv4Addr::from(other).into()), equal);
            prop_assert_eq!(network.hold(Ipv4Addr::from(other).to_ipv6_mapped().into()), equal);
        }
    }
}
