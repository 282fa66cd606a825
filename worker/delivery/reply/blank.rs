//! Takes a recipient out of a relay's text, in every spelling that relays are known to echo.
//!
//! Called by `reply::recorded` only. What is kept here lands in the ledger and in logs, so it errs towards blanking:
//! whole addresses in any case, with percent signs, with `=` for the @ (as in return paths), and the local part alone.

use crate::base::address::EmailAddress;

const BLANK: &str = "<recipient>";
/// A local part that stands alone is blanked from this length on; shorter ones are words like `no`.
const LONE: usize = 3;
/// Nothing beyond this can reach the part that is kept, even if the text is nothing but addresses.
const READ: usize = 20_000;

/// The text without control characters and without the recipient, cut to `length` characters.
pub(super) fn kept(text: &str, recipient: Option<&EmailAddress>, length: usize) -> String {
    if recipient.is_none_or(|recipient| is_unnamed(text, recipient)) && !text.contains(char::is_control) {
        return text.trim().chars().take(length).collect();
    }
    let plain: Vec<char> = text.chars().take(READ).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let blanked = match recipient {
        Some(recipient) => blanked(&plain, &spellings(recipient)),
        None => plain.into_iter().collect(),
    };
    blanked.trim().chars().take(length).collect()
}

// Most replies name nobody: each spelling begins with the local part, which has one form only where it is plain.
fn is_unnamed(text: &str, recipient: &EmailAddress) -> bool {
    let local = recipient.local_part();
    let plain = local.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    plain && text.is_ascii() && !text.to_ascii_lowercase().contains(&local.to_ascii_lowercase())
}

struct Spelling {
    folded: Vec<char>,
    /// Only where it is not part of a longer word.
    alone: bool,
}

fn blanked(text: &[char], spellings: &[Spelling]) -> String {
    let folded: Vec<char> = text.iter().copied().map(fold).collect();
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match spellings.iter().find(|s| stands_at(&folded, at, s)) {
            Some(spelling) => {
                let end = at + spelling.folded.len();
                let bracketed = result.ends_with('<') && text.get(end) == Some(&'>');
                if bracketed {
                    result.pop();
                }
                result.push_str(BLANK);
                at = end + usize::from(bracketed);
            }
            None => {
                result.push(text[at]);
                at += 1;
            }
        }
    }
    result
}

fn stands_at(text: &[char], at: usize, spelling: &Spelling) -> bool {
    let end = at + spelling.folded.len();
    if text.get(at..end) != Some(&spelling.folded[..]) {
        return false;
    }
    let free = |c: Option<&char>| c.is_none_or(|c| !c.is_alphanumeric());
    !spelling.alone || (free(at.checked_sub(1).and_then(|i| text.get(i))) && free(text.get(end)))
}

// Longest first, so that a part never hides the whole.
fn spellings(recipient: &EmailAddress) -> Vec<Spelling> {
    let locals = locals(recipient);
    let given_domain = recipient.as_given().rsplit_once('@').map_or("", |(_, domain)| domain);
    let mut texts: Vec<(String, bool)> = Vec::with_capacity(24);
    for local in &locals {
        for domain in [recipient.domain(), given_domain] {
            for at in ["@", "%40", "=", " at ", "(at)"] {
                texts.push((format!("{local}{at}{domain}"), false));
            }
        }
        if local.chars().count() >= LONE {
            texts.push((local.clone(), true));
        }
    }
    let mut spellings: Vec<Spelling> =
        texts.into_iter().map(|(text, alone)| Spelling { folded: text.chars().map(fold).collect(), alone }).collect();
    spellings.sort_by_key(|s| std::cmp::Reverse(s.folded.len()));
    spellings.dedup_by(|a, b| a.folded == b.folded);
    spellings
}

fn locals(recipient: &EmailAddress) -> Vec<String> {
    let local = recipient.local_part();
    let mut locals = vec![local.to_owned(), percent_encoded(local), garbled(local)];
    if let Some(bare) = local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) {
        locals.push(bare.to_owned());
    }
    // ana+tips goes to ana's mailbox, and relays name that one.
    if let Some((mailbox, _)) = local.split_once('+') {
        locals.push(mailbox.to_owned());
    }
    locals.retain(|local| !local.is_empty());
    locals.sort();
    locals.dedup();
    locals
}

fn percent_encoded(local: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    local.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

// What a text that is not UTF-8 becomes when it is read from the wire.
fn garbled(local: &str) -> String {
    local.chars().flat_map(|c| std::iter::repeat_n(if c.is_ascii() { c } else { '?' }, c.len_utf8())).collect()
}

// One character for one, so that places in the folded text are places in the text.
fn fold(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}
