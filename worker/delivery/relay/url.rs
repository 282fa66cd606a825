//! A relay's URL: `smtp://user:password@host:587?tls=required`, `smtps://…`, `directory:PATH`, `memory:`.
//!
//! Parsed once, at start; passwords are never printed. `config` hands the text in.

use secrecy::SecretString;
use std::{fmt, path::PathBuf};

/// What a relay's URL says.
#[derive(Debug, Clone)]
pub enum RelayUrl {
    /// An SMTP server.
    Smtp(Server),
    /// A folder for .eml files.
    Directory(PathBuf),
    /// Memory, for tests.
    Memory,
}

/// An SMTP server.
#[derive(Clone)]
pub struct Server {
    /// Name or IP address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Encryption.
    pub tls: Tls,
    /// User and password.
    pub login: Option<Login>,
}

/// User and password.
#[derive(Debug, Clone)]
pub struct Login {
    /// User.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the first byte (`smtps://`).
    Implicit,
    /// STARTTLS, or no mail; the certificate is checked.
    Required,
    /// STARTTLS where it is offered; without a login the certificate is not checked, as no encryption would be worse (RFC 7435).
    Opportunistic,
    /// Plain.
    None,
}

/// What is wrong with a relay's URL, without the URL's password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayUrlError {
    /// None of our schemes.
    #[error("a relay's URL begins with smtp://, smtps://, directory: or memory:, this one with `{0}`")]
    Scheme(String),
    /// No host.
    #[error("the relay's URL names no host: expected smtp://host:port")]
    Host,
    /// Not a port.
    #[error("`{0}` is not a port from 1 to 65535")]
    Port(String),
    /// A parameter that we do not know, or a value.
    #[error("`{0}` is not known here: expected ?tls=required, ?tls=opportunistic or ?tls=none")]
    Parameter(String),
    /// `smtps://` with `tls=`.
    #[error("smtps:// is encrypted from the start and takes no ?tls=: use smtp:// for STARTTLS")]
    TlsTwice,
    /// A user and no password, or nothing before the @.
    #[error("the relay's URL needs both a user and a password before the @, as in smtp://user:password@host")]
    Login,
    /// A % without two hex digits after it, or bytes that are no text.
    #[error("the user or password in the relay's URL has a % that is not followed by two hex digits: write %25 for a % sign")]
    Percent,
    /// A path, a fragment, white space.
    #[error(
        "the relay's URL has something after host and port that does not belong there; write %40 for an @, %2F for a / and %3A for a : in a password"
    )]
    Rest,
    /// `directory:` without a path.
    #[error("directory: needs a path, as in directory:/var/spool/tidings")]
    Path,
}

impl RelayUrl {
    /// Reads a relay's URL.
    pub fn parse(text: &str) -> Result<Self, RelayUrlError> {
        let text = text.trim();
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("directory", "")) => Err(RelayUrlError::Path),
            Some(("directory", path)) => Ok(Self::Directory(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))),
            Some(("smtp", rest)) => server(rest, false).map(Self::Smtp),
            Some(("smtps", rest)) => server(rest, true).map(Self::Smtp),
            Some((scheme, _)) => Err(RelayUrlError::Scheme(scheme.chars().take(20).collect())),
            None => Err(RelayUrlError::Scheme(String::new())),
        }
    }
}

fn server(rest: &str, implicit: bool) -> Result<Server, RelayUrlError> {
    let rest = rest.strip_prefix("//").ok_or(RelayUrlError::Host)?;
    let (authority, query) = rest.split_once('?').map_or((rest, None), |(a, q)| (a, Some(q)));
    // The last @ divides, so that a user that is an address needs no escape.
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (Some(read_login(login)?), place),
        None => (None, authority),
    };
    let (host, port) = host_and_port(place.strip_suffix('/').unwrap_or(place))?;
    let tls = tls(query, implicit, login.is_some())?;
    let usual = match (implicit, login.is_some()) {
        (true, _) => 465,
        (false, true) => 587,
        (false, false) => 25,
    };
    Ok(Server { host, port: port.unwrap_or(usual), tls, login })
}

fn read_login(text: &str) -> Result<Login, RelayUrlError> {
    let (user, password) = text.split_once(':').ok_or(RelayUrlError::Login)?;
    let (user, password) = (percent_decoded(user)?, percent_decoded(password)?);
    if user.is_empty() || password.is_empty() {
        return Err(RelayUrlError::Login);
    }
    Ok(Login { user, password: password.into() })
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), RelayUrlError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(six) => {
            let (host, after) = six.split_once(']').ok_or(RelayUrlError::Host)?;
            (host, after.strip_prefix(':').or((!after.is_empty()).then_some(after)))
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(RelayUrlError::Host);
    }
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b)) {
        return Err(RelayUrlError::Rest);
    }
    let port = port.map(|p| p.parse().ok().filter(|p| *p > 0).ok_or_else(|| RelayUrlError::Port(p.chars().take(20).collect())));
    Ok((host.to_owned(), port.transpose()?))
}

// With a login the default is `required`: a password must not depend on what somebody in the middle lets through.
fn tls(query: Option<&str>, implicit: bool, login: bool) -> Result<Tls, RelayUrlError> {
    match query {
        None | Some("") if implicit => Ok(Tls::Implicit),
        None | Some("") if login => Ok(Tls::Required),
        None | Some("") => Ok(Tls::Opportunistic),
        Some(_) if implicit => Err(RelayUrlError::TlsTwice),
        Some("tls=required") => Ok(Tls::Required),
        Some("tls=opportunistic") => Ok(Tls::Opportunistic),
        Some("tls=none") => Ok(Tls::None),
        Some(other) => Err(RelayUrlError::Parameter(other.chars().take(40).collect())),
    }
}

fn percent_decoded(text: &str) -> Result<String, RelayUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let hex = after.get(..2).and_then(|h| std::str::from_utf8(h).ok()).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
            bytes.push(hex.and_then(|h| u8::from_str_radix(h, 16).ok()).ok_or(RelayUrlError::Percent)?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| RelayUrlError::Percent)
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.login.is_some() { "***@" } else { "" };
        write!(f, "{login}{self} ({:?})", self.tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn smtp(text: &str) -> Server {
        match RelayUrl::parse(text) {
            Ok(RelayUrl::Smtp(server)) => server,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_form_of_a_relay_is_read() {
        for (text, place, tls) in [
            ("smtp://mail.example.org", "mail.example.org:25", Tls::Opportunistic),
            ("smtp://127.0.0.1:2525/", "127.0.0.1:2525", Tls::Opportunistic),
            ("smtp://[::1]:2525?tls=none", "[::1]:2525", Tls::None),
            ("smtp://u:p@mail.example.org", "mail.example.org:587", Tls::Required),
            ("smtp://u:p@mail.example.org:25?tls=opportunistic", "mail.example.org:25", Tls::Opportunistic),
            ("smtp://mail.example.org?tls=required", "mail.example.org:25", Tls::Required),
            ("smtps://u:p@mail.example.org", "mail.example.org:465", Tls::Implicit),
        ] {
            let server = smtp(text);
            assert_eq!((server.to_string().as_str(), server.tls), (place, tls), "{text}");
        }
        assert!(matches!(RelayUrl::parse("memory:"), Ok(RelayUrl::Memory)));
        for text in ["directory:/tmp/mails", "directory:///tmp/mails"] {
            assert!(matches!(RelayUrl::parse(text), Ok(RelayUrl::Directory(path)) if path.as_os_str() == "/tmp/mails"));
        }
    }

    #[test]
    fn a_login_is_decoded_and_never_printed() {
        let server = smtp("smtp://ana@example.org:p%40ss%3A%2F%25@mail.example.org:587");
        let login = server.login.as_ref().unwrap();
        assert_eq!((login.user.as_str(), login.password.expose_secret()), ("ana@example.org", "p@ss:/%"));
        let shown = format!("{server:?} {:?}", RelayUrl::Smtp(server.clone()));
        assert!(!shown.contains("p@ss") && !shown.contains("ana"), "{shown}");
    }

    #[test]
    fn a_wrong_url_says_what_is_wrong_and_not_the_password() {
        for (text, part) in [
            ("", "begins with"),
            ("http://mail.example.org", "`http`"),
            ("smtp:mail.example.org", "no host"),
            ("smtp://", "no host"),
            ("smtp://:25", "no host"),
            ("smtp://u@mail.example.org", "both a user and a password"),
            ("smtp://u:@mail.example.org", "both a user and a password"),
            ("smtp://u:geheim@mail.example.org:0", "not a port"),
            ("smtp://u:geheim@mail.example.org:99999", "not a port"),
            ("smtp://u:geheim@mail.example.org?tls=maybe", "?tls=required"),
            ("smtp://u:geheim@mail.example.org?starttls=1", "?tls=required"),
            ("smtps://u:geheim@mail.example.org?tls=none", "takes no ?tls="),
            ("smtp://u:geheim%zz@mail.example.org", "two hex digits"),
            ("smtp://u:geheim@mail.example.org/inbox", "%2F"),
            ("smtp://u:geheim@mail example.org", "does not belong there"),
            ("directory:", "needs a path"),
            ("memory:x", "`memory`"),
        ] {
            let error = RelayUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("geheim"), "{text}: {error}");
        }
    }
}
