//! Reading RSS and Atom: each entry with its whole text is an article.
//!
//! Owns what counts as the whole text of an entry; one that holds a summary only is refused. Called by `read::items`.

use super::item::{Item, escaped};
use super::{ReadError, html, wordpress};
use crate::content::words;
use feed_rs::model::{Entry, Text};

/// The entries of a feed in its order.
pub(super) fn items(text: &str, name: &str, address: Option<&str>) -> Result<Vec<Result<Item, ReadError>>, ReadError> {
    let parser = feed_rs::parser::Builder::new().base_uri(address).sanitize_content(false).build();
    let feed = parser.parse(text.as_bytes()).map_err(|error| ReadError::Xml { name: name.to_owned(), message: error.to_string() })?;
    Ok(feed.entries.into_iter().map(|entry| item(entry, name)).collect())
}

fn item(entry: Entry, name: &str) -> Result<Item, ReadError> {
    let link = entry.links.iter().find(|link| matches!(link.rel.as_deref(), None | Some("alternate"))).or(entry.links.first());
    let authors: Vec<String> = entry
        .authors
        .iter()
        .map(|author| author.name.clone().unwrap_or_default().trim().to_owned())
        .filter(|name| !name.is_empty() && !name.contains('@'))
        .collect();
    let mut item = Item {
        title: entry.title.as_ref().map(plain).unwrap_or_default(),
        link: link.map(|link| link.href.clone()).filter(|link| super::check_url(link).is_ok()),
        date: entry.published.or(entry.updated).and_then(|at| at.date_naive().to_string().parse().ok()),
        author: (!authors.is_empty()).then(|| authors.join(", ")),
        tags: entry.categories.iter().map(|category| category.label.clone().unwrap_or_else(|| category.term.clone())).collect(),
        content: String::new(),
    };
    let whole = entry
        .content
        .and_then(|content| content.body.map(|body| (content.content_type.subty().as_str() == "plain" && !is_markup(&body), body)));
    item.content = match (whole, entry.summary) {
        (Some((is_plain, body)), _) if !body.trim().is_empty() => {
            if is_plain {
                paragraphs(&body)
            } else {
                body
            }
        }
        (_, Some(summary)) if is_whole(&summary.content) => summary.content,
        _ => return Err(ReadError::SummaryOnly(item.name(name))),
    };
    Ok(item)
}

/// A title may be HTML.
fn plain(title: &Text) -> String {
    let text = if is_markup(&title.content) || title.content.contains('&') { html::plain(&title.content) } else { title.content.clone() };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_markup(text: &str) -> bool {
    text.contains("</") || text.contains("/>") || text.contains("<p>") || text.contains("<br>")
}

/// Some feeds have the whole article in the field that is meant for its summary.
fn is_whole(summary: &str) -> bool {
    let text = summary.trim_end();
    let cut = ["…", "[...]", "...", "[&#8230;]", "&hellip;", "&#8230;"]
        .iter()
        .any(|mark| text.trim_end_matches("</p>").trim_end().ends_with(mark));
    let blocks = text.matches("<p").count() + text.matches("<h").count() + text.matches("<br").count();
    !cut && blocks >= 3 && words::count(text) >= 150
}

fn paragraphs(text: &str) -> String {
    wordpress::with_paragraphs(&escaped(text))
}
