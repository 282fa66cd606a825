//! What the text of a template opens and closes, told before the parser goes down with it on the stack.
//!
//! Owns the first wall, which says what is wrong in plain words, and the second, which counts what could nest at all: whatever the
//! first mistakes, the parser goes no deeper than the second lets it, and `compile` gives it a stack for that. Called by `shape`.

/// How deep blocks may stand in each other; each further branch of an `else if` counts as one deeper.
pub(super) const MAX_DEPTH: usize = 24;

/// Beginnings of blocks and branches in one text, wherever they stand; a mail that repeats one in every cell of a table has hundreds.
const MAX_BLOCKS: usize = 1_000;

/// Brackets in one text, of styles and conditional comments too.
const MAX_BRACKETS: usize = 4_000;

/// What the parser takes for blank.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// What is wrong in a text, and at which line.
pub(super) type Wrong = (usize, String);

/// Refuses a text whose blocks do not fit into each other, or go too deep.
pub(super) fn scan(text: &str) -> Result<(), Wrong> {
    count(text)?;
    let mut open: Vec<Block<'_>> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let (start, line) = (at + found, line_of(text, at + found));
        let rest = &text[start + 2..];
        if text[..start].ends_with('\\') {
            return wrong(line, "a backslash stands before `{{`: braces cannot be shown as they are, take it away");
        }
        if rest.starts_with("{{") {
            return wrong(line, "`{{{{` is no part of templates: write {{field}}");
        }
        let Some(length) = tag_length(rest) else {
            return wrong(line, "`{{` is not closed: write `}}` where it ends, and end what begins with a quote with one");
        };
        at = start + 2 + length;
        let tag = rest[..length - 2].trim_start_matches('{').trim_start_matches('~').trim_matches(BLANKS);
        if !tag.starts_with('!') {
            read(tag, line, &mut open)?;
        }
        if open.iter().map(|block| block.branches).sum::<usize>() > MAX_DEPTH {
            return wrong(line, format!("blocks stand too deep in each other: {MAX_DEPTH} are enough"));
        }
    }
    match open.pop() {
        Some(Block { name, line, .. }) => wrong(line, format!("`{{{{#{name}}}}}` is never closed: write `{{{{/{name}}}}}` where it ends")),
        None => Ok(()),
    }
}

/// Up to and with the end of a tag whose `{{` is before `rest`; a `}}` within quotes does not end it. A comment ends as it says.
pub(super) fn tag_length(rest: &str) -> Option<usize> {
    if let Some(comment) = rest.strip_prefix('!') {
        let dashes = comment.trim_start_matches(BLANKS).strip_prefix("--");
        let long = dashes.and_then(|words| Some(rest.len() - words.len() + words.find("--}}")? + 4));
        return long.or_else(|| rest.find("}}").map(|end| end + 2));
    }
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (None, '}') if rest[at..].starts_with("}}") => return Some(at + 2),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// A block that is open.
struct Block<'a> {
    name: &'a str,
    line: usize,
    branches: usize,
}

fn read<'a>(tag: &'a str, line: usize, open: &mut Vec<Block<'a>>) -> Result<(), Wrong> {
    if holds_a_call(tag) {
        return wrong(line, "`(`, `[` and `{` stand for nothing in templates: write plain fields such as site.name");
    }
    if tag.contains('\\') {
        return wrong(line, "a backslash stands for nothing in templates: put a text that holds a quote into quotes of the other kind");
    }
    if let Some(block) = tag.strip_prefix('#') {
        open.push(Block { name: name_of(block), line, branches: 1 });
    } else if let Some(closed) = tag.strip_prefix('/').map(name_of) {
        return match open.pop() {
            Some(block) if block.name == closed => Ok(()),
            Some(Block { name, line: opened, .. }) => {
                wrong(line, format!("`{{{{/{closed}}}}}` stands where `{{{{/{name}}}}}` has to close the block of line {opened}"))
            }
            None => wrong(line, format!("`{{{{/{closed}}}}}` closes no block: take it away")),
        };
    } else if let Some(after) = tag.strip_prefix("else").or_else(|| tag.strip_prefix('^')) {
        let Some(block) = open.last_mut() else { return wrong(line, "an `else` stands outside of every block: it belongs into an `if`") };
        // `else if …`, also in one word, is one deeper for the parser than the branch before.
        let goes_on = !after.trim_start_matches(BLANKS).trim_start_matches('~').is_empty();
        block.branches += usize::from(goes_on);
    }
    Ok(())
}

// `*` and `>` make a block of another kind, which `shape` refuses by what it is.
fn name_of(block: &str) -> &str {
    let name = block.trim_start_matches(['*', '>', ' ', '\t', '\n', '\r']);
    name.split(|c| BLANKS.contains(&c) || c == '~').next().unwrap_or(name)
}

fn holds_a_call(tag: &str) -> bool {
    let mut quote = None;
    tag.chars().any(|c| match (quote, c) {
        (None, '"' | '\'') => {
            quote = Some(c);
            false
        }
        (Some(open), c) => {
            quote = (open != c).then_some(open);
            false
        }
        (None, c) => matches!(c, '(' | '[' | '{'),
    })
}

// Counted without asking what is a comment, a text in quotes or escaped, so that no such question can be answered wrongly.
fn count(text: &str) -> Result<(), Wrong> {
    let begins = |at: &usize| {
        let tag = text[*at..].trim_start_matches(['{', '~', ' ', '\t', '\n', '\r']);
        tag.starts_with(['#', '^']) || tag.starts_with("else")
    };
    if let Some(at) = text.match_indices("{{").map(|(at, _)| at).filter(begins).nth(MAX_BLOCKS) {
        return wrong(line_of(text, at), format!("blocks stand too deep in each other, or are too many: {MAX_BLOCKS} are enough"));
    }
    let bytes = text.as_bytes();
    let alone = |at: usize| bytes[at] != b'{' || (bytes.get(at + 1) != Some(&b'{') && (at == 0 || bytes[at - 1] != b'{'));
    let bracket = |at: &usize| matches!(bytes[*at], b'(' | b'[' | b'{') && alone(*at);
    match (0..bytes.len()).filter(bracket).nth(MAX_BRACKETS) {
        Some(at) => wrong(line_of(text, at), format!("more than {MAX_BRACKETS} of `(`, `[` and `{{` stand in one file: make it shorter")),
        None => Ok(()),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn wrong<T>(line: usize, what: impl Into<String>) -> Result<T, Wrong> {
    Err((line, what.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_ends_where_the_parser_ends_it() {
        for (rest, tag) in [
            ("a}} b", "a}}"),
            ("a \"}}\"}} b", "a \"}}\"}}"),
            ("!-- }} --}} b", "!-- }} --}}"),
            ("! -- }} --}} b", "! -- }} --}}"),
            ("!--}} a --}} b", "!--}} a --}}"),
            ("!--}} a", "!--}}"),
            ("! }} --}} b", "! }}"),
        ] {
            assert_eq!(tag_length(rest).map(|length| &rest[..length]), Some(tag), "{rest}");
        }
    }

    #[test]
    fn a_block_that_does_not_fit_is_named_with_its_line_and_what_to_do() {
        for (text, line, word) in [
            ("a\n{{#if topic}}\nx", 2, "`{{/if}}` where it ends"),
            ("{{#if topic}}\n{{/each}}", 2, "`{{/if}}` has to close the block of line 1"),
            ("a\n{{/if}}", 2, "closes no block"),
            ("a\n{{else}}", 2, "outside of every block"),
            ("a\n\\{{topic}}", 2, "backslash"),
            ("a\n{{wrap \"a \\\" b}}", 2, "quotes of the other kind"),
            ("a\n{{wrap \"a}}", 2, "end what begins with a quote"),
        ] {
            let (at, what) = scan(text).expect_err(text);
            assert!(at == line && what.contains(word), "{text}: {at}, {what}");
        }
        for text in ["{{~#if topic ~}}x{{~ else ~}}{{/if}}", "{{#*inline \"a\"}}{{/inline}}", "{{#each a}}{{^}}{{/each}}", "C:\\ {{topic}}"]
        {
            assert_eq!(scan(text), Ok(()), "{text}");
        }
    }
}
