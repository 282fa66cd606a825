//! Citation marks: where a text points to the references of its article.
//!
//! Owns the three ways of citing that are understood: by number or label (`[3]`, `[1, 4]`, `[2-5]`, footnotes), by name
//! and year ("(Smith et al., 2019)"), and by linking the reference's own address. Called by `markup` and `references`.

/// A longer bracket is no mark.
const LONGEST_GROUP: usize = 200;

/// A group of labels as it stands between the brackets: "3", "1, 4", "2-5"; nothing when the text is no such group.
pub fn group(text: &str) -> Option<&str> {
    let digits_only = |part: &str| {
        let part = part.trim();
        (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let well_formed =
        !text.is_empty() && text.len() <= LONGEST_GROUP && text.split(',').all(|part| part.split(['-', '–']).take(3).all(digits_only));
    well_formed.then_some(text)
}

/// The labels of a mark that opens the text: `[3] says` gives "3".
pub fn mark(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let close = inner.as_bytes().iter().take(LONGEST_GROUP + 1).position(|b| *b == b']')?;
    group(&inner[..close])
}

/// A footnote's name as a label: letters, digits, `-` and `_` only.
pub fn label(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect()
}

/// Every label that the group stands for, ranges written out.
pub fn labels(group: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in group.split(',').map(str::trim) {
        let ends = part.split_once(['-', '–']).and_then(|(a, b)| Some((a.trim().parse::<usize>().ok()?, b.trim().parse::<usize>().ok()?)));
        match ends {
            Some((first, last)) if first <= last && last - first < 50 => found.extend((first..=last).map(|n| n.to_string())),
            _ => found.push(part.to_owned()),
        }
    }
    found
}

/// Rewrites each `[^group]` of a block's Markdown by `write`, which gets the group as it stands. Code is left alone.
pub fn rewrite(markdown: &str, mut write: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some(at) = rest.find(['`', '\\', '[']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match rest.as_bytes()[0] {
            b'`' => code_span(rest),
            b'\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => match written_group(rest) {
                Some(group) => {
                    out.push_str(&write(group));
                    rest = &rest[group.len() + 3..];
                    continue;
                }
                None => 1,
            },
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

/// How long the code is that a run of backticks opens, or the run itself when nothing closes it.
fn code_span(text: &str) -> usize {
    let ticks = text.bytes().take_while(|b| *b == b'`').count();
    let mut at = ticks;
    while let Some(found) = text[at..].find('`') {
        let run = text[at + found..].bytes().take_while(|b| *b == b'`').count();
        at += found + run;
        if run == ticks {
            return at;
        }
    }
    ticks
}

/// The group of a `[^group]` that opens the text.
fn written_group(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("[^")?;
    let close = inner.as_bytes().iter().take(LONGEST_GROUP + 1).position(|b| *b == b']')?;
    let known = |c: char| c.is_alphanumeric() || matches!(c, '-' | '–' | '_' | ',' | ' ');
    inner.get(..close).filter(|group| !group.is_empty() && group.chars().all(known))
}

/// Numbers as a group, runs of three and more as a range: "1, 4-7".
pub fn written(numbers: &[usize]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < numbers.len() {
        let run = (at + 1..numbers.len()).take_while(|i| numbers[*i] == numbers[at] + (i - at)).count() + 1;
        let ranged = (3..50).contains(&run);
        parts.push(if ranged { format!("{}-{}", numbers[at], numbers[at + run - 1]) } else { numbers[at].to_string() });
        at += if ranged { run } else { 1 };
    }
    parts.join(", ")
}

/// Every label that a block's Markdown cites, in order.
pub fn cited(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    if markdown.contains("[^") {
        rewrite(markdown, |group| {
            found.extend(labels(group));
            String::new()
        });
    }
    found
}

/// A plain text without its numeric marks, for sentences and fingerprints.
pub fn without_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        match mark(from) {
            Some(labels) => {
                out.truncate(out.trim_end_matches(' ').len());
                rest = &from[labels.len() + 2..];
            }
            None => {
                out.push('[');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}
