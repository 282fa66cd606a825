//! Reading: the bytes of an article become a `Document`, whatever form they are in.
//!
//! Owns the detection of the form and every complaint about input that cannot be read. Pure: the same bytes and hints
//! give the same document on every machine. Called by `content::prepare`.

mod feed;
mod form;
pub(super) mod front_matter;
mod html;
mod item;
mod lines;
mod markdown;
mod text;
mod wordpress;

pub use front_matter::check_url;

use super::document::{Block, Document, Format};
use super::{cards, words};

/// What is known about the input besides its bytes.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// The file's name, for messages and for telling the form; `-` for standard input.
    pub name: String,
    /// The article's address, if the operator gave one; it wins over the front matter, and over the link of a feed's only entry.
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
    #[error(
        "article `{0}` is no text ({1}): Markdown, plain text, HTML or a feed was expected; save it as one of them and import it again"
    )]
    Binary(String, &'static str),
    /// Text in another encoding.
    #[error("article `{name}` is not UTF-8: byte {offset} (line {line}) cannot be read; save it as UTF-8 and import it again")]
    NotUtf8 { name: String, offset: usize, line: usize },
    /// A form that is recognised but not read.
    #[error(
        "article `{0}` is {1}: Markdown, plain text, an HTML page, an export of WordPress (WXR), RSS and Atom are read; save it as one of them and import it again"
    )]
    OtherForm(String, &'static str),
    /// XML that cannot be read.
    #[error("`{name}` cannot be read as XML: {message}; export it again, or check the address that it came from")]
    Xml { name: String, message: String },
    /// An export or a feed without a single item.
    #[error("`{0}` holds no article: an export with posts or a feed with entries was expected")]
    NoItems(String),
    /// Many articles where one is asked for.
    #[error("`{name}` holds {items} articles, where one is read: import it as it is, and each becomes an article")]
    Many { name: String, items: usize },
    /// An entry of a feed without its text.
    #[error("`{0}` holds a summary only: a feed with full content was expected (content:encoded, or content in Atom)")]
    SummaryOnly(String),
    /// An item of an export that is no published article.
    #[error("`{name}` was left aside: {reason}")]
    SetAside { name: String, reason: String },
    /// Front matter that does not parse or holds a value of the wrong kind.
    #[error("front matter of article `{name}`, line {line}: {message}")]
    FrontMatter { name: String, line: usize, message: String },
    /// Quotations or lists inside each other without end.
    #[error("article `{name}`, line {line}: lists and quotations are nested more than {limit} deep; flatten them and import it again")]
    TooDeep { name: String, line: usize, limit: usize },
    /// Elements of a page inside each other without end.
    #[error(
        "article `{name}` is a page whose elements are nested more than {limit} deep, which no page for readers needs; save its text and import that"
    )]
    Nested { name: String, limit: usize },
}

/// Reads an article; `format` as `None` tells the form from the text and, between Markdown and plain text, from the name.
pub fn read(bytes: &[u8], format: Option<Format>, hints: &Hints) -> Result<Document, ReadError> {
    let text = decode(bytes, format, &hints.name)?;
    let form = form_of(&text, format, hints)?;
    let mut document = match form {
        Format::Markdown => markdown::read(&text, hints)?,
        Format::Text => text::read(&text, hints),
        Format::Html => html::read(&text, hints)?,
        Format::WordPress | Format::Feed => return lone(&text, form, hints),
    };
    let unstructured = format.is_none() && !document.blocks.iter().any(|b| b.level().is_some());
    if document.format == Format::Markdown && unstructured && !markdown::is_marked(&document) {
        let as_text = text::read(front_matter::skip(&text), hints);
        if as_text.blocks.iter().any(|b| b.level().is_some()) {
            document = Document { front: document.front, ..as_text };
        }
    }
    if hints.url.is_some() {
        document.front.url.clone_from(&hints.url);
    }
    document.blocks.iter_mut().for_each(take_off_buttons);
    Ok(document)
}

/// A heading over the ingredients of a recipe's card holds the buttons that multiply them.
fn take_off_buttons(block: &mut Block) {
    let kept = cards::without_multipliers(&block.text).len();
    if block.level().is_none() || kept == block.text.len() {
        return;
    }
    let buttons = block.text.split_off(kept);
    if let Some(rest) = block.markdown.strip_suffix(buttons.trim_start()) {
        block.markdown.truncate(rest.trim_end().len());
    }
    block.words = words::count(&block.text);
}

/// One of many articles of an input.
pub(super) struct Part {
    /// The file and the article's own name.
    pub(super) name: String,
    /// The article as a page of its own, which can be read again.
    pub(super) source: String,
    /// It as a document.
    pub(super) document: Result<Document, ReadError>,
}

/// The articles of an export or a feed; nothing for a form that holds one.
pub(super) fn parts(bytes: &[u8], format: Option<Format>, hints: &Hints) -> Result<Option<Vec<Part>>, ReadError> {
    let text = decode(bytes, format, &hints.name)?;
    let form = form_of(&text, format, hints)?;
    let mut items = match form {
        Format::WordPress => wordpress::items(&text, &hints.name)?,
        Format::Feed => feed::items(&text, &hints.name, hints.url.as_deref())?,
        _ => return Ok(None),
    };
    if items.is_empty() {
        return Err(ReadError::NoItems(hints.name.clone()));
    }
    if let ([Ok(item)], Some(url)) = (items.as_mut_slice(), &hints.url) {
        item.link = Some(url.clone());
    }
    Ok(Some(items.into_iter().map(|item| part(item, form, hints)).collect()))
}

fn part(item: Result<item::Item, ReadError>, form: Format, hints: &Hints) -> Part {
    match item {
        Ok(item) => {
            let (name, source) = (item.name(&hints.name), item.page());
            let mut document = item::read(&source, &name, form);
            document.iter_mut().flat_map(|document| &mut document.blocks).for_each(take_off_buttons);
            Part { document, name, source }
        }
        Err(error) => {
            let name = match &error {
                ReadError::SetAside { name, .. } | ReadError::SummaryOnly(name) => name.clone(),
                _ => hints.name.clone(),
            };
            Part { name, source: String::new(), document: Err(error) }
        }
    }
}

/// The only article of an export or a feed.
fn lone(text: &str, form: Format, hints: &Hints) -> Result<Document, ReadError> {
    let mut parts = parts(text.as_bytes(), Some(form), hints)?.unwrap_or_default();
    match parts.len() {
        1 => parts.remove(0).document,
        items => Err(ReadError::Many { name: hints.name.clone(), items }),
    }
}

fn form_of(text: &str, format: Option<Format>, hints: &Hints) -> Result<Format, ReadError> {
    let told = || form::detect(text, &hints.name).map_err(|form| ReadError::OtherForm(hints.name.clone(), form));
    format.map_or_else(told, Ok)
}

fn decode(bytes: &[u8], format: Option<Format>, name: &str) -> Result<String, ReadError> {
    if let Some(page) = declared(bytes, format) {
        return Ok(page);
    }
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
    let text = form::from_declaration(text);
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() })
}

/// A page or XML that is not UTF-8 and says what it is.
fn declared(bytes: &[u8], format: Option<Format>) -> Option<String> {
    if std::str::from_utf8(bytes).is_ok() || matches!(format, Some(Format::Markdown | Format::Text)) {
        return None;
    }
    let text = html::decode(bytes)?;
    let text = text.trim_start_matches('\u{feff}');
    text.trim_start().starts_with('<').then(|| text.replace("\r\n", "\n").replace('\r', "\n"))
}
