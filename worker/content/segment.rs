//! Segmenting: a document becomes the segments that tips are made of, and a list of what was left out and why.
//!
//! Owns the order of the steps and the accounting: every block ends in exactly one segment or in `left_out`. Pure and
//! deterministic. Called by `content::prepare`.

use super::document::{Document, Format, Kind};
use super::head::{self, Head};
use super::references::{self, References};
use super::sections::{self, Part, Piece};
use super::sift::{self, Fate, Fates};
use super::{citations, cut, signs, words};
use serde::Serialize;

/// What may be tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A segment with more words is cut between paragraphs.
    pub most_words: usize,
    /// A section with fewer words joins the next.
    pub least_words: usize,
    /// An article without sections becomes one tip if it has at least this many words (and at most `most_words`).
    pub least_words_alone: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { most_words: 450, least_words: 40, least_words_alone: 60 }
    }
}

/// A self-contained section of an article.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The headings above it and its own, highest first.
    pub heading_path: Vec<String>,
    /// The headings of the short sections that it was joined of, when there is more than one.
    pub names: Vec<String>,
    /// The id of its heading, if the source gives one.
    pub anchor: Option<String>,
    /// Which piece of an over-long section it is (from 1), and of how many.
    pub piece: Option<(usize, usize)>,
    /// The blocks of its body in order, inner headings included.
    pub body: Vec<usize>,
    /// Every block that it accounts for: body, headings, related lines.
    pub blocks: Vec<usize>,
    /// Blocks that hold related reading.
    pub related: Vec<usize>,
    /// Places in the article's list of the references that it cites, in the order of citing.
    pub references: Vec<usize>,
    /// How many words its body has.
    pub words: usize,
    /// A hash of its words, which stays the same when only its heading or its marks change.
    pub fingerprint: String,
}

/// A block that is in no tip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its words.
    pub text: String,
    /// Why it was left out.
    pub reason: String,
    /// Which block it is; nothing for what the page shows besides.
    #[serde(skip)]
    pub block: Option<usize>,
}

/// The outcome of segmenting.
#[derive(Debug)]
pub struct Segmented {
    /// Title, date and author.
    pub head: Head,
    /// The segments, in the order of the article.
    pub segments: Vec<Segment>,
    /// The article's references.
    pub references: References,
    /// What is in no tip.
    pub left_out: Vec<LeftOut>,
}

/// Why a document gave no segment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum SegmentError {
    /// No heading with text under it, and no short article that could be one tip.
    #[error(
        "article `{name}` has no sections: {looked_for}; give it headings (without any, only an article with a title and {least} to {most} words becomes one tip; this one has {words})"
    )]
    NoSections { name: String, looked_for: &'static str, least: usize, most: usize, words: usize },
}

/// Cuts a document into segments.
pub fn segment(document: &Document, settings: &Settings) -> Result<Segmented, SegmentError> {
    let mut fates: Fates = vec![None; document.blocks.len()];
    sift::settle_captions(document, &mut fates);
    let head = head::find(document, &mut fates);
    sift::sift(document, &mut fates);
    let before = fates.clone();
    let mut parts = sections::parts(document, &mut fates, settings);
    if parts.is_empty() {
        fates = before;
        parts = vec![alone(document, &fates, &head, settings)?];
        while sections::settle_loose_ends(document, &mut parts, &mut fates) {}
    }
    let sources = document.blocks.iter().zip(&fates).filter(|(_, fate)| **fate == Some(Fate::Reference)).map(|(block, _)| block);
    let references = references::collect(sources);
    let mut segments = Vec::new();
    for part in &parts {
        for piece in cut::cut(document, &fates, part, settings) {
            segments.push(finish(document, &fates, &references, piece));
        }
    }
    let left_out = left_out(document, &fates, &segments);
    Ok(Segmented { head, segments, references, left_out })
}

/// A short article with a title and no sections is one segment.
fn alone(document: &Document, fates: &Fates, head: &Head, settings: &Settings) -> Result<Part, SegmentError> {
    let open: Vec<usize> = (0..document.blocks.len()).filter(|i| fates[*i].is_none() && document.blocks[*i].level().is_none()).collect();
    let count: usize = open.iter().map(|i| document.blocks[*i].words).sum();
    let titled = head.title_at.is_some() || document.front.title.is_some();
    if !titled || !(settings.least_words_alone..=settings.most_words).contains(&count) {
        return Err(SegmentError::NoSections {
            name: document.name.clone(),
            looked_for: looked_for(document.format),
            least: settings.least_words_alone,
            most: settings.most_words,
            words: count,
        });
    }
    let is_text = |i: &usize| fates[*i] == Some(Fate::Related) || (fates[*i].is_none() && document.blocks[*i].level().is_none());
    let with_related = (0..document.blocks.len()).filter(is_text).collect();
    let owned = (0..document.blocks.len()).filter(|i| fates[*i].is_none() && document.blocks[*i].level().is_some()).collect();
    Ok(Part {
        main: None,
        path: Vec::new(),
        level: 1,
        words: count,
        owned,
        names: Vec::new(),
        whole: true,
        pieces: vec![Piece { heading: None, blocks: with_related, words: count }],
    })
}

fn looked_for(format: Format) -> &'static str {
    match format {
        Format::Markdown => {
            "headings were looked for as lines that begin with #, lines underlined with = or -, and short paragraphs all in bold, each with text under it"
        }
        Format::Html | Format::WordPress | Format::Feed => {
            "headings were looked for as h1 to h6 and as short paragraphs all in bold, in what was taken for the page's article"
        }
        Format::Text => {
            "headings were looked for as short lines of their own that begin with a capital and do not end with a full stop, each with text under it"
        }
    }
}

fn finish(document: &Document, fates: &Fates, references: &References, piece: cut::Cut) -> Segment {
    let block = |index: &usize| &document.blocks[*index];
    let (related, body): (Vec<usize>, Vec<usize>) = piece.body.iter().partition(|i| fates[**i] == Some(Fate::Related));
    let cited = references.cited_in(body.iter().map(block));
    let anchor = piece.path.last().and_then(|index| match &block(index).kind {
        Kind::Heading { anchor, .. } => anchor.clone(),
        _ => None,
    });
    Segment {
        heading_path: piece.path.iter().map(|index| block(index).text.clone()).collect(),
        names: piece.names.iter().map(|index| block(index).text.clone()).collect(),
        anchor,
        piece: piece.number,
        words: body.iter().map(|index| block(index).words).sum(),
        fingerprint: fingerprint(body.iter().map(|index| block(index).text.as_str())),
        blocks: piece.owned.into_iter().chain(piece.body).collect(),
        body,
        related,
        references: cited,
    }
}

/// A hash of the words alone: case, punctuation, mark-up and citation marks do not count.
pub fn fingerprint<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for text in texts {
        hash.update(words::bare(&citations::without_marks(text)).as_bytes());
        hash.update(b"\n");
    }
    hash.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn left_out(document: &Document, fates: &Fates, segments: &[Segment]) -> Vec<LeftOut> {
    let mut placed = vec![false; document.blocks.len()];
    segments.iter().flat_map(|segment| &segment.blocks).for_each(|index| placed[*index] = true);
    let mut asides = document.asides.iter().peekable();
    let mut left_out = Vec::new();
    for (index, placed) in placed.into_iter().chain([true]).enumerate() {
        while let Some(aside) = asides.next_if(|aside| aside.before <= index) {
            left_out.push(LeftOut { text: aside.text.clone(), reason: aside.reason.to_owned(), block: None });
        }
        if placed {
            continue;
        }
        let block = &document.blocks[index];
        let reason = match fates[index] {
            Some(Fate::Left(reason)) => reason,
            Some(Fate::Reference) => "reference, kept with the article",
            Some(Fate::Related) => "related reading of the whole article",
            None => signs::page_part(&block.text, block.words).unwrap_or("outside the sections"),
        };
        left_out.push(LeftOut { text: block.text.clone(), reason: reason.to_owned(), block: Some(index) });
    }
    left_out
}
