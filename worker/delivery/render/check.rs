//! What a finished mail must keep: its size, the way out and the postal address in both parts, sound links, nothing that
//! is loaded from anywhere. Pure; called by `tidings template check` and by tests, and meant for pre-flight.

use super::{Foot, MAX_HTML, Rendered, dress};

/// What must be found in both parts.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Which links the foot must carry, and whether it may carry others.
    pub foot: Foot,
    /// The link of the button, where there is one.
    pub button_url: Option<&'a str>,
    /// Her preferences.
    pub preferences_url: &'a str,
    /// The link out.
    pub unsubscribe_url: &'a str,
    /// Her place on a waitlist.
    pub entry_url: &'a str,
    /// The publisher's postal address.
    pub postal_address: &'a str,
}

/// What is wrong with `mail`, each finding a sentence that says what to do; empty when all is well.
pub fn findings(mail: &Rendered, wanted: &Wanted<'_>) -> Vec<String> {
    let tags = tags(&mail.html);
    let mut found = Vec::new();
    if mail.subject.is_empty() || mail.subject.chars().any(char::is_control) {
        found.push("the subject is empty or holds a line break: write one line".to_owned());
    }
    if mail.text.trim().is_empty() {
        found.push("the text part is empty: people who read plain text get nothing".to_owned());
    }
    if mail.html.len() >= MAX_HTML {
        found.push(format!("the HTML part has {} bytes and {MAX_HTML} are too many: shorten the tip", mail.html.len()));
    }
    found.extend(missing(mail, wanted));
    found.extend(too_many(mail, &tags, wanted));
    found.extend(unresolved(mail));
    found.extend(tags.iter().filter_map(|tag| wrong_link(tag)));
    found.extend(tags.iter().filter_map(|tag| loads_something(tag)));
    found.extend(structure(&tags));
    found.extend(links_only_in_html(&tags, &mail.text));
    found
}

fn missing(mail: &Rendered, wanted: &Wanted<'_>) -> Vec<String> {
    let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let in_html = |needle: &str| mail.html.contains(&super::escape_html(needle));
    let mut found = Vec::new();
    let person = (wanted.foot != Foot::Unproven).then_some(wanted.preferences_url);
    let topic = (wanted.foot == Foot::Topic).then_some(wanted.unsubscribe_url);
    let entry = (wanted.foot == Foot::Waitlist).then_some(wanted.entry_url);
    let links = [
        ("link of the button", wanted.button_url),
        ("preferences link", person),
        ("unsubscribe link", topic),
        ("link to her place on the waitlist", entry),
    ];
    let links = links.into_iter().filter_map(|(what, url)| Some((what, url?)));
    let links = links.map(|(what, url)| (what, in_html(url) && mail.text.contains(url)));
    let address = !wanted.postal_address.is_empty() && in_html(wanted.postal_address) && text.contains(wanted.postal_address);
    for (what, in_both) in links.chain([("postal address", address)]) {
        if !in_both {
            found.push(format!(
                "the {what} is not in both parts: the template's foot must be in the HTML and in the text, and site.postal_address set"
            ));
        }
    }
    found
}

// What goes to an address that nobody has proven must be of no use to whoever reads it but for its one page.
fn too_many(mail: &Rendered, tags: &[&str], wanted: &Wanted<'_>) -> Option<String> {
    if wanted.foot != Foot::Unproven {
        return None;
    }
    let in_html = tags.iter().filter_map(|tag| attribute(tag, "href")).map(|url| url.replace("&amp;", "&"));
    let in_text = mail.text.split_whitespace().filter(|word| word.starts_with("http")).map(str::to_owned);
    let other = in_html.chain(in_text).find(|url| Some(url.as_str()) != wanted.button_url)?;
    Some(format!("the link `{other}` goes to an address that nobody has confirmed: the button's link alone may stand there"))
}

fn unresolved(mail: &Rendered) -> Option<String> {
    let parts = [("text", &mail.text), ("HTML", &mail.html)];
    let (name, part) = parts.into_iter().find(|(_, part)| part.contains("{{"))?;
    let at = part.find("{{")?;
    let shown: String = part[at..].chars().take(30).collect();
    Some(format!("the {name} part holds a placeholder that nobody filled: `{shown}`"))
}

fn wrong_link(tag: &str) -> Option<String> {
    let url = attribute(tag, "href")?.replace("&amp;", "&");
    let sound = dress::may_link(&url) || url.starts_with("mailto:");
    (!sound).then(|| format!("the link `{url}` is relative or not https: write the whole https address"))
}

fn loads_something(tag: &str) -> Option<String> {
    let name = tag.split([' ', '>', '/']).next().unwrap_or("").to_ascii_lowercase();
    if name == "img" && attribute(tag, "alt").is_none() {
        return Some("an image has no alternative text: give it one, or an empty one when it says nothing".to_owned());
    }
    let loads = matches!(
        name.as_str(),
        "img" | "script" | "link" | "iframe" | "object" | "embed" | "video" | "audio" | "source" | "base" | "form" | "input"
    );
    let by_attribute = ["src", "srcset", "background", "poster", "ping"].iter().any(|a| attribute(tag, a).is_some());
    let by_style = attribute(tag, "style").is_some_and(|style| style.contains("url("));
    (loads || by_attribute || by_style).then(|| format!("`<{name}>` would load something when the mail is opened: a mail contacts nobody"))
}

fn structure(tags: &[&str]) -> Vec<String> {
    let count = |name: &str| tags.iter().filter(|tag| tag.split([' ', '/']).next() == Some(name)).count();
    let mut found = Vec::new();
    if count("h1") != 1 {
        found.push(format!("there are {} headings of the first level: one is right", count("h1")));
    }
    if !tags.iter().any(|tag| tag.starts_with("html ") && attribute(tag, "lang").is_some_and(|lang| !lang.is_empty() && lang != "und")) {
        found.push("the HTML part names no language: set site.language".to_owned());
    }
    found
}

fn links_only_in_html(tags: &[&str], text: &str) -> Vec<String> {
    let urls = tags.iter().filter_map(|tag| attribute(tag, "href")).map(|url| url.replace("&amp;", "&"));
    let absent = urls.filter(|url| !text.contains(url.strip_prefix("mailto:").unwrap_or(url)));
    absent.map(|url| format!("the link `{url}` is in the HTML part and not in the text: the text must carry every link")).collect()
}

// The inner text of every opening tag; what stands in a style sheet's text is no tag.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .filter_map(|piece| piece.split_once('>'))
        .map(|(tag, _)| tag)
        .filter(|tag| !tag.starts_with(['/', '!']))
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = tag.split_once(&format!(" {name}=\""))?;
    value.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: &str = "https://example.org/u/x";
    const PREFERENCES: &str = "https://example.org/preferences/x";

    fn mail(html: &str) -> Rendered {
        let foot = format!("{PREFERENCES} {OUT} 1 Street");
        Rendered {
            subject: "A subject".into(),
            text: format!("Text https://example.org/a {foot}"),
            html: format!("<html lang=\"en\"><h1>A</h1>{html}<p>{foot}</p></html>"),
        }
    }

    const WANTED: Wanted<'static> = Wanted {
        foot: Foot::Topic,
        button_url: None,
        preferences_url: PREFERENCES,
        unsubscribe_url: OUT,
        entry_url: "https://example.org/waitlist/x/y",
        postal_address: "1 Street",
    };

    #[test]
    fn a_sound_mail_has_no_findings() {
        assert_eq!(findings(&mail("<a href=\"https://example.org/a\">a</a>"), &WANTED), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_found_and_named() {
        for (html, word) in [
            ("<a href=\"/relative\">a</a>", "relative"),
            ("<a href=\"http://example.org/\">a</a>", "not https"),
            ("<a href=\"https://example.org/b\">a</a>", "text must carry"),
            ("<img src=\"https://foreign.example/p.gif\">", "alternative text"),
            ("<img alt=\"\" src=\"https://foreign.example/p.gif\">", "contacts nobody"),
            ("<td style=\"background:url(https://foreign.example/)\">", "contacts nobody"),
            ("<link rel=\"stylesheet\">", "contacts nobody"),
            ("{{name}}", "placeholder"),
            ("<h1>B</h1>", "first level"),
        ] {
            let found = findings(&mail(html), &WANTED);
            assert!(found.iter().any(|finding| finding.contains(word)), "{html}: {found:?}");
        }
    }

    #[test]
    fn what_the_foot_wants_must_stand_in_both_parts() {
        let mut mail = mail("");
        mail.text = "Only text".into();
        let missing = |foot, button_url| findings(&mail, &Wanted { foot, button_url, ..WANTED }).len();
        assert_eq!(missing(Foot::Topic, None), 3, "preferences, the way out, the postal address");
        assert_eq!(missing(Foot::Topic, Some("https://example.org/button")), 4);
        assert_eq!(missing(Foot::Person, None), 2);
        assert_eq!(missing(Foot::Waitlist, None), 3, "preferences, her place, the postal address");
        assert_eq!(missing(Foot::Unproven, None), 1);
    }

    #[test]
    fn a_mail_to_an_address_that_nobody_has_proven_carries_the_link_of_its_button_alone() {
        let wanted = Wanted { foot: Foot::Unproven, button_url: Some("https://example.org/confirm/x"), ..WANTED };
        let mail = |more: &str| Rendered {
            subject: "A subject".into(),
            text: format!("https://example.org/confirm/x {more} 1 Street"),
            html: "<html lang=\"en\"><h1>A</h1><a href=\"https://example.org/confirm/x\">x</a> 1 Street</html>".into(),
        };
        assert_eq!(findings(&mail(""), &wanted), Vec::<String>::new());
        assert!(findings(&mail(PREFERENCES), &wanted)[0].contains("nobody has confirmed"));
    }
}
