//! Reading: the bytes of an article become a `Document`, whatever form they are in.
//!
//! Owns the detection of the form and every complaint about input that cannot be read. Pure: the same bytes and hints
//! give the same document on every machine. Called by `content::prepare`.

pub(super) mod front_matter;
mod lines;
mod markdown;
mod text;

pub use front_matter::check_url;

use super::document::{Document, Format};

/// What is known about the input besides its bytes.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// The file's name, for messages and for telling the form; `-` for standard input.
    pub name: String,
    /// The article's address, if the operator gave one; it wins over the front matter.
    pub url: Option<String>,
}

/// Why an input could not be read as an article.
#[derive(Debug, thiserror::Error, PartialEq)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum ReadError {
    /// Nothing but white space.
    #[error("article `{0}` is empty: a text with a title and sections was expected")]
    Empty(String),
    /// Bytes that are no text at all.
    #[error("article `{0}` is no text ({1}): Markdown or plain text in UTF-8 was expected; save it as one of them and import it again")]
    Binary(String, &'static str),
    /// Text in another encoding.
    #[error("article `{name}` is not UTF-8: byte {offset} (line {line}) cannot be read; save it as UTF-8 and import it again")]
    NotUtf8 { name: String, offset: usize, line: usize },
    /// A form that is recognised but not read.
    #[error("article `{0}` is {1}, which is not read yet: Markdown and plain text are; save it as one of them and import it again")]
    OtherForm(String, &'static str),
    /// Front matter that does not parse or holds a value of the wrong kind.
    #[error("front matter of article `{name}`, line {line}: {message}")]
    FrontMatter { name: String, line: usize, message: String },
    /// Quotations or lists inside each other without end.
    #[error("article `{name}`, line {line}: lists and quotations are nested more than {limit} deep; flatten them and import it again")]
    TooDeep { name: String, line: usize, limit: usize },
}

/// Reads an article; `format` as `None` tells the form from the name and the text.
pub fn read(bytes: &[u8], format: Option<Format>, hints: &Hints) -> Result<Document, ReadError> {
    let text = decode(bytes, &hints.name)?;
    if let Some(form) = other_form(&text) {
        return Err(ReadError::OtherForm(hints.name.clone(), form));
    }
    let mut document = match format.unwrap_or_else(|| detect(&text, &hints.name)) {
        Format::Markdown => markdown::read(&text, hints)?,
        Format::Text => text::read(&text, hints),
    };
    let unstructured = format.is_none() && !document.blocks.iter().any(|b| b.level().is_some());
    if document.format == Format::Markdown && unstructured {
        let as_text = text::read(front_matter::skip(&text), hints);
        if as_text.blocks.iter().any(|b| b.level().is_some()) {
            document = Document { front: document.front, ..as_text };
        }
    }
    if hints.url.is_some() {
        document.front.url.clone_from(&hints.url);
    }
    Ok(document)
}

fn decode(bytes: &[u8], name: &str) -> Result<String, ReadError> {
    let binary = |what| Err(ReadError::Binary(name.to_owned(), what));
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return binary("it looks like UTF-16"),
        [b'%', b'P', b'D', b'F', ..] => return binary("it is a PDF"),
        [b'P', b'K', 3, 4, ..] => return binary("it is a ZIP archive or a word processor's document"),
        [b'{', b'\\', b'r', b't', b'f', ..] => return binary("it is rich text"),
        _ if bytes.contains(&0) => return binary("it holds zero bytes"),
        _ => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let line = 1 + bytes[..offset].iter().filter(|b| **b == b'\n').count();
        ReadError::NotUtf8 { name: name.to_owned(), offset, line }
    })?;
    if text.trim().is_empty() {
        return Err(ReadError::Empty(name.to_owned()));
    }
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() })
}

fn other_form(text: &str) -> Option<&'static str> {
    let start: String = text.trim_start().chars().take(200).collect::<String>().to_ascii_lowercase();
    if start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head") {
        return Some("an HTML page");
    }
    if start.starts_with("<rss") || start.starts_with("<feed") || (start.starts_with("<?xml") && !start.contains("xhtml")) {
        return Some("XML (a feed or an export)");
    }
    start.starts_with("<?xml").then_some("an HTML page")
}

/// Markdown by its name, by its front matter or by its headings; anything else is plain text.
fn detect(text: &str, name: &str) -> Format {
    let lower = name.to_ascii_lowercase();
    let named = [".md", ".markdown", ".mdown", ".mkd"].iter().any(|ending| lower.ends_with(ending));
    if named || front_matter::is_there(text) || has_atx_heading(text) { Format::Markdown } else { Format::Text }
}

fn has_atx_heading(text: &str) -> bool {
    text.lines().any(|line| {
        let rest = line.trim_start_matches('#');
        (1..=6).contains(&(line.len() - rest.len())) && rest.starts_with(' ') && !rest.trim().is_empty()
    })
}
