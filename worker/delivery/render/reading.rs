//! What stands below a tip: related reading and the references that it cites.
//!
//! Owns how a source of an article, which may be a bare line or a pair, becomes a line with at most one link. The
//! templates of both parts show it; rendered once for a revision.

use super::{TipText, dress, letter::one_line};
use serde::{Deserialize, Serialize};

/// Something to read: a reference, or a related article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SourceForm")]
pub struct Source {
    /// What it is called.
    pub text: String,
    /// Where it is, when that is known.
    pub url: Option<String>,
}

// An article's list may hold bare lines as well as pairs.
#[derive(Deserialize)]
#[serde(untagged)]
enum SourceForm {
    Line(String),
    Pair { text: String, url: Option<String> },
}

impl From<SourceForm> for Source {
    fn from(form: SourceForm) -> Self {
        match form {
            SourceForm::Line(text) => Self { text, url: None },
            SourceForm::Pair { text, url } => Self { text, url },
        }
    }
}

/// Related reading and references, as the templates of both parts show them below a tip.
#[derive(Debug, Serialize)]
pub(super) struct ReadingContext {
    related: Vec<Reading>,
    references: Vec<Reading>,
}

#[derive(Debug, Serialize)]
struct Reading {
    number: usize,
    text: String,
    url: Option<String>,
    host: Option<String>,
}

impl ReadingContext {
    pub(super) fn of(tip: &TipText) -> Self {
        Self { related: readings(&tip.related), references: readings(&tip.references) }
    }
}

fn readings(sources: &[Source]) -> Vec<Reading> {
    let readings = sources.iter().map(reading).filter(|reading| !reading.text.is_empty());
    readings.enumerate().map(|(at, reading)| Reading { number: at + 1, ..reading }).collect()
}

// An address may stand apart or in the text; it is shown once, as a link when a mail may carry it.
fn reading(source: &Source) -> Reading {
    let text = one_line(&source.text);
    let found = text.split(' ').map(trim_address).find(|word| dress::may_link(word)).map(str::to_owned);
    let url = source.url.clone().filter(|url| dress::may_link(url)).or(found);
    let host = url.as_deref().map(host_of);
    let said: Vec<&str> = text.split(' ').filter(|word| Some(trim_address(word)) != url.as_deref()).collect();
    let said = said.join(" ");
    let text = if said.chars().any(char::is_alphanumeric) { said } else { host.clone().unwrap_or(text) };
    Reading { number: 0, text, url, host }
}

fn trim_address(word: &str) -> &str {
    word.trim_start_matches(['(', '<', '[']).trim_end_matches(['.', ',', ';', ')', '>', ']'])
}

fn host_of(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or(url);
    host.strip_prefix("www.").unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_shows_its_address_once() {
        let made = reading(&Source { text: "Guideline on rest, 2021. https://www.example.org/rest.".into(), url: None });
        assert_eq!((made.url.as_deref(), made.host.as_deref()), (Some("https://www.example.org/rest"), Some("example.org")));
        assert_eq!(made.text, "Guideline on rest, 2021.");
    }

    #[test]
    fn a_link_that_a_mail_may_not_carry_stays_text() {
        let made = reading(&Source { text: "Old page http://example.org/a".into(), url: Some("javascript:alert(1)".into()) });
        assert_eq!((made.text.as_str(), made.url), ("Old page http://example.org/a", None));
    }
}
