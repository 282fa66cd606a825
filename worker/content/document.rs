//! A document: an article as a run of blocks, whatever form it came in.
//!
//! Owns the types that the readers produce and that the segmenter consumes. A block knows its Markdown (what a tip
//! will carry) and its plain text (what the rules look at). Built by `content::read`.

use jiff::civil::Date;

/// The form that an article came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Markdown, with or without front matter.
    Markdown,
    /// Plain text without mark-up, such as a page copied out of a browser.
    Text,
    /// An HTML page with all that stands around the article, or a fragment of one.
    Html,
    /// An export of WordPress (WXR): many articles.
    WordPress,
    /// An RSS or Atom feed: many articles.
    Feed,
}

impl Format {
    /// The name that stands in JSON, in the database and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Markdown => "markdown",
            Format::Text => "text",
            Format::Html => "html",
            Format::WordPress => "wordpress",
            Format::Feed => "feed",
        }
    }

    /// Whether headings are marked as such, and not guessed from short lines.
    pub fn marks_headings(self) -> bool {
        self != Format::Text
    }
}

/// An article as it was read: what is known about it, and its blocks in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The file's name (or what stands for it), for messages and as a last resort for the title.
    pub name: String,
    /// The form it was read as.
    pub format: Format,
    /// What the front matter says.
    pub front: Front,
    /// Every block, in the order of the source.
    pub blocks: Vec<Block>,
    /// What the source shows besides, in its order; only pages have it.
    pub asides: Vec<Aside>,
}

/// Something that a page shows and that its mark-up says is no part of the article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Its words.
    pub text: String,
    /// Why it is none.
    pub reason: &'static str,
    /// How many blocks stand before it.
    pub before: usize,
}

/// What the front matter of an article says; everything is optional.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Front {
    /// `title`.
    pub title: Option<String>,
    /// `date` (or `published`).
    pub date: Option<Date>,
    /// `author` (several are joined with commas).
    pub author: Option<String>,
    /// `url`, `canonical` or `canonical_url`; https or http.
    pub url: Option<String>,
    /// `slug`.
    pub slug: Option<String>,
    /// `series`.
    pub series: Option<String>,
    /// `tags`.
    pub tags: Vec<String>,
    /// `weeks: "6..12"`: the stage window of every tip of the article.
    pub weeks: Option<StageWindow>,
}

/// Whole weeks since a subscriber's stage date: from <= weeks < to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageWindow {
    /// The first week in which the tip fits.
    pub from: i32,
    /// The first week in which it fits no more.
    pub to: i32,
}

impl std::str::FromStr for StageWindow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bounds = text.split_once("..").map(|(from, to)| (from.trim().parse::<i32>(), to.trim().parse::<i32>()));
        match bounds {
            Some((Ok(from), Ok(to))) if 0 <= from && from < to => Ok(StageWindow { from, to }),
            _ => Err(format!(
                "`{text}` is no stage window: write whole weeks as FROM..TO, the first from 0 and the second greater, e.g. 6..12"
            )),
        }
    }
}

impl std::fmt::Display for StageWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

/// One block: a heading, a paragraph, a whole list, a whole table.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// Its Markdown, without a blank line before or after. Citation marks stand in it as `[^label]`.
    pub markdown: String,
    /// Its words as plain text, without marks.
    pub text: String,
    /// The texts of a list's items; empty for other blocks.
    pub items: Vec<String>,
    /// Text and address of each link.
    pub links: Vec<Link>,
    /// How many words it has.
    pub words: usize,
}

/// A link in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What the reader sees.
    pub text: String,
    /// Where it leads.
    pub url: String,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum Kind {
    /// A heading, with its level (1 is the highest) and its own id, if it has one.
    Heading { level: u8, anchor: Option<String> },
    /// A paragraph; `strong` when all of it is bold, `emphasised` when all of it is in italics.
    Paragraph { strong: bool, emphasised: bool },
    /// A list; the number of its first item when it is ordered.
    List { start: Option<usize> },
    /// A table.
    Table,
    /// A quotation.
    Quote,
    /// A block of code or other preformatted text.
    Code,
    /// A paragraph with nothing but images.
    Image,
    /// A line between two parts.
    Break,
    /// Raw HTML that holds no running text.
    Html,
    /// A footnote's text, with the label by which it is cited.
    Footnote { label: String },
}

impl Block {
    /// The level of a heading; nothing for other blocks.
    pub fn level(&self) -> Option<u8> {
        match self.kind {
            Kind::Heading { level, .. } => Some(level),
            _ => None,
        }
    }

    /// Whether it is a paragraph of any kind.
    pub fn is_paragraph(&self) -> bool {
        matches!(self.kind, Kind::Paragraph { .. })
    }
}
