//! Words of a text: counting them, comparing them, and telling the ones that carry meaning.
//!
//! Owns what a word is for every rule of `content`, and the list of words that say nothing by themselves.

/// How many words a text has: runs without white space that hold a letter or a digit.
pub(crate) fn count(text: &str) -> usize {
    let mut words = 0;
    let mut in_word = false;
    for byte in text.bytes() {
        let space = byte.is_ascii_whitespace();
        let letter = byte.is_ascii_alphanumeric() || byte >= 0xc3;
        if space {
            in_word = false;
        } else if letter && !in_word {
            words += 1;
            in_word = true;
        }
    }
    words
}

/// The words in lower case, without punctuation around them.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        } else if c == '\'' || c == '-' || c == '’' {
            // Inside a word only.
            if !word.is_empty() {
                word.push(if c == '-' { '-' } else { '\'' });
            }
        } else if !c.is_ascii() && c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        } else if !word.is_empty() {
            word.truncate(word.trim_end_matches(['\'', '-']).len());
            found.push(std::mem::take(&mut word));
        }
    }
    found
}

/// The same, joined by single spaces: equal for texts that differ in case and punctuation only.
pub(crate) fn key(text: &str) -> String {
    tokens(text).join(" ")
}

/// Whether a word carries no meaning by itself.
pub(crate) fn is_empty_word(word: &str) -> bool {
    EMPTY.binary_search(&word).is_ok()
}

/// The share of words that sentences have and titles or references have not (verbs, pronouns), in percent.
pub(crate) fn prose_share(tokens: &[String]) -> usize {
    let prose = tokens.iter().filter(|t| PROSE.binary_search(&t.as_str()).is_ok()).count();
    if tokens.is_empty() { 0 } else { prose * 100 / tokens.len() }
}

const EMPTY: &[&str] = &[
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before", "but", "by", "can", "could",
    "do", "does", "during", "each", "for", "from", "get", "had", "has", "have", "her", "here", "his", "how", "i", "if", "in", "into", "is",
    "it", "it's", "its", "just", "may", "might", "more", "most", "my", "no", "nor", "not", "of", "on", "one", "or", "our", "out", "over",
    "really", "s", "shall", "she", "should", "so", "some", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "this", "those", "to", "too", "up", "us", "very", "was", "we", "were", "what", "when", "where", "which", "while", "who", "why", "will",
    "with", "without", "would", "you", "your",
];

const PROSE: &[&str] = &[
    "are", "be", "been", "but", "can", "could", "do", "does", "don't", "even", "had", "has", "have", "he", "how", "if", "is", "it", "it's",
    "its", "just", "may", "might", "more", "most", "not", "often", "only", "our", "she", "should", "so", "some", "than", "that", "their",
    "them", "there", "these", "they", "this", "those", "too", "was", "we", "were", "when", "while", "who", "will", "would", "you", "your",
];

/// The text in lower case with single spaces, punctuation taken out: what a fingerprint is made of.
pub(crate) fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        let kept = if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() };
        if !kept {
            gap = true;
            continue;
        }
        if gap && !out.is_empty() {
            out.push(' ');
        }
        gap = false;
        if c.is_ascii() {
            out.push(c.to_ascii_lowercase());
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}
