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
    EMPTY.binary_search(&word).is_ok() || ELSEWHERE.binary_search(&word).is_ok()
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

/// The same in French, German, Spanish, Italian, Portuguese, Dutch and Polish, as far as no English word is written so.
const ELSEWHERE: &[&str] = &[
    "als", "ao", "au", "auch", "auf", "aus", "aussi", "aux", "avec", "bei", "ce", "ces", "cette", "che", "cuándo", "cómo", "da", "dans",
    "das", "dass", "de", "degli", "dei", "del", "della", "delle", "dem", "den", "der", "des", "di", "donc", "dos", "du", "e", "een", "ein",
    "eine", "einem", "einen", "einer", "eines", "el", "elle", "elles", "en", "er", "es", "est", "et", "für", "gli", "het", "hoe", "ich",
    "ihr", "ihre", "ihren", "il", "ils", "im", "ist", "jak", "jest", "kann", "która", "które", "który", "la", "le", "les", "leur", "leurs",
    "mais", "mit", "más", "nach", "nas", "ne", "nel", "nella", "nicht", "nie", "nos", "notre", "nous", "não", "od", "oder", "ook", "oraz",
    "os", "ou", "où", "par", "para", "pas", "por", "pourquoi", "que", "qui", "quoi", "qué", "sans", "se", "ses", "sich", "sie", "sind",
    "się", "sont", "su", "sur", "sus", "te", "um", "uma", "un", "una", "unas", "und", "une", "uno", "unos", "von", "voor", "vos", "votre",
    "vous", "w", "wann", "warum", "wenn", "werden", "wie", "wir", "wird", "y", "z", "zijn", "zu", "zum", "zur", "è", "é", "über", "że",
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

#[cfg(test)]
mod tests {
    use super::{ELSEWHERE, EMPTY, PROSE, is_empty_word};

    #[test]
    fn the_lists_are_in_order() {
        assert!(EMPTY.is_sorted() && ELSEWHERE.is_sorted() && PROSE.is_sorted());
    }

    #[test]
    fn words_without_meaning_are_known_in_other_languages() {
        assert!(["les", "dans", "der", "über", "które", "della"].into_iter().all(is_empty_word));
        assert!(["war", "hat", "son", "comment", "plan"].into_iter().all(|word| !is_empty_word(word)));
    }
}
