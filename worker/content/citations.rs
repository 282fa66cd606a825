//! Citation marks: where a text points to the references of its article.
//!
//! Owns the three ways of citing that are understood: by number or label (`[3]`, `[1, 4]`, `[2-5]`, footnotes), by name
//! and year ("(Smith et al., 2019)"), and by linking the reference's own address. Called by `markup` and `references`.

/// A group of labels as it stands between the brackets: "3", "1, 4", "2-5"; nothing when the text is no such group.
pub fn group(text: &str) -> Option<&str> {
    let digits_only = |part: &str| {
        let part = part.trim();
        (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let well_formed = !text.is_empty() && text.len() <= 60 && text.split(',').all(|part| part.split(['-', '–']).take(3).all(digits_only));
    well_formed.then_some(text)
}

/// The labels of a mark that opens the text: `[3] says` gives "3".
pub fn mark(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let close = inner.as_bytes().iter().take(64).position(|b| *b == b']')?;
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

/// Rewrites each `[^group]` of a block's Markdown by `write`, which gets the group as it stands.
pub fn rewrite(markdown: &str, mut write: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some(at) = rest.find("[^") {
        let inner = &rest[at + 2..];
        let close = inner.as_bytes().iter().take(120).position(|b| *b == b']' || *b == b'\n');
        let escaped = rest[..at].ends_with('\\');
        match close.filter(|close| !escaped && inner.as_bytes()[*close] == b']' && is_group(&inner[..*close])) {
            Some(close) => {
                out.push_str(&rest[..at]);
                out.push_str(&write(&inner[..close]));
                rest = &inner[close + 1..];
            }
            None => {
                out.push_str(&rest[..at + 2]);
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_group(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '–' | '_' | ',' | ' '))
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
