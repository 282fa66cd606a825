//! Signed links: what stands behind `/u/{token}`, `/confirm/{token}` and the like. A token is sealed (authenticated and unreadable) under a key of the
//! key file, bound to one purpose, and carries the key's id so that keys can be rotated.
//!
//! The same payload always gives the same token: the nonce is a MAC of it (the idea of synthetic IVs, RFC 5297), so a
//! link in an old mail and a new one are equal, and no randomness is needed.

use super::keys::{Key, Keyring};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{aead, hmac};

const NONCE: usize = aead::NONCE_LEN;
const UNSUBSCRIBE: &[u8] = b"unsubscribe";

/// What a link is for: a token of one purpose is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Confirms a sign-up; of its id.
    Confirm,
    /// A subscriber's preferences; of her id.
    Preferences,
    /// When a form was made; of the instant in milliseconds.
    Form,
    /// A person's entry on a waitlist; of its id.
    Entry,
    /// An offer of a seat; of its id.
    Offer,
    /// Nothing: every link of a test mail; of its delivery's id.
    Test,
}

impl Purpose {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Confirm => b"confirm",
            Self::Preferences => b"preferences",
            Self::Form => b"form",
            Self::Entry => b"entry",
            Self::Offer => b"offer",
            Self::Test => b"test",
        }
    }
}

/// The token for `purpose` that carries a number. It does not expire by itself: what it names does.
pub fn of_id(keyring: &Keyring, purpose: Purpose, id: i64) -> String {
    seal(keyring.current(), purpose.name(), &id.to_be_bytes())
}

/// Reads such a token; `None` for anything that was not made by [`of_id`] for this purpose with one of our keys.
pub fn verify_id(keyring: &Keyring, purpose: Purpose, token: &str) -> Option<i64> {
    Some(i64::from_be_bytes(open(keyring, purpose.name(), token)?.try_into().ok()?))
}

/// What an unsubscribe link says: who leaves, and from which topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsubscribeToken {
    /// The subscriber's id.
    pub subscriber_id: i64,
    /// The topic of the mail that the link stood in.
    pub topic_id: i64,
}

/// The token of an unsubscribe link; it never expires.
pub fn unsubscribe(keyring: &Keyring, token: UnsubscribeToken) -> String {
    let mut payload = [0u8; 16];
    payload[..8].copy_from_slice(&token.subscriber_id.to_be_bytes());
    payload[8..].copy_from_slice(&token.topic_id.to_be_bytes());
    seal(keyring.current(), UNSUBSCRIBE, &payload)
}

/// Reads an unsubscribe token; `None` for anything that was not made by [`unsubscribe`] with one of our keys.
pub fn verify_unsubscribe(keyring: &Keyring, token: &str) -> Option<UnsubscribeToken> {
    let payload: [u8; 16] = open(keyring, UNSUBSCRIBE, token)?.try_into().ok()?;
    let (subscriber, topic) = payload.split_at(8);
    Some(UnsubscribeToken {
        subscriber_id: i64::from_be_bytes(subscriber.try_into().ok()?),
        topic_id: i64::from_be_bytes(topic.try_into().ok()?),
    })
}

fn seal(key: &Key, purpose: &[u8], payload: &[u8]) -> String {
    let mut mac = hmac::Context::with_key(&key.nonce);
    mac.update(purpose);
    mac.update(payload);
    let mut nonce = [0u8; NONCE];
    nonce.copy_from_slice(&mac.sign().as_ref()[..NONCE]);
    let mut sealed = payload.to_vec();
    cipher(key)
        .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::from(purpose), &mut sealed)
        .expect("a payload of a few bytes can be sealed");
    URL_SAFE_NO_PAD.encode([&key.id[..], &nonce[..], &sealed[..]].concat())
}

fn open(keyring: &Keyring, purpose: &[u8], token: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (id, rest) = bytes.split_at_checked(4)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE)?;
    let key = keyring.find(id)?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut sealed = sealed.to_vec();
    let payload = cipher(key).open_in_place(nonce, aead::Aad::from(purpose), &mut sealed).ok()?;
    Some(payload.to_vec())
}

fn cipher(key: &Key) -> aead::LessSafeKey {
    aead::LessSafeKey::new(aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &key.seal).expect("a key has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_serves_one_purpose() {
        let keyring = Keyring::of_secret([7; 32]);
        let text = of_id(&keyring, Purpose::Confirm, 41);
        assert_eq!(verify_id(&keyring, Purpose::Confirm, &text), Some(41));
        assert_eq!(verify_id(&keyring, Purpose::Preferences, &text), None);
        assert_eq!(verify_unsubscribe(&keyring, &text), None);
    }

    #[test]
    fn a_token_comes_back_whole_and_any_flipped_bit_makes_it_invalid() {
        let keyring = Keyring::of_secret([7; 32]);
        let token = UnsubscribeToken { subscriber_id: 41, topic_id: 3 };
        let text = unsubscribe(&keyring, token);
        assert_eq!(verify_unsubscribe(&keyring, &text), Some(token));
        assert_eq!(text, unsubscribe(&keyring, token));
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify_unsubscribe(&keyring, &URL_SAFE_NO_PAD.encode(flipped)), None);
        }
        assert_eq!(verify_unsubscribe(&keyring, ""), None);
        assert_eq!(verify_unsubscribe(&Keyring::of_secret([8; 32]), &text), None);
    }
}
