//! Marks of site generators in Markdown: Liquid and Hugo tags, MDX imports and components, directives, attribute lists.
//!
//! Owns their taking out before the Markdown is parsed: a mark inside a line goes, and the words around it stay; a mark by itself
//! becomes a block that is left out under its own name; what a code tag holds becomes fenced code. Code is left alone. Called by
//! `markdown`.

use std::borrow::Cow;

/// How a mark by itself opens in what is handed to the parser: as a processing instruction, which Markdown leaves alone.
pub(super) const OPENING: &str = "<?mark ";

/// A mark that goes on for longer is none.
const MOST_LINES: usize = 40;

/// The text without the marks of a site's generator.
pub(super) fn take_out(text: &str) -> Cow<'_, str> {
    let holds = ["{%", "{{", "{:", ":::", "[!", "\n**", "\nimport ", "\nexport ", "</", "/>", "<>"].iter().any(|mark| text.contains(mark));
    if !holds && !text.starts_with("import ") && !text.starts_with("export ") {
        return Cow::Borrowed(text);
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < lines.len() {
        // Without an empty line between them the bold line would belong to the item, which nobody means who writes it at the margin.
        if lines[at].starts_with("**") && at > 0 && is_item(lines[at - 1]) {
            out.push('\n');
        }
        at += copy_code(&lines[at..], &mut out).or_else(|| settle(&lines[at..], &mut out)).unwrap_or_else(|| {
            out.push_str(lines[at]);
            1
        });
    }
    Cow::Owned(out)
}

fn is_item(line: &str) -> bool {
    let bare = line.trim_start();
    let number = bare.bytes().take_while(u8::is_ascii_digit).count();
    bare.starts_with("- ")
        || bare.starts_with("* ")
        || bare.starts_with("+ ")
        || (1..=3).contains(&number) && bare[number..].starts_with(". ")
}

/// Copies fenced code as it stands; says how many lines that were.
fn copy_code(lines: &[&str], out: &mut String) -> Option<usize> {
    let fence = fence(lines[0])?;
    let closes = |line: &&str| {
        let bare = line.trim();
        bare.len() >= fence.len() && bare.bytes().all(|b| b == fence.as_bytes()[0])
    };
    let taken = lines[1..].iter().position(closes).map_or(lines.len(), |end| end + 2);
    lines[..taken].iter().for_each(|line| out.push_str(line));
    Some(taken)
}

fn fence(line: &str) -> Option<&str> {
    let bare = line.trim_start().trim_start_matches(['>', ' ']);
    let sign = bare.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = bare.len() - bare.trim_start_matches(sign).len();
    (length >= 3 && !(sign == '`' && bare[length..].contains('`'))).then(|| &bare[..length])
}

/// Settles the marks of a line, with those that go on below it; nothing when it holds none.
fn settle(lines: &[&str], out: &mut String) -> Option<usize> {
    let line = lines[0];
    let bare = line.trim();
    let indent = &line[..line.len() - line.trim_start().len()];
    if is_attribute_list(bare) || is_closing(bare) {
        out.push('\n');
        return Some(1);
    }
    if bare.starts_with(":::") {
        return directive(bare, indent, out);
    }
    if let Some(rest) = alert(bare) {
        out.push_str(&format!("{indent}> {rest}\n"));
        return Some(1);
    }
    import(lines, out).or_else(|| component(lines, indent, out)).or_else(|| tags(lines, indent, out))
}

/// "{: .note}" and "{:toc}", by which kramdown gives a paragraph its class.
fn is_attribute_list(bare: &str) -> bool {
    bare.starts_with("{:") && bare.ends_with('}') && !bare[1..].contains('{')
}

/// Ends of directives and components carry no words.
fn is_closing(bare: &str) -> bool {
    let directive = bare.len() >= 3 && bare.bytes().all(|b| b == b':');
    let named = bare.strip_prefix("</").is_some_and(|name| {
        let name = name.trim_end_matches('>');
        bare.ends_with('>') && name.chars().next().is_none_or(char::is_uppercase) && name.chars().all(|c| c.is_alphanumeric() || c == '.')
    });
    directive || named || bare == "<>"
}

/// `:::tip[Title]` and `:::tip Title`: the title stays.
fn directive(bare: &str, indent: &str, out: &mut String) -> Option<usize> {
    let rest = bare.trim_start_matches(':').trim();
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
    let title = rest[name.len()..].trim().trim_start_matches('[').split([']', '{']).next().unwrap_or_default().trim();
    if name.is_empty() {
        return None;
    }
    match title.is_empty() {
        true => mark(bare, indent, out),
        false => out.push_str(&format!("\n{indent}**{title}**\n\n")),
    }
    Some(1)
}

/// "> [!NOTE]", the opening of an alert: what follows the mark.
fn alert(bare: &str) -> Option<&str> {
    let (name, rest) = bare.strip_prefix('>')?.trim_start().strip_prefix("[!")?.split_once(']')?;
    name.chars().all(|c| c.is_alphabetic() || c == '-').then(|| rest.trim_start_matches(['-', '+']).trim())
}

/// "import X from 'y'" and "export const …" of MDX, to the end of the statement.
fn import(lines: &[&str], out: &mut String) -> Option<usize> {
    let line = lines[0];
    let quoted = |line: &str| line.trim_end().trim_end_matches(';').ends_with(['\'', '"']);
    let end = if let Some(named) = line.strip_prefix("import ") {
        let opened = line.contains(" from ") || line.trim_end().ends_with('{') || named.starts_with(['\'', '"']);
        let end = lines.iter().take(MOST_LINES).position(|line| quoted(line)).filter(|_| opened)?;
        let whole = lines[..=end].concat();
        (whole.contains(" from ") || end == 0).then_some(end)?
    } else {
        let opened = ["export const ", "export default ", "export function ", "export let "].iter().any(|start| line.starts_with(start));
        opened.then(|| lines.iter().take(MOST_LINES).position(|line| line.trim().is_empty()).map_or(0, |blank| blank.saturating_sub(1)))?
    };
    mark(&lines[..=end].concat(), "", out);
    Some(end + 1)
}

/// A component of MDX that opens a line and has it for itself; a title or a question that it bears stays.
fn component(lines: &[&str], indent: &str, out: &mut String) -> Option<usize> {
    let first = lines[0].trim_start();
    if !first.strip_prefix('<').is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase())) {
        return None;
    }
    let (taken, end) = tag_end(lines)?;
    let whole = lines[..taken].concat();
    let (tag, rest) = whole.trim_start().split_at(end);
    // What stands on the same line after it is running text with a component in it.
    if !rest.trim().is_empty() {
        return None;
    }
    mark(tag, indent, out);
    if !tag.ends_with("/>")
        && let Some(title) = ["question", "title", "label", "summary", "header"].iter().find_map(|name| attribute(tag, name))
    {
        out.push_str(&format!("\n{indent}**{title}**\n\n"));
    }
    Some(taken)
}

/// How many lines a tag takes, and how many bytes it has from its "<".
fn tag_end(lines: &[&str]) -> Option<(usize, usize)> {
    let (mut braces, mut quote, mut length) = (0_i32, None, 0);
    let skipped = lines[0].len() - lines[0].trim_start().len();
    for (index, line) in lines.iter().take(MOST_LINES).enumerate() {
        for (at, c) in line.char_indices().filter(|(at, _)| index > 0 || *at >= skipped) {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'' | '`') => quote = Some(c),
                (None, '{') => braces += 1,
                (None, '}') => braces -= 1,
                (None, '>') if braces <= 0 && !line[..at].ends_with('=') => {
                    return Some((index + 1, length + at + 1 - if index == 0 { skipped } else { 0 }));
                }
                _ => {}
            }
        }
        length += line.len() - if index == 0 { skipped } else { 0 };
    }
    None
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{name}="))?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split(quote).next().map(str::trim).filter(|value| value.chars().any(char::is_alphabetic) && !value.contains('\n'))
}

/// Takes the tags out of a line and of those on which they go on.
fn tags(lines: &[&str], indent: &str, out: &mut String) -> Option<usize> {
    next_tag(lines[0], 0)?;
    if let Some(code) = code_tag(lines[0]) {
        return Some(copy_tagged(lines, code, indent, out));
    }
    let mut taken = 1;
    let mut whole = Cow::Borrowed(lines[0]);
    let (mut kept, mut tags, mut said, mut from) = (String::new(), String::new(), Vec::new(), 0);
    while let Some((start, close)) = next_tag(&whole, from) {
        let Some(length) = whole[start..].find(close) else {
            if taken >= lines.len().min(MOST_LINES) {
                // Nothing closes it: the line is left as it stands.
                out.push_str(lines[0]);
                return Some(1);
            }
            whole.to_mut().push_str(lines[taken]);
            taken += 1;
            continue;
        };
        kept.push_str(&whole[from..start]);
        from = start + length + close.len();
        let tag = &whole[start..from];
        tags.push_str(tag);
        said.push((kept.len(), attribute(tag, " text").unwrap_or_default().to_owned()));
    }
    kept.push_str(whole[from..].trim_end());
    if kept.trim_matches([' ', '\n', '>']).is_empty() {
        mark(&tags, indent, out);
    } else {
        // A link that is made by a tag says its words in it.
        said.iter().rev().for_each(|(at, words)| kept.insert_str(*at, words));
        out.push_str(&kept);
        out.push('\n');
    }
    Some(taken)
}

/// Where the next tag begins, outside of code, and what closes it.
fn next_tag(text: &str, from: usize) -> Option<(usize, &'static str)> {
    let mut at = from;
    while let Some(found) = text[at..].find('{') {
        let start = at + found;
        let close = match text.as_bytes().get(start + 1) {
            Some(b'%') => Some("%}"),
            Some(b'{') if text[start..].starts_with("{{%") => Some("%}}"),
            Some(b'{') if text[start..].starts_with("{{<") => Some(">}}"),
            Some(b'{') => Some("}}"),
            _ => None,
        };
        let in_code = text[..start].bytes().filter(|b| *b == b'`').count() % 2 == 1;
        match close.filter(|_| !in_code) {
            Some(close) => return Some((start, close)),
            None => at = start + 1,
        }
    }
    None
}

/// The name of a tag that holds code, and the code's language.
fn code_tag(line: &str) -> Option<(&str, &str)> {
    let inner = line.trim().strip_prefix("{%").or_else(|| line.trim().strip_prefix("{{<")).or_else(|| line.trim().strip_prefix("{{%"))?;
    let mut words = inner.trim_start_matches(['-', '%']).split_whitespace();
    let name = words
        .next()
        .map(|name| name.trim_end_matches("%}"))
        .filter(|name| matches!(*name, "highlight" | "codeblock" | "code-toggle" | "code" | "raw" | "text" | "comment" | "mermaid"))?;
    let language =
        words.next().filter(|word| name != "code-toggle" && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '+' | '#' | '-')));
    Some((name, language.filter(|word| !word.ends_with('-') && *word != "plain").unwrap_or_default()))
}

/// What a code tag holds becomes fenced code; what is raw or a comment stays or goes.
fn copy_tagged(lines: &[&str], (name, language): (&str, &str), indent: &str, out: &mut String) -> usize {
    let ends = |line: &&str| {
        let bare = line.split_whitespace().collect::<String>().replace("{%-", "{%").replace("-%}", "%}");
        [format!("{{%end{name}%}}"), format!("{{{{</{name}>}}}}"), format!("{{{{%/{name}%}}}}")]
            .iter()
            .any(|end| bare.ends_with(end.as_str()))
    };
    let Some(end) = lines[1..].iter().position(ends) else {
        mark(lines[0], indent, out);
        return 1;
    };
    let inner = &lines[1..=end];
    match name {
        "raw" => inner.iter().for_each(|line| out.push_str(line)),
        "comment" => mark(&lines[..end + 2].concat(), indent, out),
        _ => out.push_str(&format!("{indent}````{language}\n{}{indent}````\n", inner.concat())),
    }
    end + 2
}

/// A mark by itself, in a form that the parser hands through as a block of its own. Inside of a list it would only part the list.
fn mark(text: &str, indent: &str, out: &mut String) {
    if !indent.is_empty() {
        out.push('\n');
        return;
    }
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("?>", "? >");
    out.push_str(&format!("{OPENING}{flat}?>\n"));
}

#[cfg(test)]
mod tests {
    use super::take_out;

    #[test]
    fn a_tag_inside_a_line_goes_and_the_words_around_it_stay() {
        assert_eq!(take_out("Read [this]({% link a.md %}) {{ page.x }} now.\n"), "Read [this]()  now.\n");
        assert_eq!(take_out("See {% include link.html to=\"a\" text=\"how to rest\" %}.\n"), "See how to rest.\n");
        assert_eq!(take_out("Write `{{ name }}` there.\n"), "Write `{{ name }}` there.\n");
        assert_eq!(take_out("An open {{ brace\nand no end\n"), "An open {{ brace\nand no end\n");
    }

    #[test]
    fn a_tag_by_itself_becomes_a_block_of_its_own() {
        assert_eq!(take_out("{% include box.html\n  a=1 %}\nText\n"), "<?mark {% include box.html a=1 %}?>\nText\n");
        assert_eq!(take_out("{{< figure src=\"x.png\" >}}\n"), "<?mark {{< figure src=\"x.png\" >}}?>\n");
        assert_eq!(take_out("import A from 'a';\n\nText\n"), "<?mark import A from 'a';?>\n\nText\n");
        assert_eq!(take_out("import duties apply here\n\n{: .x}\n"), "import duties apply here\n\n\n");
    }

    #[test]
    fn a_bold_line_at_the_margin_ends_a_list() {
        assert_eq!(take_out("- heat\n**How long?** Ten minutes.\n"), "- heat\n\n**How long?** Ten minutes.\n");
        assert_eq!(take_out("- heat\n  **How long?**\n"), "- heat\n  **How long?**\n");
    }

    #[test]
    fn what_a_component_asks_stays() {
        assert_eq!(
            take_out("<Answer question=\"Why rest?\"\n  open={a > b}>\nIt heals.\n</Answer>\n"),
            "<?mark <Answer question=\"Why rest?\" open={a > b}>?>\n\n**Why rest?**\n\nIt heals.\n\n"
        );
        assert_eq!(take_out("<Box /> in a line\n"), "<Box /> in a line\n");
        assert_eq!(take_out(":::tip[Warm up]\nWalk.\n:::\n"), "\n**Warm up**\n\nWalk.\n\n");
    }

    #[test]
    fn code_is_left_alone_and_a_code_tag_becomes_code() {
        assert_eq!(take_out("```\n{{ a }}\nimport a from 'b'\n```\n"), "```\n{{ a }}\nimport a from 'b'\n```\n");
        assert_eq!(take_out("{% highlight rust %}\nlet a = 1;\n{% endhighlight %}\n"), "````rust\nlet a = 1;\n````\n");
    }
}
