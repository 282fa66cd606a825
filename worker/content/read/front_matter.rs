//! Front matter: the YAML (`---`) or TOML (`+++`) that stands before an article.
//!
//! Owns the keys that are understood (all others are ignored: a publisher's system has its own). Called by `read`.

use crate::content::dates;
use crate::content::document::{Front, StageWindow};
use crate::content::read::ReadError;
use serde_json::{Map, Value};

/// Whether the text opens with front matter.
pub(super) fn is_there(text: &str) -> bool {
    split(text).is_some()
}

/// The text after the front matter, or all of it when there is none.
pub(super) fn skip(text: &str) -> &str {
    split(text).map_or(text, |parts| parts.rest)
}

/// What the front matter says, and the text after it.
pub(in crate::content) fn parse<'a>(text: &'a str, name: &str) -> Result<(Front, &'a str), ReadError> {
    let Some(parts) = split(text) else {
        return match opening(text) {
            Some(mark) if looks_like_keys(text) => Err(broken(name, 1, format!("no line with `{mark}` ends it"))),
            _ => Ok((Front::default(), text)),
        };
    };
    let values = match parts.mark {
        "+++" => from_toml(parts.inner, name)?,
        _ => from_yaml(parts.inner, name)?,
    };
    Ok((understand(&values, parts.inner, name)?, parts.rest))
}

struct Parts<'a> {
    mark: &'static str,
    inner: &'a str,
    rest: &'a str,
}

fn opening(text: &str) -> Option<&'static str> {
    let first = text.lines().next()?.trim_end();
    ["---", "+++"].into_iter().find(|mark| first == *mark)
}

fn split(text: &str) -> Option<Parts<'_>> {
    let mark = opening(text)?;
    let start = text.find('\n')? + 1;
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        let bare = line.trim_end();
        if bare == mark || (mark == "---" && bare == "...") {
            let inner = &text[start..at];
            // Two rules with prose between them are no front matter.
            let keyed = inner.trim().is_empty() || looks_like_keys(text);
            return keyed.then_some(Parts { mark, inner, rest: &text[at + line.len()..] });
        }
        at += line.len();
    }
    None
}

/// The first line with content is `key: …` or `key = …`, a comment or a table.
fn looks_like_keys(text: &str) -> bool {
    let Some(line) = text.lines().skip(1).find(|line| !line.trim().is_empty()) else { return false };
    let key: String = line.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '"' | '\'' | '.')).collect();
    let rest = line[key.len()..].trim_start();
    line.starts_with('#') || (!key.is_empty() && (rest.starts_with(':') || rest.starts_with('='))) || line.starts_with('{')
}

fn from_yaml(inner: &str, name: &str) -> Result<Map<String, Value>, ReadError> {
    if inner.trim().is_empty() {
        return Ok(Map::new());
    }
    let read = |text: &str| {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options::<Map<String, Value>>(text, options)
    };
    read(inner).or_else(|error| read(&mended(inner)).map_err(|_| error)).map_err(|error| {
        let line = error.location().map_or(1, |location| usize::try_from(location.line()).unwrap_or(1));
        broken(name, line + 1, format!("the YAML cannot be read: {}", without_place(&error.to_string())))
    })
}

/// What is wrong, without the lines that the parser counts: the front matter begins at the second of the file.
fn without_place(message: &str) -> &str {
    let line = message.lines().next().unwrap_or("unknown error");
    let places = [" (defined at line ", " (used at line ", " at line ", " line ", ", set DuplicateKeyPolicy"];
    let end = places.iter().filter_map(|place| line.find(place)).min().unwrap_or(line.len());
    line[..end].trim_end_matches([',', ':', ' '])
}

/// YAML as people write it: a bare value with a colon in it is quoted, a quotation that goes on at the margin is set in.
fn mended(inner: &str) -> String {
    let mut open: Option<char> = None;
    let mut out = String::with_capacity(inner.len() + 16);
    for line in inner.lines() {
        let bare = line.trim();
        if let Some(quote) = open {
            out.push_str(&format!("  {bare}\n"));
            open = (!bare.ends_with(quote)).then_some(quote);
            continue;
        }
        let value = line.split_once(": ").map(|(key, value)| (key, value.trim()));
        match value.filter(|(key, value)| !key.contains(' ') && !value.is_empty()) {
            Some((_, value)) if value.starts_with(['"', '\'']) => {
                open = value.chars().next().filter(|quote| value.len() == 1 || !value.ends_with(*quote));
                out.push_str(line);
            }
            Some((key, value)) if value.contains(": ") && !value.starts_with(['[', '{', '|', '>', '&', '*', '!']) => {
                out.push_str(&format!("{key}: '{}'", value.replace('\'', "''")));
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

fn from_toml(inner: &str, name: &str) -> Result<Map<String, Value>, ReadError> {
    let table: toml::Table = toml::from_str(inner).map_err(|error| {
        let before = error.span().map_or(0, |span| inner[..span.start.min(inner.len())].matches('\n').count());
        broken(name, before + 2, format!("the TOML cannot be read: {}", error.message().lines().next().unwrap_or("unknown error")))
    })?;
    Ok(table.into_iter().map(|(key, value)| (key, plain(value))).collect())
}

fn plain(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Array(values) => Value::Array(values.into_iter().map(plain).collect()),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, value)| (key, plain(value))).collect()),
        other => Value::String(other.to_string()),
    }
}

fn understand(values: &Map<String, Value>, inner: &str, name: &str) -> Result<Front, ReadError> {
    let fail = |key: &str, message: String| broken(name, line_of(inner, key), message);
    let mut front = Front::default();
    for (key, value) in values {
        match key.to_ascii_lowercase().as_str() {
            "title" => front.title = one(value),
            "author" | "authors" => front.author = names(value),
            "slug" => front.slug = one(value),
            "series" => front.series = one(value),
            "tags" => front.tags = many(value),
            "date" | "published" | "publishdate" | "pubdate" if front.date.is_none() => {
                front.date = date(value).map_err(|message| fail(key, message))?;
            }
            "url" | "canonical" | "canonical_url" | "canonicalurl" => {
                front.url = url(value, front.url.take()).map_err(|message| fail(key, message))?
            }
            "weeks" => front.weeks = window(value).map_err(|message| fail(key, message))?,
            _ => {}
        }
    }
    Ok(front)
}

fn one(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn many(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(one).collect(),
        Value::String(text) => text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect(),
        _ => Vec::new(),
    }
}

fn names(value: &Value) -> Option<String> {
    let names: Vec<String> = match value {
        Value::Array(values) => values.iter().filter_map(names).collect(),
        Value::Object(fields) => fields.get("name").and_then(one).into_iter().collect(),
        other => one(other).into_iter().collect(),
    };
    (!names.is_empty()).then(|| names.join(", "))
}

fn date(value: &Value) -> Result<Option<jiff::civil::Date>, String> {
    let Some(text) = one(value) else { return Ok(None) };
    let day = text.get(..10).filter(|_| text[10..].starts_with(['T', ' ', 't'])).unwrap_or(&text);
    dates::parse(day).map(Some).ok_or_else(|| format!("`{text}` is no date: write it as YYYY-MM-DD, e.g. 2024-03-09"))
}

/// A path alone (as some site generators keep it) is no address and is passed over.
fn url(value: &Value, before: Option<String>) -> Result<Option<String>, String> {
    let Some(text) = one(value) else { return Ok(before) };
    if text.starts_with('/') || !text.contains("://") {
        return Ok(before);
    }
    check_url(&text).map(|()| Some(before.unwrap_or(text)))
}

/// Whether an address can stand behind "read more".
pub fn check_url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !text.contains(char::is_whitespace) => Ok(()),
        _ => Err(format!("`{text}` is no address of a page: it must begin with https:// (or http://) and name a host")),
    }
}

fn window(value: &Value) -> Result<Option<StageWindow>, String> {
    one(value).map(|text| text.parse()).transpose()
}

fn line_of(inner: &str, key: &str) -> usize {
    inner.lines().position(|line| line.trim_start_matches(['"', '\'']).starts_with(key)).map_or(1, |index| index + 2)
}

fn broken(name: &str, line: usize, message: String) -> ReadError {
    ReadError::FrontMatter { name: name.to_owned(), line, message }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_error_names_one_line_and_it_is_the_files() {
        for (text, line) in [
            ("---\ntitle: Tea\nauthor: [Ana, Bea\ndate: 2026-01-01\n---\n\ntext\n", None),
            ("---\ntitle: Tea\ntitle: Coffee\n---\n\ntext\n", Some(3)),
            ("---\ntitle: Tea\nauthor: *nobody\n---\n\ntext\n", Some(3)),
            ("---\ntitle: \"Tea\n---\n\ntext\n", None),
        ] {
            let Err(error) = parse(text, "tea.md") else { panic!("{text} is no YAML") };
            let said = error.to_string();
            assert_eq!(said.matches(" line ").count(), 1, "{said}");
            assert!(!said.contains("column") && said.contains("the YAML cannot be read: "), "{said}");
            assert!(line.is_none_or(|line| said.contains(&format!("line {line}:"))), "{said}");
        }
    }
}
