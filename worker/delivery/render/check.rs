//! What a finished mail must keep: its size, the way out and the postal address in both parts, sound links, nothing that
//! is loaded from anywhere. Pure; called by `campaigns::preflight` for every mail, by `tidings template check` and by tests.

use super::{Foot, MAX_HTML, Rendered, dress, loading, markup};
use std::borrow::Cow;

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

/// The ways in which a mail can be at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// No subject, or one of more than one line.
    Subject,
    /// Nothing in the text part.
    Text,
    /// An HTML part that mail programs cut.
    TooLarge,
    /// No way out in one of the parts: the unsubscribe link, or her place on a waitlist.
    WayOut,
    /// Another link that the foot or the button must carry is missing.
    OwnLink,
    /// No postal address in one of the parts.
    PostalAddress,
    /// A link that goes to an address which nobody has confirmed.
    StrayLink,
    /// A placeholder that nobody filled.
    Placeholder,
    /// A link that is relative or not https.
    Link,
    /// An image without alternative text.
    AltText,
    /// Something would be loaded when the mail is opened.
    Loads,
    /// Not one heading of the first level.
    Headings,
    /// No language.
    Language,
    /// A link that only the HTML part has.
    LinkNotInText,
}

/// One thing that is wrong with a mail: what it is, and a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub kind: Kind,
    /// What is wrong here and what to do; it carries no link of one person's own.
    pub says: String,
}

impl Fault {
    /// A link of the text that a mail may not carry.
    pub fn of_link(url: &str) -> Self {
        Self::new(Kind::Link, format!("the link `{url}` is relative or not https: write the whole https address"))
    }

    fn new(kind: Kind, says: impl Into<String>) -> Self {
        Self { kind, says: says.into() }
    }
}

/// What is wrong with `mail`, each finding a sentence that says what to do; empty when all is well.
pub fn findings(mail: &Rendered, wanted: &Wanted<'_>) -> Vec<String> {
    faults(mail, wanted).into_iter().map(|fault| fault.says).collect()
}

/// What is wrong with `mail`; empty when all is well.
pub fn faults(mail: &Rendered, wanted: &Wanted<'_>) -> Vec<Fault> {
    let tags = tags(&mail.html);
    let mut found = Vec::new();
    if mail.subject.is_empty() || mail.subject.chars().any(char::is_control) {
        found.push(Fault::new(Kind::Subject, "the subject is empty or holds a line break: write one line"));
    }
    if mail.text.trim().is_empty() {
        found.push(Fault::new(Kind::Text, "the text part is empty: people who read plain text get nothing"));
    }
    if mail.html.len() >= MAX_HTML {
        let says = format!("the HTML part has {} bytes and {MAX_HTML} are too many: shorten the tip", mail.html.len());
        found.push(Fault::new(Kind::TooLarge, says));
    }
    found.extend(missing(mail, wanted));
    found.extend(too_many(mail, &tags, wanted));
    found.extend(unresolved(mail));
    found.extend(tags.iter().filter_map(|tag| wrong_link(tag, wanted)));
    found.extend(tags.iter().filter_map(|tag| loads_something(tag)));
    found.extend(loading::sheets(&mail.html).filter_map(|(_, sheet)| loading::in_style(sheet)).map(loading_sheet));
    found.extend(structure(&tags));
    found.extend(links_only_in_html(&tags, &mail.text, wanted));
    found
}

fn missing(mail: &Rendered, wanted: &Wanted<'_>) -> Vec<Fault> {
    let in_html = |needle: &str| mail.html.contains(&super::escape_html(needle));
    let mut found = Vec::new();
    let person = (wanted.foot != Foot::Unproven).then_some(wanted.preferences_url);
    let topic = (wanted.foot == Foot::Topic).then_some(wanted.unsubscribe_url);
    let entry = (wanted.foot == Foot::Waitlist).then_some(wanted.entry_url);
    let links = [
        ("link of the button", Kind::OwnLink, wanted.button_url),
        ("preferences link", Kind::OwnLink, person),
        ("unsubscribe link", Kind::WayOut, topic),
        ("link to her place on the waitlist", Kind::WayOut, entry),
    ];
    let links = links.into_iter().filter_map(|(what, kind, url)| Some((what, kind, url?)));
    let links = links.map(|(what, kind, url)| (what, kind, !url.is_empty() && in_html(url) && mail.text.contains(url)));
    let address = !wanted.postal_address.is_empty() && in_html(wanted.postal_address) && in_text(&mail.text, wanted.postal_address);
    for (what, kind, in_both) in links.chain([("postal address", Kind::PostalAddress, address)]) {
        if !in_both {
            let says = format!(
                "the {what} is not in both parts: the template's foot must be in the HTML and in the text, and site.postal_address set"
            );
            found.push(Fault::new(kind, says));
        }
    }
    found
}

// The text part is wrapped: a line may end within what is looked for.
fn in_text(text: &str, needle: &str) -> bool {
    text.contains(needle) || text.split_whitespace().collect::<Vec<_>>().join(" ").contains(needle)
}

// What goes to an address that nobody has proven must be of no use to whoever reads it but for its one page.
fn too_many(mail: &Rendered, tags: &[&str], wanted: &Wanted<'_>) -> Option<Fault> {
    if wanted.foot != Foot::Unproven {
        return None;
    }
    let in_html = tags.iter().filter_map(|tag| attribute(tag, "href")).map(|url| url.replace("&amp;", "&"));
    let in_text = mail.text.split_whitespace().filter(|word| word.starts_with("http")).map(str::to_owned);
    let other = in_html.chain(in_text).find(|url| Some(url.as_str()) != wanted.button_url)?;
    let says = format!("the link `{other}` goes to an address that nobody has confirmed: the button's link alone may stand there");
    Some(Fault::new(Kind::StrayLink, says))
}

// What an operator shows in code is no placeholder; in the text part code looks like everything else.
fn unresolved(mail: &Rendered) -> Option<Fault> {
    let html = without_code(&mail.html);
    let text = if mail.html.contains("{{") { "" } else { &mail.text };
    let parts = [("subject", mail.subject.as_str()), ("HTML part", &html), ("text part", text)];
    let (name, part, at) = parts.into_iter().find_map(|(name, part)| Some((name, part, part.find("{{")?)))?;
    let shown: String = part[at..].chars().take(30).collect();
    Some(Fault::new(Kind::Placeholder, format!("the {name} holds a placeholder that nobody filled: `{shown}`: write the word itself")))
}

fn without_code(html: &str) -> Cow<'_, str> {
    if !html.contains("{{") {
        return Cow::Borrowed("");
    }
    let mut left = String::new();
    for (at, piece) in html.split("<code").enumerate() {
        left.push_str(if at == 0 { piece } else { piece.split_once("</code>").map_or("", |(_, rest)| rest) });
    }
    Cow::Owned(left)
}

fn wrong_link(tag: &str, wanted: &Wanted<'_>) -> Option<Fault> {
    let url = attribute(tag, "href")?.replace("&amp;", "&");
    let sound = dress::may_link(&url) || url.starts_with("mailto:");
    (!sound)
        .then(|| Fault::new(Kind::Link, format!("the {} is relative or not https: write the whole https address", called(&url, wanted))))
}

// What is one person's own is called by what it is for: findings are kept, and links must not be.
fn called(url: &str, wanted: &Wanted<'_>) -> String {
    let own = [
        (Some(wanted.preferences_url), "preferences link"),
        (Some(wanted.unsubscribe_url), "unsubscribe link"),
        (Some(wanted.entry_url), "link to her place on the waitlist"),
        (wanted.button_url, "link of the button"),
    ];
    let own = own.into_iter().find(|(own, _)| *own == Some(url));
    own.map_or_else(|| format!("link `{url}`"), |(_, what)| format!("{what} (site.url)"))
}

fn loads_something(tag: &str) -> Option<Fault> {
    let name = tag.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or("").to_ascii_lowercase();
    if name == "img" && attribute(tag, "alt").is_none() {
        let says = "an image has no alternative text: give it one, or an empty one when it says nothing";
        return Some(Fault::new(Kind::AltText, says));
    }
    let loads = matches!(
        name.as_str(),
        "img" | "script" | "link" | "iframe" | "object" | "embed" | "video" | "audio" | "source" | "base" | "form" | "input"
    );
    let by_element = || loads.then(|| loading::would_load(&format!("`<{name}>`")));
    let by_attribute = || markup::attributes(tag).find_map(|(attribute, value)| loading::by_attribute(&name, attribute, value));
    by_element().or_else(by_attribute).map(|says| Fault::new(Kind::Loads, says))
}

fn loading_sheet(sign: &str) -> Fault {
    Fault::new(Kind::Loads, loading::would_load(&format!("`{sign}` in a style sheet")))
}

fn structure(tags: &[&str]) -> Vec<Fault> {
    let count = |name: &str| tags.iter().filter(|tag| tag.split([' ', '/']).next() == Some(name)).count();
    let mut found = Vec::new();
    if count("h1") != 1 {
        found.push(Fault::new(Kind::Headings, format!("there are {} headings of the first level: one is right", count("h1"))));
    }
    if !tags.iter().any(|tag| tag.starts_with("html ") && attribute(tag, "lang").is_some_and(|lang| !lang.is_empty() && lang != "und")) {
        found.push(Fault::new(Kind::Language, "the HTML part names no language: set site.language"));
    }
    found
}

fn links_only_in_html(tags: &[&str], text: &str, wanted: &Wanted<'_>) -> Vec<Fault> {
    let urls = tags.iter().filter_map(|tag| attribute(tag, "href")).map(|url| url.replace("&amp;", "&"));
    let absent = urls.filter(|url| !text.contains(url.strip_prefix("mailto:").unwrap_or(url)));
    let says =
        |url: String| format!("the {} is in the HTML part and not in the text: the text must carry every link", called(&url, wanted));
    absent.map(|url| Fault::new(Kind::LinkNotInText, says(url))).collect()
}

// The inner text of every opening tag; what stands in a style sheet's text is no tag.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .filter_map(|piece| Some(&piece[..markup::end(piece).map(|end| end - 1).or_else(|| piece.find('>'))?]))
        .filter(|tag| !tag.starts_with(['/', '!']))
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once(name) {
        match after.strip_prefix("=\"") {
            Some(value) if before.ends_with(' ') => return value.split('"').next(),
            _ => rest = after,
        }
    }
    None
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
            ("<td title=\">\" STYLE='background:&#117;rl(https://foreign.example/)'>", "contacts nobody"),
            ("<p style=\"list-style-image:image-set(&quot;https://foreign.example/x&quot; 1x)\">", "`image-set(`"),
            ("<style>p { background: u\\72l(https://foreign.example/) }</style>", "style sheet"),
            ("<meta http-equiv=\"Refresh\" content=\"0;https://foreign.example/\">", "refresh"),
            ("<link rel=\"stylesheet\">", "contacts nobody"),
            ("{{name}}", "placeholder"),
            ("<code>{{x}}</code> {{name}}", "placeholder"),
            ("<h1>B</h1>", "first level"),
        ] {
            let found = findings(&mail(html), &WANTED);
            assert!(found.iter().any(|finding| finding.contains(word)), "{html}: {found:?}");
        }
    }

    #[test]
    fn what_code_shows_is_no_placeholder() {
        let mut shown = mail("<p>Write <code style=\"x\">{{ name }}</code> there.</p>");
        shown.text.push_str(" Write {{ name }} there.");
        assert_eq!(findings(&shown, &WANTED), Vec::<String>::new());
        shown.subject = "Dear {{name}}".into();
        assert_eq!(faults(&shown, &WANTED)[0].kind, Kind::Placeholder);
    }

    #[test]
    fn no_finding_shows_a_link_of_one_persons_own() {
        let own = "http://example.org/u/token";
        let found = findings(&mail(&format!("<a href=\"{own}\">out</a>")), &Wanted { unsubscribe_url: own, ..WANTED });
        assert!(found.len() >= 3 && found.iter().all(|says| !says.contains("token")), "{found:?}");
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
