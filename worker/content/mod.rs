//! Content: articles become tips.
//!
//! One way: `read` (bytes to a document of blocks) -> `segment` (which blocks make a segment, which are left out) ->
//! `compose` (tips) -> `store` (Postgres; `revise` says which segments are those of last time). All but the last are pure and
//! deterministic: the same bytes give the same tips on every machine. `feeds` brings in what others publish. Called by `cli`, `jobs` and
//! `demo`; `present` is called by the mails' templates. `letter` reads the text of a broadcast, which is no article.

mod address;
mod buttons;
mod bylines;
mod cards;
pub mod citations;
pub mod compose;
mod cut;
pub mod dates;
pub mod document;
pub mod feeds;
mod head;
mod headings;
mod joining;
pub mod letter;
mod markup;
mod openings;
mod phrases;
mod present;
pub mod read;
mod references;
pub mod revise;
mod roles;
mod sections;
pub mod segment;
mod sentences;
mod sift;
mod signs;
pub mod store;
mod subject;
mod vocabulary;
mod wholes;
mod words;

pub use compose::{Article, Related, Tip};
pub use document::{Format, StageWindow};
pub use present::{markdown_to_html, markdown_to_text};
pub use read::{Hints, ReadError};
pub use segment::{SegmentError, Settings};

use std::collections::HashSet;

/// Why an article gave no tips.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ContentError {
    /// Its bytes could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It could be read, but not cut into segments.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// Another article of the same input is known by the same sign.
    #[error(
        "`{name}` was left out: two entries have {sign}, by which an article is known again, and this is the second; give it one of its own"
    )]
    #[expect(missing_docs, reason = "the sentence names the fields")]
    Twice { name: String, sign: String },
}

/// Makes the tips of an article; touches neither database nor clock.
pub fn prepare(bytes: &[u8], format: Option<Format>, hints: &Hints, settings: &Settings) -> Result<Article, ContentError> {
    made(&read::read(bytes, format, hints)?, settings)
}

/// An article that was found in an input.
#[derive(Debug)]
pub struct Found {
    /// The file, and for one of many articles its title or its address.
    pub name: String,
    /// What a revision keeps: the input itself, or the article as a page of its own, which `prepare` reads again.
    pub source: Vec<u8>,
    /// The article, or why there is none.
    pub article: Result<Article, ContentError>,
}

impl Found {
    /// Why it was left aside without being wrong: an item of an export that is no published article.
    pub fn set_aside(&self) -> Option<&str> {
        match &self.article {
            Err(ContentError::Read(ReadError::SetAside { reason, .. })) => Some(reason),
            _ => None,
        }
    }
}

/// Makes the tips of every article of an input: one, or as many as an export or a feed holds. Fails when the input as a whole cannot
/// be read.
pub fn articles(bytes: &[u8], format: Option<Format>, hints: &Hints, settings: &Settings) -> Result<Vec<Found>, ContentError> {
    let Some(parts) = read::parts(bytes, format, hints)? else {
        let article = prepare(bytes, format, hints, settings)?;
        return Ok(vec![Found { name: hints.name.clone(), source: bytes.to_vec(), article: Ok(article) }]);
    };
    let mut signs = HashSet::new();
    let found = parts.into_iter().map(|part| {
        let article = part.document.map_err(ContentError::from).and_then(|document| made(&document, settings));
        let article = article.and_then(|article| match sign_of(&article) {
            sign if signs.contains(&sign) => Err(ContentError::Twice { name: part.name.clone(), sign }),
            sign => {
                signs.insert(sign);
                Ok(article)
            }
        });
        Found { name: part.name, source: part.source.into_bytes(), article }
    });
    Ok(found.collect())
}

/// What an article is known by when it comes again; two that have it in common would overwrite each other.
fn sign_of(article: &Article) -> String {
    match &article.url {
        Some(url) => format!("the address `{url}`"),
        None => format!("no address and the name `{}`", article.slug),
    }
}

fn made(document: &document::Document, settings: &Settings) -> Result<Article, ContentError> {
    let segmented = segment::segment(document, settings)?;
    Ok(compose::compose(document, &segmented))
}

#[cfg(test)]
mod tests;
