//! Reading Markdown: comrak's tree becomes blocks.
//!
//! Owns what counts as one block, and the fallbacks for articles whose headings are only bold lines or numbers. Called
//! by `read`.

use super::{Hints, ReadError, front_matter};
use crate::content::document::{Block, Document, Format, Kind, Link};
use crate::content::{citations, markup, wholes, words};
use comrak::nodes::{AstNode, ListType, NodeValue};
use comrak::{Arena, parse_document};

mod marks;

const DEEPEST: usize = 40;

/// Reads Markdown with or without front matter.
pub(super) fn read(text: &str, hints: &Hints) -> Result<Document, ReadError> {
    let (front, body) = front_matter::parse(text, &hints.name)?;
    let skipped = text[..text.len() - body.len()].matches('\n').count();
    check_depth(body, skipped, &hints.name)?;
    let base = hints.url.clone().or_else(|| front.url.clone());
    let mut blocks = blocks(&marks::take_out(body), base.as_deref());
    raise_underlined_numbers(&mut blocks);
    raise_questions(&mut blocks);
    if !blocks.iter().any(|block| block.level().is_some_and(|level| level > 1)) {
        raise_headings(&mut blocks);
    }
    Ok(Document { name: hints.name.clone(), format: Format::Markdown, front, blocks, asides: Vec::new() })
}

/// The blocks of a text in Markdown.
pub(crate) fn blocks(text: &str, base: Option<&str>) -> Vec<Block> {
    let options = markup::options();
    let arena = Arena::new();
    let root = parse_document(&arena, text, &options);
    markup::take_out_scripts(root);
    written(root, base).into_iter().flatten().collect()
}

/// The block of each child of a tree; nothing for one that holds nothing.
pub(super) fn written<'a>(root: &'a AstNode<'a>, base: Option<&str>) -> Vec<Option<Block>> {
    let options = markup::options();
    let tops: Vec<&AstNode<'_>> = root.children().collect();
    let raw: Vec<Option<Block>> = tops.iter().map(|node| before_tidying(node)).collect();
    markup::tidy(root, base);
    let written = tops.iter().zip(raw).map(|(node, block)| {
        let mut block = block?;
        if block.markdown.is_empty() {
            // Beside another list comrak would add a mark to keep the two apart.
            node.detach();
            block.markdown = markup::write(node, &options);
        }
        finish(block)
    });
    written.collect()
}

/// Quotations and lists inside each other cost comrak time by the square, and no article needs them.
fn check_depth(text: &str, skipped: usize, name: &str) -> Result<(), ReadError> {
    for (index, line) in text.lines().enumerate() {
        if !line.trim_start().starts_with(['>', '-', '*', '+', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
            continue;
        }
        let quotes = line.bytes().take_while(|b| matches!(b, b'>' | b' ' | b'\t')).filter(|b| *b == b'>').count();
        let markers = line.split(' ').take_while(|part| is_marker(part)).filter(|part| !part.is_empty()).count();
        if quotes.max(markers) > DEEPEST {
            return Err(ReadError::TooDeep { name: name.to_owned(), line: skipped + index + 1, limit: DEEPEST });
        }
    }
    Ok(())
}

fn is_marker(part: &str) -> bool {
    part.is_empty()
        || matches!(part, "-" | "*" | "+" | ">")
        || part.strip_suffix(['.', ')']).is_some_and(|n| n.len() < 10 && n.bytes().all(|b| b.is_ascii_digit()))
}

/// What has to be known of a block before its tree is rewritten.
fn before_tidying<'a>(node: &'a AstNode<'a>) -> Option<Block> {
    let mut text = plain(node);
    let kind = match &node.data().value {
        NodeValue::Heading(heading) => Kind::Heading { level: heading.level, anchor: anchor(node, &mut text) },
        NodeValue::List(list) => Kind::List { start: (list.list_type == ListType::Ordered).then_some(list.start) },
        NodeValue::Table(_) => Kind::Table,
        NodeValue::BlockQuote => Kind::Quote,
        NodeValue::CodeBlock(code) => {
            text = code.literal.trim_end().to_owned();
            Kind::Code
        }
        NodeValue::ThematicBreak => {
            text = "---".to_owned();
            Kind::Break
        }
        NodeValue::HtmlBlock(html) => return html_block(&html.literal),
        NodeValue::FootnoteDefinition(footnote) => Kind::Footnote { label: citations::label(&footnote.name) },
        _ => paragraph_kind(node),
    };
    let items = match kind {
        Kind::List { .. } => node.children().map(plain).collect(),
        _ => Vec::new(),
    };
    Some(Block { markdown: String::new(), words: 0, items, links: links(node), text, kind })
}

fn finish(mut block: Block) -> Option<Block> {
    block.text = markup::clean_lines(&block.text);
    block.words = words::count(&block.text);
    if let Kind::Heading { .. } = block.kind {
        block.markdown = strip_heading(&block.markdown.replace("\\\n", " "));
        block.text = block.text.replace('\n', " ");
    }
    let bare = block.text.is_empty() && block.markdown.is_empty() && block.kind != Kind::Image;
    let hollow = block.is_paragraph() && block.markdown.is_empty();
    (!bare && !hollow).then_some(block)
}

/// A heading's own Markdown without its `#` marks and without `{#id}`.
fn strip_heading(markdown: &str) -> String {
    let bare = markdown.trim_start_matches('#').trim();
    match bare.rfind("{#").or_else(|| bare.rfind("{\\#")) {
        Some(at) if bare.ends_with('}') => bare[..at].trim_end().to_owned(),
        _ => bare.to_owned(),
    }
}

/// A heading's id: `{#id}` at its end, or `<a id="id">` in it.
fn anchor<'a>(node: &'a AstNode<'a>, text: &mut String) -> Option<String> {
    if let Some(at) = text.rfind("{#").filter(|_| text.ends_with('}')) {
        let id = text[at + 2..text.len() - 1].split_whitespace().next().unwrap_or_default().to_owned();
        text.truncate(text[..at].trim_end().len());
        return (!id.is_empty()).then_some(id);
    }
    node.children().find_map(|child| match &child.data().value {
        NodeValue::HtmlInline(html) => attribute(html, "id").or_else(|| attribute(html, "name")),
        _ => None,
    })
}

fn attribute(html: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!(" {name}="))?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split(quote).next().filter(|id| !id.is_empty()).map(str::to_owned)
}

fn paragraph_kind<'a>(node: &'a AstNode<'a>) -> Kind {
    let mut children = 0;
    let (mut images, mut strong, mut emphasised, mut other) = (0, 0, 0, 0);
    for child in node.children() {
        children += 1;
        match &child.data().value {
            NodeValue::Image(_) => images += 1,
            NodeValue::Link(_) if child.first_child().is_some_and(|c| matches!(c.data().value, NodeValue::Image(_))) => images += 1,
            NodeValue::Strong => strong += 1,
            NodeValue::Emph => emphasised += 1,
            NodeValue::SoftBreak | NodeValue::LineBreak | NodeValue::HtmlInline(_) => children -= 1,
            NodeValue::Text(text) if text.trim_matches([' ', ':', '.']).is_empty() => children -= 1,
            _ => other += 1,
        }
    }
    if images > 0 && images == children && other == 0 {
        return Kind::Image;
    }
    Kind::Paragraph { strong: strong == 1 && children == 1, emphasised: emphasised == 1 && children == 1 }
}

/// The words of a tree, with line breaks between its blocks.
fn plain<'a>(root: &'a AstNode<'a>) -> String {
    let mut out = String::new();
    for node in root.descendants() {
        match &node.data().value {
            NodeValue::Text(text) => out.push_str(text),
            NodeValue::Code(code) => out.push_str(&code.literal),
            NodeValue::CodeBlock(code) => out.push_str(&code.literal),
            NodeValue::SoftBreak | NodeValue::LineBreak => out.push('\n'),
            NodeValue::TableCell if !out.is_empty() && !out.ends_with('\n') => out.push_str(" | "),
            NodeValue::HtmlInline(html) if html.starts_with("<br") => out.push('\n'),
            value if value.block() && !matches!(value, NodeValue::TableCell) && !out.is_empty() && !out.ends_with('\n') => out.push('\n'),
            _ => {}
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn links<'a>(root: &'a AstNode<'a>) -> Vec<Link> {
    let mut found = Vec::new();
    for node in root.descendants() {
        if let NodeValue::Link(link) = &node.data().value {
            found.push(Link { text: plain(node), url: link.url.clone() });
        }
    }
    found
}

/// Comments are no blocks; HTML with running text in it is a paragraph; the rest is kept to be named as left out.
fn html_block(html: &str) -> Option<Block> {
    let text = without_tags(html);
    let lower = html.to_ascii_lowercase();
    if text.is_empty() && lower.trim_start().starts_with("<!--") {
        return None;
    }
    if let Some(mark) = html.trim_start().strip_prefix(marks::OPENING) {
        let text = mark.trim_end().trim_end_matches("?>").to_owned();
        return Some(Block { kind: Kind::Html, markdown: text.clone(), words: 0, items: Vec::new(), links: Vec::new(), text });
    }
    if let Some(block) = tagged_line(html, &lower, &text) {
        return Some(block);
    }
    let page_part = ["<script", "<style", "<form", "<nav", "<iframe", "<svg", "<video", "<img", "<figure", "<button"];
    let running = words::count(&text) >= 8 && !page_part.iter().any(|tag| lower.contains(tag));
    let (kind, markdown) = if running {
        (Kind::Paragraph { strong: false, emphasised: false }, markup::escape(&markup::clean(&text.replace('\n', " ")), true))
    } else {
        (Kind::Html, html.trim().to_owned())
    };
    let text = if text.is_empty() { html.trim().to_owned() } else { text };
    Some(Block { kind, markdown, words: 0, items: Vec::new(), links: Vec::new(), text })
}

/// `<h2 id="x">Text</h2>` is a heading, `<summary>Text</summary>` and what holds nothing but `<strong>Text</strong>` a line in bold.
fn tagged_line(html: &str, lower: &str, text: &str) -> Option<Block> {
    let start = lower.trim_start();
    let level = (1..=6).find(|level| start.starts_with(&format!("<h{level}")) && lower.trim_end().ends_with(&format!("</h{level}>")));
    let summary = start.starts_with("<details") || start.starts_with("<summary");
    let inside = |tag: &str| lower.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")));
    let bold = ["strong", "b"].iter().filter_map(|tag| inside(tag)).any(|(held, _)| words::key(&without_tags(held)) == words::key(text));
    if text.is_empty() || words::count(text) > 30 || !(level.is_some_and(|_| lower.matches("</h").count() == 1) || summary || bold) {
        return None;
    }
    let escaped = markup::keep_sharp(markup::escape(&markup::clean(text), true));
    let (kind, markdown) = match level {
        Some(level) => (Kind::Heading { level, anchor: attribute(html, "id") }, escaped),
        None => (Kind::Paragraph { strong: true, emphasised: false }, format!("**{escaped}**")),
    };
    Some(Block { kind, markdown, words: 0, items: Vec::new(), links: Vec::new(), text: text.to_owned() })
}

fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let end = if rest[open..].starts_with("<!--") { rest[open..].find("-->").map(|i| i + 3) } else { tag_end(&rest[open..]) };
        let Some(end) = end else {
            rest = "";
            break;
        };
        rest = &rest[open + end..];
    }
    out.push_str(rest);
    let entities = [
        ("&nbsp;", " "),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#x60;", "`"),
        ("&#8217;", "’"),
        ("&rsquo;", "’"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    let decoded = entities.iter().fold(out, |text, (entity, plain)| text.replace(entity, plain));
    decoded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where a tag ends; that of a script or a style with all that it holds.
fn tag_end(html: &str) -> Option<usize> {
    let end = html.find('>').map(|at| at + 1)?;
    let Some(name) = markup::RAW.iter().find(|name| markup::opens(html, name)) else { return Some(end) };
    let closes = |at: &usize| markup::opens(&html[*at..], &format!("/{name}"));
    let close = html[end..].match_indices("</").map(|(at, _)| end + at).find(closes);
    close.map_or(Some(end), |at| html[at..].find('>').map(|end| at + end + 1))
}

/// Whether a text without headings is Markdown all the same: then it is not read as plain text.
pub(super) fn is_marked(document: &Document) -> bool {
    let marked = |block: &Block| {
        matches!(block.kind, Kind::Table | Kind::Code | Kind::Image | Kind::Html | Kind::Quote)
            || block.markdown.contains("](")
            || block.markdown.contains("**")
    };
    document.blocks.iter().any(marked)
}

/// "1. Title" with a line under it is a list and a rule to Markdown, and a heading to whoever wrote it.
fn raise_underlined_numbers(blocks: &mut [Block]) {
    for index in 1..blocks.len() {
        let above = &blocks[index - 1];
        let numbered = matches!(above.kind, Kind::List { start: Some(_) }) && above.items.len() == 1 && above.words <= 12;
        if numbered && blocks[index].kind == Kind::Break && blocks.get(index + 1).is_some_and(Block::is_paragraph) {
            raise(&mut blocks[index - 1], 2);
        }
    }
}

/// Bold questions under "Frequently asked questions" are the headings of their answers.
fn raise_questions(blocks: &mut [Block]) {
    let mut under: Option<u8> = None;
    for index in 0..blocks.len() {
        let block = &blocks[index];
        if let Some(level) = block.level() {
            under = wholes::is_list_of_questions(&block.text).then_some(level).or(under.filter(|above| level > *above));
            continue;
        }
        let asked = matches!(block.kind, Kind::Paragraph { strong: true, .. }) && block.text.ends_with('?') && block.words <= 30;
        let answered = blocks.get(index + 1).is_some_and(|next| next.level().is_none() && !next.text.ends_with('?'));
        if let Some(level) = under.filter(|_| asked && answered) {
            raise(&mut blocks[index], (level + 1).min(6));
        }
    }
}

/// An article without a heading below its title may have bold lines for headings, or numbered lines between paragraphs.
pub(super) fn raise_headings(blocks: &mut [Block]) {
    let is_bold = |b: &Block| matches!(b.kind, Kind::Paragraph { strong: true, .. }) && b.words <= 14;
    let is_numbered = |b: &Block| matches!(b.kind, Kind::List { start: Some(_) }) && b.items.len() == 1 && b.words <= 12;
    let ones = blocks.iter().filter(|b| b.level() == Some(1)).count();
    let next_block = |i: usize| blocks[i + 1..].iter().find(|next| next.kind != Kind::Break);
    for pick in [&is_bold as &dyn Fn(&Block) -> bool, &is_numbered] {
        let followed = |i: usize| next_block(i).is_some_and(|next| next.is_paragraph() && !pick(next));
        let picked: Vec<usize> = (0..blocks.len()).filter(|i| pick(&blocks[*i]) && followed(*i)).collect();
        if picked.len() >= 2 && ones <= 1 {
            for index in picked {
                // A bold line that opens the article is its title.
                raise(&mut blocks[index], if index == 0 && ones == 0 { 1 } else { 2 });
            }
            return;
        }
    }
}

fn raise(block: &mut Block, level: u8) {
    let text = block.items.first().unwrap_or(&block.text).trim_end_matches([':', '.']).to_owned();
    block.markdown = markup::keep_sharp(markup::escape(&text, true));
    block.text = text;
    block.items.clear();
    block.kind = Kind::Heading { level, anchor: None };
}

#[cfg(test)]
mod tests {
    use super::{blocks, read};
    use crate::content::read::Hints;

    fn texts(markdown: &str) -> Vec<(String, String)> {
        blocks(markdown, None).into_iter().map(|block| (block.text, block.markdown)).collect()
    }

    #[test]
    fn what_a_script_or_a_style_holds_is_no_text() {
        let kept = |markdown: &str| {
            let read = texts(markdown);
            assert!(read.iter().all(|(text, written)| !text.contains("alert") && !written.contains("alert")), "{read:?}");
            read.into_iter().map(|(text, _)| text).collect::<Vec<_>>()
        };
        assert_eq!(
            kept("Some text <script>alert(1)</script> then <STYLE media=x>p{alert:red}</STYLE>more words"),
            ["Some text then more words"]
        );
        assert_eq!(kept("Take <script>alert *b</script> two* a day"), ["Take two a day"]);
        assert_eq!(kept("## Heat <script>alert(1)</script>\n\n- ice <script>alert(2)</script>\n- rest"), ["Heat", "ice\nrest"]);
        assert_eq!(kept("Rest <script>\nalert(1);\n\nalert(2);\n</script> well"), ["Rest", "well"]);
        assert_eq!(kept("<h2>Heat <script>if (1 > 0) alert(1)</script></h2>"), ["Heat"]);
    }

    #[test]
    fn a_script_that_is_not_one_takes_no_word() {
        let (text, written) = texts("Write `<script>alert(1)</script>` there").remove(0);
        assert_eq!((text.as_str(), written.as_str()), ("Write <script>alert(1)</script> there", "Write `<script>alert(1)</script>` there"));
        assert_eq!(texts("The <script> tag is open\n\n## Next\n\n</script> and more")[2].0, "and more");
        assert_eq!(texts("The <script> tag is open\n\n## Next\n\n</script> and more")[0].0, "The  tag is open");
        assert_eq!(texts("A <script src='x' /> in a line </script>")[0].0, "A  in a line");
    }

    #[test]
    fn links_are_joined_to_the_address_that_is_known() {
        let links = "[a](../foo/bar), [b](?a=b), [c](c#d), [d](/e)";
        let joined = "[a](https://example.org/foo/bar), [b](https://example.org/x/y?a=b), [c](https://example.org/x/c#d), [d](https://example.org/e)";
        let given = Hints { name: "article.md".to_owned(), url: Some("https://example.org/x/y".to_owned()) };
        assert_eq!(read(links, &given).expect("it can be read").blocks[0].markdown, joined);
        let said = format!("---\nurl: https://example.org/x/y?z#w\n---\n\n{links}");
        let unknown = Hints { name: "article.md".to_owned(), url: None };
        assert_eq!(read(&said, &unknown).expect("it can be read").blocks[0].markdown, joined);
        assert_eq!(read(links, &unknown).expect("it can be read").blocks[0].markdown, "a, b, c, d");
    }
}
