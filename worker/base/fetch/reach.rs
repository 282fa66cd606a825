//! Which addresses may be reached: public ones, judged after a name was resolved, so that no feed leads into our own network.
//!
//! Owns the ranges that are refused (the registries of special addresses, RFC 6890 and after) and the resolving. `fetch` connects
//! to the addresses that are answered here and to no others.

use super::FetchError;
use crate::base::{network::Networks, trust::Roots};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::LazyLock,
};

/// What may be reached, and by whom names and certificates are vouched for.
#[derive(Debug, Clone)]
pub struct Reach {
    /// None: the system's resolver.
    names: Option<HashMap<String, Vec<IpAddr>>>,
    also: Networks,
    pub(super) roots: Roots,
}

impl Reach {
    /// Every public address, by the names and authorities that this machine knows. Nothing else is for production.
    pub fn public() -> Self {
        Self { names: None, also: Networks::default(), roots: Roots::OfThisMachine }
    }

    /// For tests, which have no public address: these names and no others, these networks beside the public ones, these authorities.
    pub fn for_tests(names: HashMap<String, Vec<IpAddr>>, also: Networks, roots: Roots) -> Self {
        Self { names: Some(names), also, roots }
    }

    /// Where a host is; refused when any of its addresses is not public, because one answer may be followed by another.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let found: Vec<IpAddr> = match (literal, &self.names) {
            (Some(address), _) => vec![address],
            (None, Some(names)) => names.get(host).cloned().unwrap_or_default(),
            (None, None) => {
                let unknown = |error: std::io::Error| FetchError::NoSuchHost { host: host.to_owned(), why: error.to_string() };
                tokio::net::lookup_host((host, port)).await.map_err(unknown)?.map(|address| address.ip()).collect()
            }
        };
        if found.is_empty() {
            return Err(FetchError::NoSuchHost { host: host.to_owned(), why: "it has no address".to_owned() });
        }
        match found.iter().find(|address| !self.holds(**address)) {
            Some(address) => Err(FetchError::NotPublic { host: host.to_owned(), address: *address }),
            None => Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect()),
        }
    }

    /// Whether an address may be reached.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        is_public(address) || self.also.hold(address)
    }
}

/// Whether an address is one of the Internet's: not of this machine, of a network of somebody's own, of a group, or of a document.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match behind_nat64(v6) {
            Some(v4) => is_public_v4(v4),
            None => UNICAST.hold(v6.into()) && !SPECIAL_V6.hold(v6.into()),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.hold(address.into())
}

// In a network with IPv6 alone every host of the IPv4 Internet has such an address (RFC 6052).
fn behind_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else { return None };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

static SPECIAL_V4: LazyLock<Networks> = LazyLock::new(|| {
    networks(&[
        "0.0.0.0/8",       // this network
        "10.0.0.0/8",      // private
        "100.64.0.0/10",   // between a provider and its customers
        "127.0.0.0/8",     // loopback
        "168.63.129.16",   // answers virtual machines of one cloud, though it looks public
        "169.254.0.0/16",  // link-local, and where clouds answer about their machines
        "172.16.0.0/12",   // private
        "192.0.0.0/24",    // protocols
        "192.0.2.0/24",    // documents
        "192.88.99.0/24",  // relays of 6to4
        "192.168.0.0/16",  // private
        "198.18.0.0/15",   // benchmarks
        "198.51.100.0/24", // documents
        "203.0.113.0/24",  // documents
        "224.0.0.0/4",     // groups
        "240.0.0.0/4",     // never given out; broadcast
    ])
});

// All that was ever given to hosts. Outside of it: loopback, unique local, link-local, groups, IPv4 in other wrappings.
static UNICAST: LazyLock<Networks> = LazyLock::new(|| networks(&["2000::/3"]));

static SPECIAL_V6: LazyLock<Networks> = LazyLock::new(|| {
    networks(&[
        "2001::/23",     // protocols, Teredo among them, which wraps IPv4
        "2001:db8::/32", // documents
        "2002::/16",     // 6to4, which wraps IPv4
        "3fff::/20",     // documents
    ])
});

fn networks(entries: &[&str]) -> Networks {
    let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
    Networks::parse(&entries).expect("each is a network")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn no_special_address_is_public_in_any_spelling() {
        let special = "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.254 127.0.0.1 127.1.2.3 168.63.129.16 169.254.169.254 172.16.0.1 \
            172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 \
            239.255.255.250 240.0.0.1 255.255.255.255";
        for v4 in special.split_whitespace() {
            let [a, b, c, d] = v4.parse::<Ipv4Addr>().unwrap().octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            assert!(!public(v4), "{v4}");
            for wrapped in [
                format!("::ffff:{v4}"),
                format!("::{v4}"),
                format!("::ffff:0:{v4}"),
                format!("64:ff9b::{v4}"),
                format!("64:ff9b:1::{v4}"),
                format!("2002:{high:x}:{low:x}::1"),
                format!("2001:0:{high:x}:{low:x}::1"),
            ] {
                assert!(!public(&wrapped), "{wrapped}");
            }
        }
        for v6 in ["::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1"]
        {
            assert!(!public(v6), "{v6}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for address in ["1.1.1.1", "9.255.255.255", "100.63.0.1", "100.128.0.1", "172.15.0.1", "172.32.0.1", "198.17.0.1", "223.255.255.1"]
        {
            assert!(public(address) && public(&format!("::ffff:{address}")) && public(&format!("64:ff9b::{address}")), "{address}");
        }
        for address in ["2606:4700::1111", "2a00:1450:4001::1", "2001:200::1", "2003::1"] {
            assert!(public(address), "{address}");
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_behind_nat64_and_mapped(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let nat64 = Ipv6Addr::from((0x0064_ff9b_u128 << 96) | u128::from(bits));
            prop_assert_eq!(is_public(v4.into()), is_public(nat64.into()));
            prop_assert_eq!(is_public(v4.into()), is_public(v4.to_ipv6_mapped().into()));
            // 6to4 wraps any of them, and nobody needs it.
            prop_assert!(!is_public(Ipv6Addr::from((0x2002_u128 << 112) | (u128::from(bits) << 80)).into()));
        }
    }
}
