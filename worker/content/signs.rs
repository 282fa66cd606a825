//! Signs by which a line or a paragraph shows that it is part of the page and not of the article.
//!
//! Owns the vocabulary of pages: sign-up boxes, navigation, captions, share buttons, notices. Each rule is
//! narrow on purpose: a paragraph of real text must never match. Called by the readers, `head` and `sift`.

use super::phrases::phrases;
use super::{buttons, bylines, cards, openings, words};

/// Whether a line has the shape of a heading: short, begins like a sentence, does not end like one.
pub(crate) fn is_heading_shaped(text: &str) -> bool {
    let count = words::count(text);
    let Some(first) = text.chars().find(|c| c.is_alphanumeric()) else { return false };
    let ends_open = text.ends_with(['.', ',', ';', ':', '!', '…', '-', '–']);
    (1..=14).contains(&count)
        && text.len() <= 110
        && !first.is_lowercase()
        && !ends_open
        && text.chars().any(char::is_alphabetic)
        && !text.contains("://")
        && !text.contains('@')
        && !has_sentence_end(text)
        && related(text).is_none()
        && !bylines::is_metadata(text)
}

/// A full stop inside, which abbreviations and numbers do not count for.
fn has_sentence_end(text: &str) -> bool {
    text.match_indices(". ").any(|(at, _)| {
        let word = text[..at].rsplit(' ').next().unwrap_or_default();
        let number = at <= 3 && word.bytes().all(|b| b.is_ascii_digit());
        !number && word.chars().count() > 3
    })
}

/// The rest of a line such as "Related: …" or "See also: …".
pub(crate) fn related(text: &str) -> Option<&str> {
    let (label, rest) = text.split_once(':')?;
    if label.len() > 40 {
        return None;
    }
    let label = words::key(label);
    let known = [
        "related",
        "related reading",
        "related article",
        "related articles",
        "related post",
        "related posts",
        "see also",
        "read also",
        "also read",
        "read next",
        "read more",
        "learn more",
        "further reading",
        "more on this",
        "you may also like",
        "you might also like",
        "related topics",
        "related links",
        "related tip",
        "up next",
    ];
    (known.contains(&label.as_str()) && words::count(rest) <= 40).then(|| rest.trim())
}

/// What a block is, when its words alone show that it is part of the page.
pub(crate) fn page_part(text: &str, count: usize) -> Option<&'static str> {
    if count > 130 {
        return None;
    }
    if cards::is_nutrition(text) {
        return Some("recipe card");
    }
    if count <= 4 && is_price(text) {
        return Some("promotion");
    }
    let seen = phrases(text);
    if count <= 60 && (seen.boxed || seen.asks && is_sign_up(&text.to_lowercase())) {
        return Some("sign-up box");
    }
    if seen.notice || openings::is_notice(text) {
        return Some("publisher's notice");
    }
    if count > 40 {
        return None;
    }
    if seen.comments {
        return Some("call for comments");
    }
    if seen.sells && openings::is_order(text) {
        return Some("promotion");
    }
    if is_references_button(text, count) {
        return Some("references button");
    }
    let lower = text.to_lowercase();
    if seen.rights || lower.starts_with('©') || lower.starts_with("copyright ©") {
        return Some("copyright line");
    }
    if (count <= 8 && buttons::is_button(&lower)) || buttons::is_menu(text) {
        return Some("navigation or sharing");
    }
    (count <= 16 && (seen.agency || is_caption(text, &lower))).then_some("caption")
}

/// A price by itself, as shops show it: "now 9.90 €".
fn is_price(text: &str) -> bool {
    let told = |word: &str| {
        let amount = word.trim_matches(['$', '€', '£', '¥', '*']);
        let number = !amount.is_empty() && amount.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '–'));
        number
            || matches!(
                amount.to_lowercase().as_str(),
                "" | "eur" | "usd" | "gbp" | "chf" | "now" | "only" | "from" | "was" | "nur" | "ab" | "statt"
            )
    };
    let currency = text.contains(['$', '€', '£', '¥']) || text.split(' ').any(|word| matches!(word, "EUR" | "USD" | "GBP" | "CHF"));
    currency && text.bytes().any(|b| b.is_ascii_digit()) && text.split_whitespace().all(told)
}

/// A heading over a sign-up box: what it asks for, in lower case, is the reader's address.
pub(crate) fn asks_for_address(lower: &str) -> bool {
    let asks = ["sign up", "signup", "subscribe", "join", "get ", "receive ", "register for"].iter().any(|verb| lower.starts_with(verb));
    asks && ["newsletter", "mailing list", "email list", "email updates", "in your inbox", "to your inbox"]
        .iter()
        .any(|noun| lower.contains(noun))
}

/// A sentence that asks for an address or a subscription.
fn is_sign_up(lower: &str) -> bool {
    let asks: [(&str, &[&str]); 33] = [
        ("sign up", &["newsletter", "inbox", "email", "e-mail", "waitlist", "updates", "for free", "our "]),
        ("subscribe", &["newsletter", "inbox", "email", "e-mail", "updates", "our ", "channel", "blog", "now", "today", "podcast"]),
        ("submit your email", &[""]),
        ("enter your email", &[""]),
        ("your email address", &["subscribe", "sign up", "will not be published"]),
        ("join our", &["newsletter", "waitlist", "mailing list", "community", "list", "program", "group"]),
        ("join the", &["newsletter", "waitlist", "waiting list", "mailing list"]),
        ("join thousands", &[""]),
        ("get our", &["newsletter", "tips", "inbox", "guide", "app"]),
        ("get the latest", &["inbox", "newsletter", "email"]),
        ("follow us on", &[""]),
        ("download our", &["app", "guide", "ebook", "e-book", "checklist"]),
        ("download my", &["guide", "ebook", "checklist", "pdf", "template", "free"]),
        ("download the free", &[""]),
        ("download your free", &[""]),
        ("get your free", &[""]),
        ("grab your free", &[""]),
        ("grab my free", &[""]),
        ("leave a comment", &[""]),
        ("leave me a comment", &[""]),
        ("let me know in the comments", &[""]),
        ("let us know in the comments", &[""]),
        ("thanks for reading", &[""]),
        ("thank you for reading", &[""]),
        ("book an appointment", &["with us", "with our", "with me", "online", "today"]),
        ("book a consultation", &["with us", "with our", "with me", "online", "today"]),
        ("book your", &["consultation", "session", "with us", "with our"]),
        ("schedule your", &["consultation", "session", "with us", "with our"]),
        ("follow me on", &[""]),
        ("never miss", &NEWS),
        ("don't miss", &NEWS),
        ("don’t miss", &NEWS),
        ("be the first to", &NEWS),
    ];
    let mut sentences = lower.split(['.', '!', '?', '\n', ':']).map(str::trim);
    sentences.any(|s| asks.iter().any(|(verb, nouns)| s.starts_with(verb) && nouns.iter().any(|noun| s.contains(noun))))
}

/// What a sign-up box says that nobody should miss.
const NEWS: [&str; 7] =
    ["newsletter", "inbox", "mailing list", "news by signing up", "updates by signing up", "our latest", "by subscribing"];

/// "References[+]", which unfolds a list of sources; what stands before it on the line is no more than its title.
fn is_references_button(text: &str, count: usize) -> bool {
    if count > 12 || !text.ends_with(']') {
        return false;
    }
    let bare: String = text.split_whitespace().collect();
    ["References[+]", "References[-]", "References[−]", "References[–]"].iter().any(|button| bare.ends_with(button))
}

/// Words under an image: marked as such, or the description of a person in a picture.
fn is_caption(text: &str, lower: &str) -> bool {
    let marked = [
        "photo:",
        "photo by",
        "photo credit",
        "image:",
        "image by",
        "image credit",
        "image courtesy",
        "credit:",
        "caption:",
        "picture:",
        "pictured:",
        "illustration:",
        "photograph:",
        "video:",
        "infographic:",
        "photo courtesy",
    ];
    if marked.iter().any(|mark| lower.starts_with(mark)) {
        return true;
    }
    has_glued_number(text) || (!text.ends_with(['.', '!', '?', ':']) && shows_person(&words::tokens(lower)))
}

/// "Woman with back pain31": the count of a share button, glued to the words before it.
fn has_glued_number(text: &str) -> bool {
    let bare = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = text.len() - bare.len();
    let last = bare.rsplit(' ').next().unwrap_or_default();
    (1..=5).contains(&digits) && words::count(text) >= 2 && last.len() >= 4 && last.chars().all(char::is_lowercase)
}

#[expect(clippy::too_many_lines, reason = "one list of words")]
fn shows_person(tokens: &[String]) -> bool {
    let people = [
        "woman",
        "man",
        "mother",
        "father",
        "mom",
        "mum",
        "dad",
        "couple",
        "parent",
        "nurse",
        "doctor",
        "girl",
        "boy",
        "person",
        "family",
        "midwife",
        "baby",
        "child",
        "toddler",
        "grandmother",
        "grandfather",
    ];
    let doing = [
        "with",
        "holding",
        "sitting",
        "standing",
        "lying",
        "smiling",
        "looking",
        "using",
        "wearing",
        "touching",
        "stretching",
        "sleeping",
        "feeding",
        "nursing",
        "breastfeeding",
        "drinking",
        "eating",
        "walking",
        "running",
        "talking",
        "reading",
        "working",
        "lifting",
        "carrying",
        "rubbing",
        "pouring",
        "preparing",
        "checking",
        "cleaning",
        "cooking",
        "clutching",
        "doing",
        "pushing",
        "massaging",
        "in",
    ];
    let article = matches!(tokens.first().map(String::as_str), Some("a" | "an"));
    let start = usize::from(article);
    let Some(at) = tokens.iter().skip(start).take(3).position(|t| people.contains(&t.as_str())).map(|i| i + start) else { return false };
    let small = matches!(tokens[at].as_str(), "baby" | "child" | "toddler" | "family" | "person" | "parent");
    let verb = tokens.get(at + 1).map(String::as_str).unwrap_or_default();
    let described = at - start == 0 || (article && at - start <= 2);
    described && doing.contains(&verb) && (article || !small) && tokens.len() >= 3
}

/// The sentence by which a publisher says who it is: only looked for after the article's end.
pub(crate) fn is_about_publisher(text: &str) -> bool {
    let tokens = words::tokens(text);
    let says_is = tokens.iter().take(8).any(|t| matches!(t.as_str(), "is" | "are" | "provides" | "offers" | "helps"));
    let kinds = [
        "app",
        "company",
        "platform",
        "site",
        "website",
        "publisher",
        "community",
        "organisation",
        "organization",
        "charity",
        "brand",
        "provider",
        "practice",
        "clinic",
        "newsletter",
        "magazine",
        "startup",
        "nonprofit",
        "blog",
        "network",
        "service",
    ];
    says_is && tokens.iter().any(|t| kinds.contains(&t.as_str()))
}
