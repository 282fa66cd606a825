//! The body of a tip as a mail shows it: every element carries its style (some mail programs drop style sheets), headings
//! begin below the mail's own, and only links that a reader may follow from a mail remain links.
//!
//! Takes the HTML that `content` makes of Markdown. Whatever element is not in the list below loses its tag and keeps
//! its text, so nothing is ever loaded from anywhere: an image leaves its alternative text. Called once for a revision.

use super::palette::Palette;

/// Gives `html` its styles; the links in the colours of `palette`.
///
/// `start` is the side on which lines begin: left, or right in a script that is written from there.
pub(super) fn dress(html: &str, palette: &Palette, start: &str) -> String {
    let suit = Suit { palette, start, shift: heading_shift(html) };
    let mut out = String::with_capacity(html.len() * 2);
    let mut rest = html;
    let mut open_links = Vec::new();
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let Some(tag) = Tag::read(&rest[at..]) else {
            out.push_str("&lt;");
            rest = &rest[at + 1..];
            continue;
        };
        rest = &rest[at + tag.length..];
        suit.write_tag(&mut out, &tag, &mut open_links);
    }
    out.push_str(rest);
    out
}

/// The addresses in `html` that `dress` takes away from their words, because a mail may not link to them. Links within the text itself
/// mean nothing in a mail, and are not named.
pub(super) fn lost_links(html: &str) -> Vec<String> {
    let tags = html.match_indices('<').filter_map(|(at, _)| Tag::read(&html[at..]));
    let links = tags.filter(|tag| !tag.closing && tag.name.eq_ignore_ascii_case("a")).filter_map(|tag| tag.attribute("href"));
    let lost = links.filter(|url| !(url.is_empty() || url.starts_with('#') || url.starts_with("mailto:") || may_link(url)));
    lost.map(|url| url.replace("&amp;", "&")).collect()
}

/// Whether a mail may link to `url`: https, or this machine (the demo, tests).
pub fn may_link(url: &str) -> bool {
    let sound = !url.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '`'));
    let host = url.strip_prefix("https://").or_else(|| loopback(url)).unwrap_or("");
    sound && host.starts_with(|c: char| c.is_alphanumeric() || c == '[')
}

fn loopback(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]").then_some(rest)
}

struct Tag<'a> {
    name: &'a str,
    closing: bool,
    attributes: &'a str,
    length: usize,
}

impl<'a> Tag<'a> {
    // A tag at the start of `text`, up to the `>` that ends it (one inside a quoted value does not).
    fn read(text: &'a str) -> Option<Self> {
        let closing = text[1..].starts_with('/');
        let start = 1 + usize::from(closing);
        let name_length = text[start..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len() - start);
        if name_length == 0 {
            return None;
        }
        let mut quote = None;
        let end = start + name_length;
        let close = text[end..].char_indices().find(|(_, c)| match (quote, *c) {
            (None, '"' | '\'') => {
                quote = Some(*c);
                false
            }
            (Some(open), c) => {
                quote = (open != c).then_some(open);
                false
            }
            (None, c) => c == '>',
        })?;
        Some(Self { name: &text[start..end], closing, attributes: &text[end..end + close.0], length: end + close.0 + 1 })
    }

    fn attribute(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.attributes.split_once(&format!(" {name}=\""))?;
        value.split('"').next()
    }
}

// What is the same for a whole body.
struct Suit<'a> {
    palette: &'a Palette,
    start: &'a str,
    shift: i8,
}

impl Suit<'_> {
    fn write_tag(&self, out: &mut String, tag: &Tag<'_>, open_links: &mut Vec<bool>) {
        let name = tag.name.to_ascii_lowercase();
        if name == "a" {
            return self.write_link(out, tag, open_links);
        }
        if name == "img" {
            return out.push_str(tag.attribute("alt").unwrap_or(""));
        }
        let heading = heading_level(&name).map(|level| format!("h{}", (level + self.shift).clamp(2, 6)));
        let name = heading.unwrap_or(name);
        let Some(style) = style_of(&name) else { return };
        out.push('<');
        if tag.closing {
            out.push('/');
        }
        out.push_str(&name);
        if !tag.closing {
            let style = style.replace("[[accent]]", &self.palette.accent).replace("[[start]]", self.start);
            write_attributes(out, tag, &name, &style);
        }
        out.push('>');
    }

    fn write_link(&self, out: &mut String, tag: &Tag<'_>, open_links: &mut Vec<bool>) {
        if tag.closing {
            if open_links.pop() == Some(true) {
                out.push_str("</a>");
            }
            return;
        }
        let target = tag.attribute("href").filter(|url| may_link(url) || url.starts_with("mailto:"));
        open_links.push(target.is_some());
        if let Some(url) = target {
            out.push_str(&format!("<a href=\"{url}\" style=\"color:{};text-decoration:underline;\">", self.palette.accent));
        }
    }
}

fn write_attributes(out: &mut String, tag: &Tag<'_>, name: &str, style: &str) {
    if name == "ol"
        && let Some(start) = tag.attribute("start").and_then(|s| s.parse::<u32>().ok())
    {
        out.push_str(&format!(" start=\"{start}\""));
    }
    if name == "table" {
        out.push_str(" cellpadding=\"0\" cellspacing=\"0\"");
    }
    let align = tag.attribute("align").filter(|a| matches!(*a, "left" | "right" | "center") && matches!(name, "td" | "th"));
    if style.is_empty() && align.is_none() {
        return;
    }
    out.push_str(" style=\"");
    out.push_str(style);
    if let Some(align) = align {
        out.push_str(&format!("text-align:{align};"));
    }
    out.push('"');
}

// The highest heading of the body becomes h2, whatever level the article gave it.
fn heading_shift(html: &str) -> i8 {
    let highest = (1..=6).find(|level| html.contains(&format!("<h{level}>")) || html.contains(&format!("<h{level} ")));
    highest.map_or(0, |level: i8| 2 - level)
}

fn heading_level(name: &str) -> Option<i8> {
    let level = name.strip_prefix('h')?.parse().ok()?;
    (1..=6).contains(&level).then_some(level)
}

fn style_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "p" => "margin:0 0 1em;",
        "h2" => "margin:1.5em 0 0.5em;font-size:21px;line-height:1.3;font-weight:bold;",
        "h3" => "margin:1.4em 0 0.4em;font-size:18px;line-height:1.35;font-weight:bold;",
        "h4" | "h5" | "h6" => "margin:1.2em 0 0.3em;font-size:17px;line-height:1.4;font-weight:bold;font-style:italic;",
        "ul" | "ol" => "margin:0 0 1em;padding-[[start]]:1.4em;",
        "li" => "margin:0 0 0.4em;",
        "blockquote" => "margin:0 0 1em;padding:0 1em;border-[[start]]:3px solid [[accent]];font-style:italic;",
        "table" => "width:100%;margin:0 0 1em;border-collapse:collapse;font-size:16px;line-height:1.45;",
        "th" => "padding:6px 8px;border-bottom:2px solid #8a8174;font-weight:bold;text-align:[[start]];vertical-align:bottom;",
        "td" => "padding:6px 8px;border-bottom:1px solid #b8b0a4;vertical-align:top;",
        "pre" => "margin:0 0 1em;font-size:14px;line-height:1.5;white-space:pre-wrap;font-family:Consolas,Menlo,monospace;",
        "code" => "font-size:0.9em;font-family:Consolas,Menlo,monospace;",
        "hr" => "margin:1.6em auto;width:30%;border:0;border-top:1px solid #8a8174;",
        "thead" | "tbody" | "tr" | "br" | "em" | "strong" | "sup" | "sub" | "del" => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dressed(html: &str) -> String {
        dress(html, &Palette::of("#1f5c57").unwrap(), "left")
    }

    #[test]
    fn the_highest_heading_of_a_body_becomes_the_second_level() {
        assert!(dressed("<h1>One</h1><h2>Two</h2>").contains("<h2 style"));
        assert!(dressed("<h4>Four</h4><h6>Six</h6>").starts_with("<h2 style"));
        assert!(dressed("<h4>Four</h4><h6>Six</h6>").contains("</h4>"));
    }

    #[test]
    fn an_image_leaves_its_alternative_text_and_loads_nothing() {
        let html = dressed(r#"<p>See <img src="https://other.example/a>b.png" alt="a stretch" /> now</p>"#);
        assert_eq!(html, "<p style=\"margin:0 0 1em;\">See a stretch now</p>");
    }

    #[test]
    fn only_links_that_a_mail_may_carry_stay_links() {
        assert!(
            dressed(r#"<a href="https://example.org/?a=1&amp;b=2">x</a>"#)
                .starts_with(r#"<a href="https://example.org/?a=1&amp;b=2" style"#)
        );
        for target in [
            "http://example.org",
            "javascript:alert(1)",
            "/relative",
            "#fn-1",
            "data:text/html,x",
            "https://",
            "http://127.0.0.1.example.org/",
        ] {
            assert_eq!(dressed(&format!("<a href=\"{target}\">x</a>")), "x", "{target}");
        }
        assert_eq!(
            lost_links("<p><a href=\"foo/bar?a=1&amp;b=2\">x</a> <a href=\"#top\">y</a> <a href=\"https://example.org/\">z</a></p>"),
            ["foo/bar?a=1&b=2"]
        );
        assert!(may_link("http://127.0.0.1:8080/u/x") && may_link("http://[::1]:80/") && may_link("http://localhost/"));
        assert!(!may_link("http://localhost:80@example.org/") && !may_link("http://127.0.0.1@example.org/"));
    }

    #[test]
    fn unknown_elements_lose_their_tags() {
        assert_eq!(dressed("<script>alert(1)</script><iframe src=\"x\"></iframe><!-- c -->"), "alert(1)&lt;!-- c -->");
        assert_eq!(dressed("<p onclick=\"x\">a < b</p>"), "<p style=\"margin:0 0 1em;\">a &lt; b</p>");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_load_anything(html in "[a-z<>/=\"' hpé1]{0,200}") {
            let dressed = dressed(&html);
            for element in ["<img", "<script", "<link", "<iframe"] {
                prop_assert!(!dressed.contains(element));
            }
        }
    }
}
