//! Content: articles become tips.
//!
//! One way: `read` (bytes to a document of blocks) -> `segment` (which blocks make a segment, which are left out) ->
//! `compose` (tips) -> `store` (Postgres). All but the last are pure and deterministic: the same bytes give the same
//! tips on every machine. Called by `cli` and `demo`; `present` is called by the mails' templates. `letter` reads the text of a
//! broadcast, which is no article.

pub mod citations;
pub mod compose;
mod cut;
pub mod dates;
pub mod document;
mod head;
mod headings;
pub mod letter;
mod markup;
mod phrases;
mod present;
pub mod read;
mod references;
mod sections;
pub mod segment;
mod sentences;
mod sift;
mod signs;
pub mod store;
mod subject;
mod words;

pub use compose::{Article, Related, Tip};
pub use document::{Format, StageWindow};
pub use present::{markdown_to_html, markdown_to_text};
pub use read::{Hints, ReadError};
pub use segment::{SegmentError, Settings};

/// Why an article gave no tips.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ContentError {
    /// Its bytes could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It could be read, but not cut into segments.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// Makes the tips of an article; touches neither database nor clock.
pub fn prepare(bytes: &[u8], format: Option<Format>, hints: &Hints, settings: &Settings) -> Result<Article, ContentError> {
    let document = read::read(bytes, format, hints)?;
    let segmented = segment::segment(&document, settings)?;
    Ok(compose::compose(&document, &segmented))
}

#[cfg(test)]
mod tests;
