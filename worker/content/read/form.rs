//! The form of an input, told from what is in it and not from what it is called.
//!
//! Called by `read`.

use super::front_matter;
use crate::content::document::Format;
use crate::content::words;

/// The form; `Err` names one that is recognised and not read.
pub(super) fn detect(text: &str, name: &str) -> Result<Format, &'static str> {
    let start = text.trim_start();
    let (root, declared) = root(start);
    match root.to_ascii_lowercase().as_str() {
        "rss" | "feed" | "rdf:rdf" => return Ok(if is_export(start) { Format::WordPress } else { Format::Feed }),
        "html" | "head" | "body" | "!doctype html" => return Ok(Format::Html),
        _ if declared => return Err("XML, but neither a page nor a feed nor an export of WordPress"),
        _ => {}
    }
    if is_fragment(front_matter::skip(text).trim_start()) {
        return Ok(Format::Html);
    }
    let lower = name.to_ascii_lowercase();
    let named = [".md", ".markdown", ".mdown", ".mkd"].iter().any(|ending| lower.ends_with(ending));
    Ok(if named || front_matter::is_there(text) || has_atx_heading(text) { Format::Markdown } else { Format::Text })
}

/// An export or a feed without what its server printed before it by mistake, such as warnings.
pub(super) fn from_declaration(text: &str) -> &str {
    let Some((printed, _)) = text.split_once("\n<?xml ").filter(|(printed, _)| printed.len() < 8_000) else { return text };
    let rest = &text[printed.len() + 1..];
    let (root, _) = root(rest);
    let whole = matches!(root.as_str(), "rss" | "feed" | "rdf:RDF") && rest.trim_end().ends_with(&format!("</{root}>"));
    if whole { rest } else { text }
}

/// The name of the first element, and whether an XML declaration stands before it.
fn root(text: &str) -> (String, bool) {
    let declared = text.starts_with("<?xml");
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let end = match rest {
            _ if rest.starts_with("<?") => rest.find("?>").map(|end| end + 2),
            _ if rest.starts_with("<!--") && !rest.starts_with("<!-- wp:") => rest.find("-->").map(|end| end + 3),
            _ if rest.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype")) => {
                let kind = rest[9..].trim_start().get(..4).unwrap_or_default();
                if kind.eq_ignore_ascii_case("html") {
                    return ("!doctype html".to_owned(), declared);
                }
                rest.find('>').map(|end| end + 1)
            }
            _ => None,
        };
        match end {
            Some(end) => rest = &rest[end..],
            None => break,
        }
    }
    let name = rest.strip_prefix('<').unwrap_or_default();
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != ':').unwrap_or(name.len());
    (name[..end].to_owned(), declared)
}

fn is_export(text: &str) -> bool {
    let head: String = text.chars().take(6_000).collect();
    head.contains("xmlns:wp=") || head.contains("wordpress.org/export/")
}

const BLOCKS: [&str; 22] = [
    "p",
    "div",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "dl",
    "table",
    "section",
    "article",
    "main",
    "header",
    "blockquote",
    "pre",
    "figure",
    "details",
    "center",
    "aside",
];

/// A run of HTML blocks with hardly a word outside them; in Markdown that begins with such a block words follow it.
fn is_fragment(text: &str) -> bool {
    let opens = text.strip_prefix('<').is_some_and(|rest| BLOCKS.contains(&tag_name(rest).as_str()));
    if !(opens || text.starts_with("<!-- wp:")) || has_atx_heading(text) || text.contains("\n```") {
        return false;
    }
    let (mut inside, mut outside, mut depth, mut closed) = (0, 0, 0_usize, 0);
    let mut rest = text;
    while !rest.is_empty() {
        let tag = rest.find('<').unwrap_or(rest.len());
        // The tags of a template are no words.
        let count = if rest.trim_start().starts_with("{%") { 0 } else { words::count(&rest[..tag]) };
        *(if depth > 0 { &mut inside } else { &mut outside }) += count;
        rest = &rest[tag..];
        let end = if rest.starts_with("<!--") { rest.find("-->").map(|end| end + 3) } else { rest.find('>').map(|end| end + 1) };
        let inner = rest.get(1..).unwrap_or_default();
        let closing = inner.starts_with('/');
        if BLOCKS.contains(&tag_name(inner.trim_start_matches('/')).as_str()) {
            closed += usize::from(closing);
            depth = if closing { depth.saturating_sub(1) } else { depth + 1 };
        }
        rest = end.map_or("", |end| &rest[end..]);
    }
    closed > 0 && inside >= 5 && outside * 20 <= inside
}

fn tag_name(text: &str) -> String {
    text.chars().take_while(char::is_ascii_alphanumeric).take(12).collect::<String>().to_ascii_lowercase()
}

fn has_atx_heading(text: &str) -> bool {
    text.lines().any(|line| {
        let rest = line.trim_start_matches('#');
        (1..=6).contains(&(line.len() - rest.len())) && rest.starts_with(' ') && !rest.trim().is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::{detect, from_declaration};
    use crate::content::document::Format;

    #[test]
    fn the_form_is_told_from_the_content_and_not_from_the_name() {
        let cases = [
            ("a.txt", "<!DOCTYPE html><html><body><p>x</p></body></html>", Format::Html),
            ("a.md", "\n<!-- made by hand -->\n<HTML lang=en><body>x</body></HTML>", Format::Html),
            ("a", "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0\">\n<html></html>", Format::Html),
            ("a", "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"></html>", Format::Html),
            ("a.html", "<rss version=\"2.0\"><channel></channel></rss>", Format::Feed),
            ("a.txt", "<feed xmlns=\"http://www.w3.org/2005/Atom\"></feed>", Format::Feed),
            ("a", "<?xml version=\"1.0\"?><rdf:RDF></rdf:RDF>", Format::Feed),
            ("a", "<?xml version=\"1.0\"?><!-- an export --><rss xmlns:wp=\"http://wordpress.org/export/1.2/\"></rss>", Format::WordPress),
            ("a", "<h2>Rest</h2>\n<p>Sleep as long as you can, and then some more.</p>", Format::Html),
            ("a.html", "---\ntitle: Rest\n---\n<p>Sleep as long as you can, and then some more.</p>", Format::Html),
            ("a", "<!-- wp:paragraph -->\n<p>Sleep as long as you can.</p>\n<!-- /wp:paragraph -->", Format::Html),
            ("a.md", "<div align=\"center\"><p>Logo</p></div>\n\n# Rest\n\nSleep as long as you can.", Format::Markdown),
            (
                "a.md",
                "<p>A note above everything else here.</p>\n\nSleep as long as you can, *and* then some more of it.",
                Format::Markdown,
            ),
            ("a.html", "Rest\n\nSleep as long as you can.", Format::Text),
            ("a", "# Rest\n\nSleep.", Format::Markdown),
        ];
        for (name, text, form) in cases {
            assert_eq!(detect(text, name), Ok(form), "{text}");
        }
        assert!(detect("<?xml version=\"1.0\"?><opml></opml>", "a").is_err());
    }

    #[test]
    fn what_a_server_printed_before_an_export_is_not_read() {
        let feed = "<?xml version=\"1.0\"?>\n<rss version=\"2.0\"></rss>\n";
        assert_eq!(from_declaration(&format!("\nWarning: no such file in page.php on line 3\n{feed}")), feed);
        for other in [feed, "# Feeds\n\n```xml\n<?xml version=\"1.0\"?>\n<rss></rss>\n```\n", "Rest\n\nSleep.\n"] {
            assert_eq!(from_declaration(other), other);
        }
    }
}
