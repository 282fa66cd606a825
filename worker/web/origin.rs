//! Which host a request came from: the other end of the connection, or what a proxy that we trust says of it.
//!
//! Only the limits of sign-ups use it, which hash it; it is never logged. A header is believed as far as trusted proxies wrote it:
//! each appends the address that it saw, so X-Forwarded-For is walked from its right end.

use super::Web;
use crate::base::network::Networks;
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, request::Parts},
};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

const FORWARDED: &str = "x-forwarded-for";

/// The host that a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Host(pub(super) IpAddr);

impl FromRequestParts<Web> for Host {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Infallible> {
        // Without a connection all requests count as one host's, the careful side.
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        Ok(Self(client(peer, &parts.headers, &web.proxies)))
    }
}

/// The nearest address on the way that is not a trusted proxy's.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &Networks) -> IpAddr {
    let mut nearest = peer.to_canonical();
    let lines: Vec<&[u8]> = headers.get_all(FORWARDED).iter().map(|line| line.as_bytes()).collect();
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
        if !proxies.hold(nearest) {
            break;
        }
        // What is no address was not written by a proxy that knows its trade: then it is that proxy that answers for it.
        let Some(said) = std::str::from_utf8(entry).ok().and_then(address) else { break };
        nearest = said;
    }
    nearest
}

/// An entry: an address, in brackets or not, with a port or without.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let found = bare.parse::<IpAddr>().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()));
    found.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn seen(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED, HeaderValue::from_str(line).unwrap());
        }
        let proxies = Networks::parse(&proxies.iter().map(|proxy| (*proxy).to_owned()).collect::<Vec<_>>()).unwrap();
        client(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn without_a_trusted_proxy_the_header_says_nothing() {
        assert_eq!(seen("198.51.100.7", &["203.0.113.1"], &[]), "198.51.100.7");
        assert_eq!(seen("198.51.100.7", &["203.0.113.1"], &["10.0.0.0/8"]), "198.51.100.7");
        assert_eq!(seen("::ffff:198.51.100.7", &[], &[]), "198.51.100.7");
    }

    #[test]
    fn the_last_entry_that_is_no_trusted_proxy_is_the_client() {
        let proxies = ["10.0.0.0/8", "127.0.0.1"];
        for (forwarded, client) in [
            (&["203.0.113.1"][..], "203.0.113.1"),
            (&["1.1.1.1, 203.0.113.1"], "203.0.113.1"),
            (&["1.1.1.1, 203.0.113.1, 10.1.1.1"], "203.0.113.1"),
            (&["1.1.1.1", "203.0.113.1", "10.1.1.1"], "203.0.113.1"),
            (&["::ffff:203.0.113.1"], "203.0.113.1"),
            (&["203.0.113.1:4711"], "203.0.113.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&[], "127.0.0.1"),
            (&["10.1.1.1"], "10.1.1.1"),
            (&["203.0.113.1, unknown"], "127.0.0.1"),
            (&["203.0.113.1, , 10.1.1.1"], "10.1.1.1"),
            (&["203.0.113.1\u{9}"], "203.0.113.1"),
        ] {
            assert_eq!(seen("127.0.0.1", forwarded, &proxies), client, "{forwarded:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_sends_changes_who_it_is(sent in proptest::collection::vec("[ -~]{0,40}", 0..4), client: u32) {
            let client = Ipv4Addr::from(client);
            prop_assume!(client.octets()[0] != 10);
            // Its proxy appends what it saw, as a line of its own or to the last one.
            let mut lines: Vec<String> = sent.clone();
            lines.push(client.to_string());
            let joined = lines.join(", ");
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert_eq!(seen("10.0.0.1", &lines, &["10.0.0.0/8"]), client.to_string());
            prop_assert_eq!(seen("10.0.0.1", &[&joined], &["10.0.0.0/8"]), client.to_string());
        }
    }
}
