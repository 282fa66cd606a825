//! The text of a post as HTML: paragraphs out of blank lines, as WordPress shows them, and shortcodes told from words.
//!
//! Called by `wordpress` and, for plain text, by `feed`.

/// The text of a post. One that was written in blocks has its paragraphs already.
pub(super) fn html(content: &str) -> String {
    let content = content.replace("\r\n", "\n").replace('\r', "\n");
    let marked = without_shortcodes(&content);
    if content.contains("<!-- wp:") { marked } else { with_paragraphs(&marked) }
}

const BLOCKS: [&str; 37] = [
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
    "li",
    "dl",
    "dt",
    "dd",
    "table",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "td",
    "th",
    "section",
    "article",
    "blockquote",
    "pre",
    "figure",
    "figcaption",
    "details",
    "summary",
    "form",
    "hr",
    "aside",
    "address",
    "header",
    "footer",
    "center",
    "iframe",
];

/// Blank lines part paragraphs and other line ends are breaks, wherever no block says otherwise.
pub(in crate::content::read) fn with_paragraphs(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut preformatted = false;
    for (index, part) in text.split("\n\n").enumerate() {
        if preformatted || part.contains("<pre") {
            out.push_str(if index > 0 { "\n\n" } else { "" });
            out.push_str(part);
            let opened = part.rfind("<pre");
            let closed = part.rfind("</pre");
            preformatted = match (opened, closed) {
                (Some(opened), Some(closed)) => opened > closed,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => preformatted,
            };
            continue;
        }
        out.push_str(&paragraphs(part.trim_matches('\n')));
        out.push('\n');
    }
    out
}

/// The lines of one part: runs of them that no block stands in are a paragraph.
fn paragraphs(part: &str) -> String {
    let mut out = String::new();
    let mut run: Vec<&str> = Vec::new();
    for line in part.lines() {
        if holds_block(line) {
            close(&mut out, &mut run);
            out.push_str(line);
            out.push('\n');
        } else {
            run.push(line);
        }
    }
    close(&mut out, &mut run);
    out
}

fn close(out: &mut String, run: &mut Vec<&str>) {
    if run.iter().any(|line| !line.trim().is_empty()) {
        out.push_str("<p>");
        out.push_str(&run.join("<br>\n"));
        out.push_str("</p>\n");
    }
    run.clear();
}

fn holds_block(line: &str) -> bool {
    line.match_indices('<').any(|(at, _)| {
        let rest = line[at + 1..].trim_start_matches('/');
        let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).take(12).collect::<String>().to_ascii_lowercase();
        BLOCKS.contains(&name.as_str())
    })
}

/// Marks shortcodes, so that they are left out with a reason: `[gallery ids="1"]`, `[note]` with its `[/note]`. A caption becomes
/// that of a figure.
fn without_shortcodes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = text[at..].find(['[', '<']) {
        out.push_str(&text[at..at + found]);
        at += found;
        let rest = &text[at..];
        let taken = if rest.starts_with('<') { tag(rest, &mut out) } else { code(rest, text, &mut out) };
        at += taken;
    }
    out.push_str(&text[at..]);
    out
}

/// Copies a tag, and all of what is shown as it stands.
fn tag(rest: &str, out: &mut String) -> usize {
    let end = match rest {
        _ if rest.starts_with("<!--") => rest.find("-->").map(|end| end + 3),
        _ if rest.starts_with("<pre") => rest.find("</pre>").map(|end| end + 6),
        _ if rest.starts_with("<code") => rest.find("</code>").map(|end| end + 7),
        _ => rest.find('>').map(|end| end + 1),
    };
    let end = end.unwrap_or(1);
    out.push_str(&rest[..end]);
    end
}

fn code(rest: &str, text: &str, out: &mut String) -> usize {
    let Some(end) = rest.find(']').filter(|end| *end < 2_000) else {
        out.push('[');
        return 1;
    };
    let inner = &rest[1..end];
    let bare = inner.trim_start_matches('/').trim_end_matches('/');
    let name: String = bare.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
    if !is_shortcode(inner, &name, &bare[name.len()..], text) || rest[end + 1..].starts_with('(') {
        out.push('[');
        return 1;
    }
    if name.eq_ignore_ascii_case("caption") || name.eq_ignore_ascii_case("wp_caption") {
        return caption(rest, inner, end, out);
    }
    out.push_str("<span class=\"wp-shortcode\">");
    out.push_str(&super::super::item::escaped(&rest[..=end]));
    out.push_str("</span>");
    end + 1
}

fn is_shortcode(inner: &str, name: &str, tail: &str, text: &str) -> bool {
    let known =
        ["gallery", "caption", "embed", "audio", "video", "playlist", "wp_caption", "more", "youtube", "toc", "vimeo", "soundcloud"];
    let opens = name.starts_with(|c: char| c.is_ascii_alphabetic()) && (tail.is_empty() || tail.starts_with(' '));
    let valued = tail.contains('=') || known.contains(&name.to_ascii_lowercase().as_str());
    opens && (valued || inner.starts_with('/') || (name.len() > 2 && text.contains(&format!("[/{name}]"))))
}

/// `[caption …]<img …> words[/caption]`: the words after the image are its caption.
fn caption(rest: &str, inner: &str, end: usize, out: &mut String) -> usize {
    let body = &rest[end + 1..];
    let Some(close) = body.find("[/").filter(|_| !inner.starts_with('/')) else {
        return end + 1;
    };
    let (inside, tail) = body.split_at(close);
    let words_at = inside.rfind('>').map_or(0, |at| at + 1);
    out.push_str(&format!("<figure>{}<figcaption>{}</figcaption></figure>", &inside[..words_at], &inside[words_at..]));
    end + 1 + close + tail.find(']').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::{html, with_paragraphs};

    #[test]
    fn blank_lines_are_paragraphs_where_no_block_says_otherwise() {
        let text = "One\ntwo\n\n<h2>Three</h2>\nFour\n\n<pre>a\n\nb</pre>\n\nFive";
        assert_eq!(with_paragraphs(text), "<p>One<br>\ntwo</p>\n\n<h2>Three</h2>\n<p>Four</p>\n\n\n\n<pre>a\n\nb</pre><p>Five</p>\n\n");
    }

    #[test]
    fn shortcodes_are_told_from_words_in_brackets() {
        let marked = html("[gallery ids=\"1,2\"]\n\nA word [sic] and a mark [1], [a link](x) and [note]kept[/note].");
        assert!(marked.contains("<span class=\"wp-shortcode\">[gallery ids=&quot;1,2&quot;]</span>"));
        assert!(marked.contains("A word [sic] and a mark [1], [a link](x) and <span class=\"wp-shortcode\">[note]</span>kept<span"));
        let figure = html("[caption id=\"a\" width=\"3\"]<img src=\"x.png\"> Under it[/caption] on");
        assert!(figure.contains("<figure><img src=\"x.png\"><figcaption> Under it</figcaption></figure> on"), "{figure}");
    }
}
