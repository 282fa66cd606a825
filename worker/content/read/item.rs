//! One article of an export or a feed, written down as a page of its own.
//!
//! Owns that page's form: what is known of the article in its head, and the article's HTML as its body. It is what a revision
//! keeps, and it can be read again by itself. Called by `wordpress` and `feed`.

use super::{Hints, ReadError, html};
use crate::content::document::{Document, Format};
use jiff::civil::Date;

/// An article among others.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Item {
    pub(super) title: String,
    pub(super) link: Option<String>,
    pub(super) date: Option<Date>,
    pub(super) author: Option<String>,
    pub(super) tags: Vec<String>,
    /// Its text in HTML.
    pub(super) content: String,
}

impl Item {
    /// How it is called in messages.
    pub(super) fn name(&self, file: &str) -> String {
        let own = if self.title.trim().is_empty() { self.link.as_deref().unwrap_or("without a title") } else { self.title.trim() };
        format!("{file}: {own}")
    }

    /// It as a page.
    pub(super) fn page(&self) -> String {
        let mut out = String::from("<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n");
        out += &format!("<title>{}</title>\n", escaped(self.title.trim()));
        let known = [
            ("link", self.link.clone().map(|link| format!("<link rel=\"canonical\" href=\"{}\">\n", escaped(&link)))),
            ("date", self.date.map(|date| format!("<meta name=\"date\" content=\"{date}\">\n"))),
            ("author", self.author.clone().map(|author| format!("<meta name=\"author\" content=\"{}\">\n", escaped(&author)))),
        ];
        known.into_iter().filter_map(|(_, line)| line).for_each(|line| out += &line);
        for tag in &self.tags {
            out += &format!("<meta property=\"article:tag\" content=\"{}\">\n", escaped(tag));
        }
        out += "</head>\n<body itemprop=\"articleBody\">\n";
        if !self.title.trim().is_empty() {
            out += &format!("<h1>{}</h1>\n", escaped(self.title.trim()));
        }
        out += &self.content;
        out += "\n</body>\n</html>\n";
        out
    }
}

/// Reads the page of an item; its blocks are those of any page.
pub(super) fn read(page: &str, name: &str, format: Format) -> Result<Document, ReadError> {
    let document = html::read(page, &Hints { name: name.to_owned(), url: None })?;
    Ok(Document { format, ..document })
}

/// Text as HTML that shows it as it is.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
