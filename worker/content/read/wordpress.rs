//! Reading an export of WordPress (WXR): each published post or page is an article.
//!
//! Owns which of its items are articles; `wordpress::text` makes their text HTML that can be read. Called by `read::items`.

use super::ReadError;
use super::item::Item;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::HashMap;

mod text;

pub(super) use text::with_paragraphs;

/// What an item of an export says, by the names of its elements.
#[derive(Debug, Default)]
struct Raw {
    fields: HashMap<String, String>,
    tags: Vec<String>,
}

impl Raw {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

/// The items of an export in its order.
pub(super) fn items(text: &str, name: &str) -> Result<Vec<Result<Item, ReadError>>, ReadError> {
    let broken = |message: String| ReadError::Xml { name: name.to_owned(), message };
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = false;
    let mut found = Vec::new();
    let mut open: Option<Raw> = None;
    // The element that is being read: its name, how deep it is below its item, and its text.
    let (mut field, mut depth, mut value) = (String::new(), 0_usize, String::new());
    loop {
        let event = reader.read_event().map_err(|error| broken(format!("{error}, at byte {}", reader.buffer_position())))?;
        match event {
            Event::Eof => break,
            Event::Start(start) if open.is_none() && start.name().as_ref() == "item" => (open, depth) = (Some(Raw::default()), 0),
            Event::Start(_) if open.is_none() => {}
            Event::Start(start) => {
                depth += 1;
                if depth == 1 {
                    field = field_name(&start);
                    value.clear();
                }
            }
            Event::Text(part) if depth == 1 => value.push_str(&part.xml10_content()),
            Event::CData(part) if depth == 1 => value.push_str(&part.xml10_content()),
            Event::GeneralRef(entity) if depth == 1 => value.push_str(&resolved(&entity)),
            Event::End(_) if depth == 0 => found.extend(open.take().map(|raw| item(raw, name))),
            Event::End(_) => {
                depth -= 1;
                if let Some(raw) = open.as_mut().filter(|_| depth == 0) {
                    close(raw, std::mem::take(&mut field), std::mem::take(&mut value));
                }
            }
            _ => {}
        }
    }
    if open.is_some() {
        return Err(broken("it ends in the middle of an item".to_owned()));
    }
    Ok(found)
}

/// The name of an element; that of a category says whether it is one or a tag.
fn field_name(start: &BytesStart<'_>) -> String {
    let name = start.name().as_ref().to_owned();
    let domain = start.attributes().flatten().find(|attribute| attribute.key.as_ref() == "domain");
    match domain.filter(|_| name == "category") {
        Some(domain) => format!("category:{}", domain.value),
        None => name,
    }
}

fn resolved(entity: &quick_xml::events::BytesRef<'_>) -> String {
    if let Ok(Some(character)) = entity.resolve_char_ref() {
        return character.to_string();
    }
    match entity.xml10_content().as_ref() {
        "amp" => "&".to_owned(),
        "lt" => "<".to_owned(),
        "gt" => ">".to_owned(),
        "quot" => "\"".to_owned(),
        "apos" => "'".to_owned(),
        other => format!("&{other};"),
    }
}

fn close(raw: &mut Raw, field: String, value: String) {
    match field.as_str() {
        "category:category" | "category:post_tag" | "category" => {
            let tag = value.trim();
            if !tag.is_empty()
                && !tag.eq_ignore_ascii_case("uncategorized")
                && !raw.tags.iter().any(|other| other.eq_ignore_ascii_case(tag))
            {
                raw.tags.push(tag.to_owned());
            }
        }
        _ => {
            raw.fields.entry(field).or_insert(value);
        }
    }
}

fn item(raw: Raw, name: &str) -> Result<Item, ReadError> {
    let mut item = Item {
        title: raw.field("title").unwrap_or_default().to_owned(),
        link: raw.field("link").filter(|link| super::check_url(link).is_ok()).map(str::to_owned),
        date: date(&raw),
        author: raw.field("dc:creator").map(str::to_owned),
        tags: raw.tags.clone(),
        content: String::new(),
    };
    let aside = |reason: String| Err(ReadError::SetAside { name: item.name(name), reason });
    let kind = raw.field("wp:post_type").unwrap_or("post");
    if !matches!(kind, "post" | "page") {
        return aside(format!("it is of the type `{kind}`, and posts and pages are articles"));
    }
    let status = raw.field("wp:status").unwrap_or("publish");
    if status != "publish" {
        return aside(format!("its status is `{status}`, and only what is published is imported"));
    }
    if raw.field("wp:post_password").is_some() {
        return aside("it is protected by a password".to_owned());
    }
    match raw.field("content:encoded") {
        Some(content) => item.content = text::html(content),
        None => return aside("it holds no text".to_owned()),
    }
    Ok(item)
}

fn date(raw: &Raw) -> Option<jiff::civil::Date> {
    let local = raw.field("wp:post_date").and_then(|date| date.get(..10)).and_then(|day| day.parse::<jiff::civil::Date>().ok());
    local.or_else(|| jiff::fmt::rfc2822::parse(raw.field("pubDate")?).ok().map(|at| at.date()))
}
