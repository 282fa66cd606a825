//! References: telling a source from a sentence, reading lists of them, and finding which ones a text cites.
//!
//! Owns the labels by which references are cited. Called by `sift` (what is a reference?) and `segment` (who cites it?).

use super::document::{Block, Kind, Link};
use super::phrases::phrases;
use super::{citations, words};
use std::collections::{HashMap, HashSet};

/// More sources of one year are not looked through for a name: it would cost time by the square.
const MOST_A_YEAR: usize = 300;

/// A source that the article names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its words, with its address.
    pub text: String,
    /// The numbers or names by which the text cites it.
    labels: Vec<String>,
}

/// The references of an article, and how to find those that a text cites.
#[derive(Debug, Default)]
pub struct References {
    /// In the order of the list.
    pub list: Vec<Reference>,
    by_label: HashMap<String, usize>,
    by_year: HashMap<String, Vec<(usize, Vec<String>)>>,
    by_url: HashMap<String, usize>,
}

/// Whether a text reads like a source and not like a sentence.
pub(crate) fn is_reference(text: &str) -> bool {
    let count = words::count(text);
    let sized = (3..=90).contains(&count) && text.bytes().any(|b| b.is_ascii_digit());
    sized && signs_of_source(text) >= 2 && words::prose_share(&words::tokens(text)) <= 12
}

/// Whether a text may stand between two sources as one of them: titles and names, no sentence.
pub(crate) fn may_be_reference(text: &str) -> bool {
    words::count(text) <= 60 && words::prose_share(&words::tokens(text)) <= 8
}

fn signs_of_source(text: &str) -> usize {
    let named = phrases(text).sources as usize;
    let years = years(text);
    if named == 0 && years.is_empty() {
        return usize::from(opens_with_authors(text)) * 2;
    }
    // "Organisation. Title, 2021."
    let closing = text.trim_end_matches(['.', ')', ' ']);
    let dated = text.contains(". ") && years.last().is_some_and(|(at, _)| at + 4 == closing.len());
    named + usize::from(opens_with_authors(text)) * 2 + usize::from(has_volume(text)) + usize::from(!years.is_empty()) + usize::from(dated)
}

/// "Smith, J. A." or "Smith JA," or three names in a row.
fn opens_with_authors(text: &str) -> bool {
    let text = without_label(text).1;
    let mut tokens = text.split_whitespace();
    let (Some(first), Some(second)) = (tokens.next(), tokens.next()) else { return false };
    let surname = first.trim_end_matches(',');
    let is_name = surname.chars().next().is_some_and(char::is_uppercase) && surname.chars().count() >= 2;
    let letters: String = second.chars().filter(|c| c.is_alphabetic()).collect();
    let initials = letters.chars().count() <= 3 && !letters.is_empty() && letters.chars().all(char::is_uppercase);
    let listed = text.split(", ").take(3).filter(|part| {
        let words: Vec<&str> = part.split(' ').collect();
        (2..=3).contains(&words.len()) && words.iter().all(|word| word.chars().next().is_some_and(char::is_uppercase))
    });
    let tight = first.ends_with(',') || second.ends_with([',', '.', ';', ':']) || second.ends_with(char::is_uppercase);
    (is_name && initials && tight) || listed.count() == 3
}

/// "17(4):514", "1995;311", "23: 307-11".
fn has_volume(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    (1..bytes.len()).any(|i| match bytes[i] {
        b';' => digit(i - 1) && (digit(i + 1) || (bytes.get(i + 1) == Some(&b' ') && digit(i + 2))),
        b':' => (digit(i - 1) || bytes[i - 1] == b')') && (digit(i + 1) || (bytes.get(i + 1) == Some(&b' ') && digit(i + 2))),
        b'(' => digit(i - 1) && digit(i + 1),
        _ => false,
    })
}

/// Every year from 1900 to 2099 and where it stands.
fn years(text: &str) -> Vec<(usize, &str)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at + 4 <= bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let run = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let alone = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        if run == 4 && alone && (bytes[at..].starts_with(b"19") || bytes[at..].starts_with(b"20")) {
            found.push((at, &text[at..at + 4]));
        }
        at += run;
    }
    found
}

/// Reads the references out of the blocks that hold them.
pub(crate) fn collect<'a>(blocks: impl Iterator<Item = &'a Block>) -> References {
    let mut list: Vec<Reference> = Vec::new();
    for block in blocks {
        let texts: Vec<(Option<String>, String)> = match &block.kind {
            Kind::Heading { .. } if list.is_empty() && words::count(&block.text) <= 4 => Vec::new(),
            Kind::List { start } => {
                block.items.iter().enumerate().map(|(i, item)| (start.map(|first| (first + i).to_string()), flat(item))).collect()
            }
            Kind::Footnote { label } => vec![(Some(label.clone()), flat(&block.text))],
            _ => lines(&block.text).iter().map(|line| owned(without_label(line))).collect(),
        };
        for (position, (label, text)) in texts.into_iter().enumerate().filter(|(_, (_, text))| !text.is_empty()) {
            list.push(Reference { text: with_address(text, links_at(block, position)), labels: label.into_iter().collect() });
        }
    }
    index(list)
}

fn owned((label, text): (Option<&str>, &str)) -> (Option<String>, String) {
    (label.map(str::to_owned), text.to_owned())
}

/// Each line by itself if every line is a source; else one text.
fn lines(text: &str) -> Vec<String> {
    let split: Vec<&str> = text.lines().collect();
    let each = split.len() > 1 && split.iter().all(|line| without_label(line).0.is_some() || is_reference(line));
    if each { split.into_iter().map(str::to_owned).collect() } else { vec![flat(text)] }
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `[3] Text`, `3. Text` and `^ Text`: the label and the text.
fn without_label(text: &str) -> (Option<&str>, &str) {
    let text = text.trim_start_matches(['^', '↑', ' ']);
    if let Some(label) = citations::mark(text) {
        return (Some(label), text[label.len() + 2..].trim_start_matches([' ', ':', '.']));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text[digits..].strip_prefix(['.', ')']).filter(|rest| rest.starts_with(' '));
    match rest {
        Some(rest) if (1..=3).contains(&digits) => (Some(&text[..digits]), rest.trim_start()),
        _ => (None, text),
    }
}

/// The links that can belong to one item; a long list whose links cannot be told apart has none to give.
fn links_at(block: &Block, position: usize) -> &[Link] {
    if !block.items.is_empty() && block.links.len() == block.items.len() {
        return &block.links[position..=position];
    }
    if block.links.len() <= 200 { &block.links } else { &[] }
}

/// A source whose link is only behind its words gets the address after them.
fn with_address(text: String, links: &[Link]) -> String {
    let behind = links.iter().find(|link| !link.text.is_empty() && text.contains(link.text.as_str()) && !text.contains(link.url.as_str()));
    match behind.filter(|link| link.url.starts_with("http")) {
        Some(link) => format!("{text} {}", link.url),
        None => text,
    }
}

fn index(mut list: Vec<Reference>) -> References {
    let mut seen = HashSet::new();
    list.retain(|reference| !reference.labels.is_empty() || seen.insert(reference.text.clone()));
    // A number that no label bears means the place in the list.
    for (position, reference) in list.iter_mut().enumerate() {
        reference.labels.push((position + 1).to_string());
    }
    let mut references = References::default();
    for (position, reference) in list.iter().enumerate() {
        for (_, year) in years(&reference.text) {
            let sources = references.by_year.entry(year.to_owned()).or_default();
            if sources.len() < MOST_A_YEAR {
                sources.push((position, names(&reference.text)));
            }
        }
        for word in reference.text.split_whitespace().filter(|word| word.starts_with("http")) {
            references.by_url.entry(url_key(word)).or_insert(position);
        }
    }
    for place in 0..2 {
        for (position, reference) in list.iter().enumerate() {
            if let Some(label) = reference.labels.get(place) {
                references.by_label.entry(label.clone()).or_insert(position);
            }
        }
    }
    references.list = list;
    references
}

/// What a text would call the source by: its first word, its abbreviation in brackets.
fn names(text: &str) -> Vec<String> {
    let first = text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '\'').find(|word| word.len() >= 2);
    let first = first.filter(|word| !matches!(*word, "The" | "A" | "An")).or_else(|| text.split_whitespace().nth(1));
    let mut names: Vec<String> = first.into_iter().map(|word| word.trim_matches([',', '.']).to_owned()).collect();
    if let Some(short) = text
        .split('(')
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .find(|short| (2..=8).contains(&short.len()) && short.chars().all(char::is_uppercase))
    {
        names.push(short.to_owned());
    }
    let head = text.split(['.', ',']).next().unwrap_or_default();
    let initials: String = head.split_whitespace().filter_map(|word| word.chars().next()).filter(|c| c.is_uppercase()).collect();
    if initials.len() >= 3 && head.split_whitespace().count() >= 3 {
        names.push(initials);
    }
    names
}

fn url_key(url: &str) -> String {
    let bare = url.trim_start_matches("https://").trim_start_matches("http://").trim_start_matches("www.");
    bare.trim_end_matches(['.', ',', ')', '/', '>', ']']).to_lowercase()
}

impl References {
    /// The place of a label in the list.
    pub fn by_label(&self, label: &str) -> Option<usize> {
        self.by_label.get(label).copied()
    }

    /// Which references some blocks cite: first those with a mark, in the order of the marks, then those called by name
    /// and year or by address.
    pub fn cited_in<'a>(&self, blocks: impl Iterator<Item = &'a Block> + Clone) -> Vec<usize> {
        if self.list.is_empty() {
            return Vec::new();
        }
        let marked = blocks.clone().filter(|block| block.kind != Kind::Code).flat_map(|block| self.marked_in(block));
        let mut seen = HashSet::new();
        marked.chain(blocks.flat_map(|block| self.named_in(block))).filter(|position| seen.insert(*position)).collect()
    }

    fn marked_in(&self, block: &Block) -> Vec<usize> {
        citations::cited(&block.markdown).iter().filter_map(|label| self.by_label(label)).collect()
    }

    fn named_in(&self, block: &Block) -> Vec<usize> {
        let mut found = Vec::new();
        for (at, year) in years(&block.text) {
            let Some(sources) = self.by_year.get(year) else { continue };
            let before = &block.text[floor(&block.text, at.saturating_sub(60))..at];
            found.extend(sources.iter().filter(|(_, names)| names.iter().any(|name| cites(before, name))).map(|(position, _)| *position));
        }
        found.extend(block.links.iter().filter_map(|link| self.by_url.get(&url_key(&link.url)).copied()));
        found
    }
}

/// Whether the words before a year name the source: "Smith et al., " or "(WHO, ".
fn cites(before: &str, name: &str) -> bool {
    let Some(at) = before.rfind(name).filter(|_| name.len() >= 2) else { return false };
    let whole = !before[..at].ends_with(char::is_alphanumeric);
    let between = &before[at + name.len()..];
    let names_only = between.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).all(|word| {
        matches!(word, "et" | "al" | "and" | "colleagues" | "guideline" | "of")
            || word.chars().next().is_some_and(char::is_uppercase)
            || word.bytes().all(|b| b.is_ascii_digit())
    });
    whole && !between.starts_with(char::is_alphanumeric) && names_only && !between.contains(". ") | between.contains("al. ")
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
