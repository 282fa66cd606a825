//! Reading HTML: a page with all its chrome, or a fragment, becomes the same blocks as Markdown.
//!
//! In reading order: `decode` (bytes), `page` (what a browser would show), `head` (title, date, author, address), `main_text`
//! (where the article stands), `flow` (its blocks; `line` and `table` do what stands in them). Called by `read` and by the readers
//! of exports and feeds, whose articles are HTML.

use super::{Hints, ReadError, front_matter, markdown};
use crate::content::document::{Document, Format, Front};
use scraper::Html;

mod decode;
mod flow;
mod head;
mod line;
mod main_text;
mod names;
mod nesting;
mod page;
mod parts;
mod table;

pub(super) use decode::decode;

/// The longest title or name that is read as HTML: the parser's cost grows by the square where elements are nested.
const LONGEST_SHORT: usize = 1_000;

/// Reads a page; front matter before it is understood as in Markdown, and wins over what the page says.
pub(super) fn read(text: &str, hints: &Hints) -> Result<Document, ReadError> {
    let (given, body) = front_matter::parse(text, &hints.name)?;
    let too_deep = |limit| ReadError::Nested { name: hints.name.clone(), limit };
    // What stands under front matter was written for a template.
    let marked = (body.len() < text.len() && body.contains("{%")).then(|| without_template_tags(body));
    let html = page::parse(marked.as_deref().unwrap_or(body)).map_err(too_deep)?;
    let page = page::Page::of(&html).map_err(too_deep)?;
    let (said, base) = head::front(&html, &page, hints.url.as_deref().or(given.url.as_deref()));
    let front = Front {
        title: given.title.or(said.title),
        date: given.date.or(said.date),
        author: given.author.or(said.author),
        url: said.url,
        tags: if given.tags.is_empty() { said.tags } else { given.tags },
        ..given
    };
    let found = main_text::find(&page);
    let (mut blocks, asides) = flow::blocks(&page, &found, base.as_deref(), front.title.as_deref().unwrap_or_default());
    if !blocks.iter().any(|block| block.level().is_some_and(|level| level > 1)) {
        markdown::raise_headings(&mut blocks);
    }
    Ok(Document { name: hints.name.clone(), format: Format::Html, front, blocks, asides })
}

/// A title or a name that may be HTML, as a reader sees it; what goes beyond any title is cut off.
pub(super) fn plain(text: &str) -> String {
    let short = text.char_indices().nth(LONGEST_SHORT).map_or(text, |(end, _)| {
        // Not within a tag, whose beginning would pass for text.
        let cut = &text[..end];
        cut.rfind('<').filter(|open| !cut[*open..].contains('>')).map_or(cut, |open| &cut[..open])
    });
    Html::parse_fragment(short).root_element().text().collect()
}

/// Marks `{% … %}` so that it is left out with a reason.
fn without_template_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{%") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = from.find("%}").map_or(from.len(), |end| end + 2);
        let in_tag = before.rfind('<').is_some_and(|open| !before[open..].contains('>'));
        if in_tag {
            out.push_str(&from[..end]);
        } else {
            out.push_str(&format!("<span class=\"wp-shortcode\">{}</span>", super::item::escaped(&from[..end])));
        }
        rest = &from[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
