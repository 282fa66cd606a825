//! Addresses of an article made whole (RFC 3986, section 5).
//!
//! Owns how a reference is joined to the article's own address. Called by `markup` and by the reader of HTML.

/// Joins a reference of an article to the article's own address; nothing when there is no base to join it to.
pub(crate) fn join(base: Option<&str>, reference: &str) -> Option<String> {
    let reference: String = reference.trim().chars().filter(|c| !matches!(c, '\n' | '\r' | '\t')).collect();
    if let Some(scheme) = scheme(&reference) {
        let whole = !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") || reference[scheme.len()..].starts_with("://");
        return whole.then(|| reference.replace(' ', "%20"));
    }
    let base = base?;
    let scheme_end = base.find("://")?;
    let path_at = base[scheme_end + 3..].find(['/', '?', '#']).map_or(base.len(), |at| scheme_end + 3 + at);
    let (origin, rest) = base.split_at(path_at);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let joined = if reference.starts_with("//") {
        return Some(format!("{}:{}", &base[..scheme_end], reference.replace(' ', "%20")));
    } else if reference.starts_with('#') {
        format!("{}{reference}", base.split('#').next().unwrap_or(base))
    } else if reference.starts_with('?') {
        format!("{origin}{}{reference}", if path.is_empty() { "/" } else { path })
    } else if reference.is_empty() {
        base.to_owned()
    } else {
        let (target, tail) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        let whole = if target.starts_with('/') { target.to_owned() } else { format!("{folder}{target}") };
        format!("{origin}{}{tail}", without_dots(&whole))
    };
    Some(joined.replace(' ', "%20"))
}

fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let letters = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (letters && scheme.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(scheme)
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        match *part {
            "." | ".." => {
                if *part == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn references_are_joined_as_a_browser_joins_them() {
        let base = Some("https://example.org/a/b.html?x=1#top");
        let cases = [
            ("c.html", "https://example.org/a/c.html"),
            ("../c.html", "https://example.org/c.html"),
            ("../../../c/./d", "https://example.org/c/d"),
            ("/c?d=/../e", "https://example.org/c?d=/../e"),
            ("//example.com/c", "https://example.com/c"),
            ("#part", "https://example.org/a/b.html?x=1#part"),
            ("?y", "https://example.org/a/b.html?y"),
            ("..", "https://example.org/"),
            ("https://example.com", "https://example.com"),
            ("mailto:desk@example.org", "mailto:desk@example.org"),
            ("a b", "https://example.org/a/a%20b"),
        ];
        for (reference, whole) in cases {
            assert_eq!(join(base, reference).as_deref(), Some(whole), "{reference}");
        }
        assert_eq!(join(None, "c.html"), None);
        assert_eq!(join(Some("https://example.org"), "c").as_deref(), Some("https://example.org/c"));
        assert_eq!(join(base, "https:c.html"), None);
    }
}
