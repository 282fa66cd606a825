//! An email address that exists only when it is valid, and never prints itself whole by accident.
//!
//! The key of a person (product.md's rule, version 1): NFC, trimmed, lower-cased whole, the domain as a UTS-46 A-label.
//! Mail goes to the spelling that was given.

use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// The version of the rule that makes a key out of a spelling.
pub const KEY_VERSION: i16 = 1;

/// The longest address that SMTP carries, in octets (RFC 5321, 4.5.3.1.3, less the angle brackets).
const MAX_OCTETS: usize = 254;

/// Why a text is no address that can be mailed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text is empty.
    #[error("the address is empty")]
    Empty,
    /// It is longer than SMTP allows.
    #[error("the address is longer than {MAX_OCTETS} octets")]
    TooLong,
    /// It has a character that no address has.
    #[error("the address holds a control character or white space")]
    Character,
    /// It has not the form of an address.
    #[error("it is not an email address of the form name@example.org ({0})")]
    Form(String),
    /// Its domain is no domain name.
    #[error("`{0}` is not a domain that mail can go to")]
    Domain(String),
}

/// A valid address. Debug and Display mask it; [`EmailAddress::as_given`] is the explicit way to the whole.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress {
    given: String,
    key: String,
}

impl EmailAddress {
    /// Reads an address; surrounding white space is dropped.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let given = composed(text.trim());
        if given.is_empty() {
            return Err(AddressError::Empty);
        }
        if given.chars().any(|c| c.is_control() || c.is_whitespace() || is_invisible(c)) {
            return Err(AddressError::Character);
        }
        let parsed = email_address::EmailAddress::parse_with_options(&given, form()).map_err(|e| AddressError::Form(e.to_string()))?;
        let domain = ascii_domain(parsed.domain())?;
        let key = format!("{}@{domain}", composed(&parsed.local_part().to_lowercase()));
        if given.len() > MAX_OCTETS || key.len() > MAX_OCTETS {
            return Err(AddressError::TooLong);
        }
        Ok(Self { given, key })
    }

    /// The whole address in the spelling that was given.
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// The normalised key: equal for all spellings of one person's address.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The domain, lower case, as an A-label.
    pub fn domain(&self) -> &str {
        self.key.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The part before the @, in the spelling that was given.
    pub fn local_part(&self) -> &str {
        self.given.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The address as an SMTP envelope takes it: the local part as given, the domain as an A-label.
    pub fn envelope(&self) -> String {
        format!("{}@{}", self.local_part(), self.domain())
    }

    fn masked(&self) -> String {
        let first = self.given.chars().next().unwrap_or('*');
        format!("{first}***@{}", mask_domain(self.domain()))
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

// NFC, which every ASCII text has already.
fn composed(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfc().collect() }
}

fn form() -> email_address::Options {
    email_address::Options::default().with_required_tld().without_domain_literal().without_display_text()
}

fn ascii_domain(domain: &str) -> Result<String, AddressError> {
    let refused = || AddressError::Domain(domain.to_owned());
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| refused())?.to_lowercase();
    let labels_fit = ascii.split('.').all(|label| (1..=63).contains(&label.len()));
    if !labels_fit || !ascii.contains('.') || ascii.split('.').next_back().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit())) {
        return Err(refused());
    }
    Ok(ascii)
}

// Zero-width and bidirectional marks make two addresses look alike.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
}

fn mask_domain(domain: &str) -> String {
    let (name, rest) = domain.split_once('.').unwrap_or((domain, ""));
    let first = name.chars().next().unwrap_or('*');
    format!("{first}***.{}", rest.rsplit('.').next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_share_a_key() {
        for spelling in ["Ana@Example.org", " ana@EXAMPLE.org ", "ANA@example.org"] {
            assert_eq!(EmailAddress::parse(spelling).unwrap().key(), "ana@example.org");
        }
        let idn = EmailAddress::parse("ana@bücher.example").unwrap();
        assert_eq!(idn.key(), "ana@xn--bcher-kva.example");
        assert_eq!(idn.envelope(), "ana@xn--bcher-kva.example");
        assert_eq!(idn.as_given(), "ana@bücher.example");
    }

    #[test]
    fn an_address_masks_itself() {
        let address = EmailAddress::parse("ana.lind@mail.example.org").unwrap();
        assert_eq!(format!("{address} {address:?}"), "a***@m***.org a***@m***.org");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "ana",
            "ana@",
            "@example.org",
            "a b@example.org",
            "ana@example",
            "ana@[127.0.0.1]",
            "a\r\nb@example.org",
            "Ana <ana@example.org>",
            "ana@exa mple.org",
            "ana@-x-.example..org",
            "ana@1.2.3.4",
            "a\u{200b}na@example.org",
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?} was taken for an address");
        }
        assert!(EmailAddress::parse(&format!("{}@example.org", "a".repeat(300))).is_err());
    }
}
