//! What a page says about itself: title, date, author, address and tags.
//!
//! Owns the order in which its sources are believed: JSON-LD, Open Graph and other `meta`, then what the text is marked with.
//! Called by `html`.

use super::page::Page;
use super::plain;
use crate::content::document::Front;
use crate::content::read::check_url;
use crate::content::{address, dates, words};
use jiff::civil::Date;
use scraper::{Html, Node};
use serde_json::Value;

/// What stands in a page's head, before anything is chosen.
#[derive(Debug, Default)]
struct Said {
    title: Option<String>,
    metas: Vec<(String, String)>,
    canonical: Option<String>,
    base: Option<String>,
    data: Vec<Value>,
}

/// The front matter of a page, and the address that its links are relative to. `url` is what the operator says the address is.
pub(super) fn front(html: &Html, page: &Page<'_>, url: Option<&str>) -> (Front, Option<String>) {
    let said = said(html);
    let given = url.map(str::to_owned);
    let absolute = |text: &str| {
        let whole = address::join(given.as_deref().or(said.base.as_deref()), text)?;
        check_url(&whole).is_ok().then_some(whole)
    };
    let data = article_data(&said.data);
    let canonical = said
        .canonical
        .as_deref()
        .and_then(absolute)
        .or_else(|| said.meta(&["og:url"]).and_then(absolute))
        .or_else(|| data.and_then(address_of).and_then(|url| absolute(&url)));
    let own = given.clone().or_else(|| canonical.clone());
    let base = match &said.base {
        Some(base) => address::join(own.as_deref(), base).filter(|base| check_url(base).is_ok()).or_else(|| own.clone()),
        None => own.clone(),
    };
    let front = Front {
        title: title(&said, page, data),
        date: date(&said, page, data),
        author: author(&said, page, data),
        url: own,
        tags: tags(&said, page),
        ..Front::default()
    };
    (front, base)
}

fn said(html: &Html) -> Said {
    let mut said = Said::default();
    for node in html.root_element().descendants() {
        let Node::Element(element) = node.value() else { continue };
        let attribute = |name: &str| element.attr(name).map(str::trim).filter(|value| !value.is_empty());
        let text = || node.children().filter_map(|child| child.value().as_text().map(|text| text.to_string())).collect::<String>();
        match element.name() {
            "title"
                if said.title.is_none()
                    && node.parent().is_some_and(|up| up.value().as_element().is_some_and(|up| up.name() == "head")) =>
            {
                said.title = Some(one_line(&text())).filter(|title| !title.is_empty());
            }
            "meta" => {
                let name = attribute("property").or_else(|| attribute("name")).or_else(|| attribute("itemprop"));
                if let (Some(name), Some(content)) = (name, attribute("content")) {
                    said.metas.push((name.to_ascii_lowercase(), one_line(content)));
                }
            }
            "link" if attribute("rel").is_some_and(|rel| rel.eq_ignore_ascii_case("canonical")) => {
                said.canonical = said.canonical.take().or_else(|| attribute("href").map(str::to_owned));
            }
            "base" => said.base = said.base.take().or_else(|| attribute("href").map(str::to_owned)),
            "script" if attribute("type").is_some_and(|kind| kind.eq_ignore_ascii_case("application/ld+json")) => {
                said.data.extend(serde_json::from_str::<Value>(text().trim()).ok());
            }
            _ => {}
        }
    }
    said
}

impl Said {
    /// The first of these that is there.
    fn meta(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.metas.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()))
    }
}

/// The object of JSON-LD that describes an article.
fn article_data(data: &[Value]) -> Option<&Value> {
    let mut open: Vec<&Value> = data.iter().rev().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values.iter().rev()),
            Value::Object(object) => {
                let is_article = |kind: &Value| {
                    kind.as_str().is_some_and(|kind| {
                        ["Article", "BlogPosting", "Posting", "Recipe", "WebPage", "Report"].iter().any(|known| kind.ends_with(known))
                    })
                };
                let kind = object.get("@type");
                let fits = kind.is_some_and(|kind| is_article(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(is_article)));
                if fits && (object.contains_key("datePublished") || object.contains_key("headline") || object.contains_key("author")) {
                    return Some(value);
                }
                open.extend(object.get("@graph"));
            }
            _ => {}
        }
    }
    None
}

fn address_of(data: &Value) -> Option<String> {
    let page = data.get("mainEntityOfPage").unwrap_or(&Value::Null);
    [page.get("@id"), Some(page), data.get("url")].into_iter().flatten().find_map(Value::as_str).map(str::to_owned)
}

/// The heading that the page's own title repeats, else the title without the site's name.
fn title(said: &Said, page: &Page<'_>, data: Option<&Value>) -> Option<String> {
    let shared = said.meta(&["og:title", "twitter:title", "dc.title", "parsely-title"]).map(str::to_owned);
    let headline = data.and_then(|data| data.get("headline")).and_then(Value::as_str).map(unescaped);
    let told: Vec<String> = [&said.title, &shared, &headline].into_iter().flatten().map(|text| words::key(text)).collect();
    let headings = (0..page.nodes.len()).filter(|node| page.name(*node) == "h1").map(|node| one_line(&page.text(node)));
    let heading = headings.into_iter().filter(|text| !text.is_empty() && words::count(text) <= 40).find(|text| {
        let key = words::key(text);
        let site = said.meta(&["og:site_name"]).is_some_and(|site| words::key(site) == key);
        !key.is_empty()
            && !site
            && told.iter().any(|told| told == &key || (told.contains(&key) && words::count(&key) * 2 >= words::count(told)))
    });
    let site = said.meta(&["og:site_name", "application-name"]);
    heading
        .or_else(|| headline.map(|text| one_line(&text)))
        .or_else(|| shared.or(said.title.clone()).map(|text| without_site(&text, site)))
        .filter(|text| !text.is_empty())
}

/// "Title - Site": the name of the site goes, when it is known, or when it is the shorter end behind a bar.
fn without_site(title: &str, site: Option<&str>) -> String {
    for mark in [" | ", " - ", " – ", " — ", " · ", " « ", " » ", " :: "] {
        if let Some((rest, end)) = title.rsplit_once(mark) {
            let known = site.is_some_and(|site| words::key(site) == words::key(end));
            let short = words::count(end) <= 4 && words::count(rest) > words::count(end);
            if known || short {
                return rest.trim().to_owned();
            }
        }
    }
    title.trim().to_owned()
}

fn date(said: &Said, page: &Page<'_>, data: Option<&Value>) -> Option<Date> {
    let of_data = data.and_then(|data| data.get("datePublished").or_else(|| data.get("dateCreated"))).and_then(Value::as_str).and_then(day);
    let names = [
        "article:published_time",
        "og:published_time",
        "datepublished",
        "date",
        "dc.date",
        "dc.date.issued",
        "dcterms.created",
        "dcterms.date",
        "pubdate",
        "publish-date",
        "parsely-pub-date",
        "sailthru.date",
        "citation_publication_date",
        "article:published",
        "publication_date",
    ];
    of_data.or_else(|| said.meta(&names).and_then(day)).or_else(|| {
        let said_by = |node: usize| {
            let named = page.attribute(node, "itemprop").is_some_and(|prop| prop == "datePublished")
                || page.attribute_is_there(node, "pubdate")
                || ["published", "entry-date", "dt-published", "post-date", "date"].iter().any(|class| page.has_word(node, "class", class));
            let later = page.has_word(node, "class", "updated") && !page.has_word(node, "class", "published");
            (named && !later)
                .then(|| {
                    page.attribute(node, "datetime")
                        .or_else(|| page.attribute(node, "content"))
                        .and_then(day)
                        .or_else(|| short_day(page, node))
                })
                .flatten()
        };
        let marked = (0..page.nodes.len()).find_map(said_by);
        marked.or_else(|| {
            (0..page.nodes.len()).filter(|node| page.name(*node) == "time").find_map(|node| page.attribute(node, "datetime").and_then(day))
        })
    })
}

fn short_day(page: &Page<'_>, node: usize) -> Option<Date> {
    let text = page.text(node);
    (text.len() <= 60).then(|| dates::parse(&text)).flatten()
}

/// The day of "2024-05-04T10:00:00+02:00" and of what people write.
fn day(text: &str) -> Option<Date> {
    text.get(..10).and_then(|day| day.parse().ok()).or_else(|| dates::parse(text))
}

fn author(said: &Said, page: &Page<'_>, data: Option<&Value>) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    if let Some(authors) = data.and_then(|data| data.get("author")) {
        let each = authors.as_array().map_or(std::slice::from_ref(authors), Vec::as_slice);
        names.extend(each.iter().filter_map(|one| one.as_str().or_else(|| one.get("name").and_then(Value::as_str))).map(unescaped));
    }
    if names.is_empty() {
        let of_meta = [
            "author",
            "article:author",
            "dc.creator",
            "dcterms.creator",
            "parsely-author",
            "sailthru.author",
            "citation_author",
            "twitter:data1",
        ];
        names.extend(of_meta[..7].iter().find_map(|name| said.meta(&[name]).filter(|name| is_name(name))).map(str::to_owned));
    }
    if names.is_empty() {
        let marked = |node: &usize| {
            page.has_word(*node, "rel", "author")
                || page.has_word(*node, "itemprop", "author")
                || ["p-author", "author-name", "byline-name", "author__name"].iter().any(|class| page.has_word(*node, "class", class))
                || page.has_word(*node, "class", "fn") && page.ancestors(*node).take(2).any(|at| page.has_word(at, "class", "author"))
        };
        names.extend((0..page.nodes.len()).filter(marked).map(|node| one_line(&page.text(node))).find(|name| is_name(name)));
    }
    names.iter_mut().for_each(|name| *name = one_line(name.strip_prefix("By ").or_else(|| name.strip_prefix("by ")).unwrap_or(name)));
    names.retain(|name| is_name(name));
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

fn is_name(text: &str) -> bool {
    let text = text.trim();
    (1..=8).contains(&words::count(text)) && text.len() <= 80 && !text.contains("://") && !text.contains('@') && !text.ends_with('.')
}

fn tags(said: &Said, page: &Page<'_>) -> Vec<String> {
    let mut tags: Vec<String> = said.metas.iter().filter(|(name, _)| name == "article:tag").map(|(_, tag)| tag.clone()).collect();
    if tags.is_empty() {
        tags = (0..page.nodes.len()).filter(|node| page.has_word(*node, "rel", "tag")).map(|node| one_line(&page.text(node))).collect();
    }
    tags.retain(|tag| (1..=6).contains(&words::count(tag)));
    let mut seen = std::collections::HashSet::new();
    tags.retain(|tag| seen.insert(tag.to_lowercase()));
    tags.truncate(20);
    tags
}

/// JSON-LD of some systems holds the entities of HTML.
fn unescaped(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    plain(text)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
