//! The text of a broadcast: the Markdown that an operator wrote, read and looked through before anybody gets it.
//!
//! It is presented as a tip is, which leaves out what no mail may hold; what would be left out in silence there is refused here
//! with a sentence. Pure; `campaigns::broadcast` calls it.

use super::{ReadError, markdown_to_text, present, read::front_matter, subject::shorten};

/// The longest subject, in characters.
pub const LONGEST_SUBJECT: usize = 150;
const LONGEST_PREHEADER: usize = 200;

/// What a broadcast says, the same to everyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// The line that an inbox shows beside it.
    pub preheader: String,
    /// The body.
    pub markdown: String,
}

/// Why a text cannot be a broadcast; `file` is the name it was read by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant names its fields")]
pub enum LetterError {
    /// The subject cannot be one.
    #[error("`{0}` cannot be a subject: expected one line of 1 to {LONGEST_SUBJECT} characters")]
    Subject(String),
    /// The preheader cannot be one.
    #[error("the preheader must be one line of at most {LONGEST_PREHEADER} characters; without --preheader the text's beginning is taken")]
    Preheader,
    /// Text in another encoding, or none at all.
    #[error("`{file}` is not UTF-8: byte {offset} (line {line}) cannot be read; save it as UTF-8")]
    NotUtf8 { file: String, offset: usize, line: usize },
    /// Nothing but white space.
    #[error("`{0}` is empty: expected the text of the mail, in Markdown")]
    Empty(String),
    /// Nothing below the front matter, or nothing that can be read.
    #[error("`{0}` holds no text that a mail could show: expected the text of the mail, in Markdown, below any front matter")]
    NoText(String),
    /// Front matter without an end, or that cannot be read.
    #[error("front matter of `{file}`, line {line}: {message}")]
    FrontMatter { file: String, line: usize, message: String },
    /// A link that no mail may carry.
    #[error("the link `{link}` in `{file}` is relative or not https: write the whole https address")]
    Link { file: String, link: String },
    /// A picture.
    #[error(
        "the picture `{picture}` in `{file}` would be loaded when the mail is opened, and a mail contacts nobody: leave it out, or link to it"
    )]
    Picture { file: String, picture: String },
    /// Raw HTML.
    #[error("`{file}` holds HTML (`{html}`), which no mail takes over: write it in Markdown")]
    Html { file: String, html: String },
    /// What looks like something to be filled in.
    #[error("`{placeholder}` would stand in the mail as it is: a broadcast says the same to everyone, and nobody fills it in")]
    Placeholder { placeholder: String },
}

/// Reads a broadcast. Front matter is left out; without a preheader the text's beginning is taken. `may_link` says which
/// addresses a mail may link to.
pub fn read(subject: &str, preheader: Option<&str>, body: &[u8], file: &str, may_link: fn(&str) -> bool) -> Result<Letter, LetterError> {
    let subject = subject.trim();
    if !is_line(subject, 1, LONGEST_SUBJECT) {
        return Err(LetterError::Subject(subject.escape_debug().to_string()));
    }
    let text = decode(body, file)?;
    let (_, rest) = front_matter::parse(&text, file).map_err(|error| match error {
        ReadError::FrontMatter { line, message, .. } => LetterError::FrontMatter { file: file.to_owned(), line, message },
        other => LetterError::FrontMatter { file: file.to_owned(), line: 1, message: other.to_string() },
    })?;
    let markdown = rest.trim().to_owned();
    look_through(&markdown, file, may_link)?;
    let shown = markdown_to_text(&markdown);
    if !shown.chars().any(char::is_alphanumeric) {
        return Err(LetterError::NoText(file.to_owned()));
    }
    let preheader = preheader.map_or_else(|| beginning(&shown), |given| given.trim().to_owned());
    if !is_line(&preheader, 0, LONGEST_PREHEADER) {
        return Err(LetterError::Preheader);
    }
    for text in [subject, &preheader, &shown] {
        if let Some(placeholder) = placeholder(text) {
            return Err(LetterError::Placeholder { placeholder });
        }
    }
    Ok(Letter { subject: subject.to_owned(), preheader, markdown })
}

/// Plain text as Markdown that shows it as it is: an empty line ends a paragraph, and nothing in it is markup.
pub fn plain(text: &str) -> String {
    let escaped = text.chars().fold(String::with_capacity(text.len() * 2), |mut out, c| {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
        out
    });
    // What stands at the beginning of a line could be code by its indentation.
    escaped.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn decode(body: &[u8], file: &str) -> Result<String, LetterError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let zero = body.iter().position(|byte| *byte == 0);
    let text = match (std::str::from_utf8(body), zero) {
        (Ok(text), None) => text,
        (Err(error), _) => return Err(not_utf8(body, error.valid_up_to(), file)),
        (Ok(_), Some(offset)) => return Err(not_utf8(body, offset, file)),
    };
    match text.trim().is_empty() {
        true => Err(LetterError::Empty(file.to_owned())),
        false => Ok(text.replace("\r\n", "\n").replace('\r', "\n")),
    }
}

fn not_utf8(body: &[u8], offset: usize, file: &str) -> LetterError {
    let line = 1 + body[..offset].iter().filter(|byte| **byte == b'\n').count();
    LetterError::NotUtf8 { file: file.to_owned(), offset, line }
}

fn look_through(markdown: &str, file: &str, may_link: fn(&str) -> bool) -> Result<(), LetterError> {
    let file = file.to_owned();
    let parts = present::parts(markdown);
    if let Some(html) = parts.html {
        let html = html.lines().next().unwrap_or_default().chars().take(60).collect();
        return Err(LetterError::Html { file, html });
    }
    if let Some(picture) = parts.pictures.into_iter().next() {
        return Err(LetterError::Picture { file, picture });
    }
    match parts.links.into_iter().find(|link| !may_link(link) && !link.starts_with("mailto:")) {
        Some(link) => Err(LetterError::Link { file, link }),
        None => Ok(()),
    }
}

fn placeholder(text: &str) -> Option<String> {
    let found = &text[text.find("{{")?..];
    let end = found.find("}}").map_or(found.len(), |end| end + 2);
    Some(found[..end].chars().take(60).collect())
}

fn beginning(shown: &str) -> String {
    let paragraph: Vec<&str> =
        shown.split("\n\n").find(|part| part.chars().any(char::is_alphanumeric)).unwrap_or_default().lines().collect();
    shorten(&paragraph.join(" "), LONGEST_PREHEADER)
}

fn is_line(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::markdown_to_html;
    use proptest::prelude::*;

    fn written(body: &str) -> Result<Letter, LetterError> {
        read("News", None, body.as_bytes(), "news.md", |url| url.starts_with("https://"))
    }

    fn refusal(body: &str) -> String {
        written(body).unwrap_err().to_string()
    }

    #[test]
    fn a_text_is_taken_as_it_is_without_its_front_matter() {
        let letter = written("---\ntitle: x\n---\n\n# Hello\n\nWe open on [Monday](https://example.org/a).\r\nCome.\n").unwrap();
        assert_eq!(letter.markdown, "# Hello\n\nWe open on [Monday](https://example.org/a).\nCome.");
        assert_eq!(letter.preheader, "Hello");
        assert!((150..=200).contains(&written(&"word ".repeat(100)).unwrap().preheader.chars().count()));
    }

    #[test]
    fn what_no_mail_could_show_is_refused_with_a_sentence() {
        assert!(refusal(" \n\t").contains("`news.md` is empty"));
        assert!(refusal("---\ntitle: x\n---\n").contains("below any front matter"));
        assert!(refusal("---\ntitle: x\n\ntext\n").contains("front matter of `news.md`, line 1"));
        assert!(refusal("* * *").contains("holds no text"));
        assert!(refusal("See [this](/page).").contains("link `/page`"));
        assert!(refusal("See http://example.org.").contains("link `http://example.org`"));
        assert!(refusal("[x](javascript:alert(1))").contains("not https"));
        assert!(refusal("![us](https://example.org/us.png)").contains("would be loaded"));
        assert!(refusal("a <b>b</b>").contains("HTML (`<b>`)"));
        assert!(refusal("Dear {{ name }}, hello").contains("`{{ name }}` would stand in the mail"));
        assert!(read("News", None, b"caf\xe9", "news.md", |_| true).unwrap_err().to_string().contains("byte 3 (line 1)"));
        assert!(read("News", None, b"a\nb\0", "news.md", |_| true).unwrap_err().to_string().contains("byte 3 (line 2)"));
        for subject in ["", "  ", "a\nb", &"a".repeat(151)] {
            assert!(matches!(read(subject, None, b"x", "news.md", |_| true), Err(LetterError::Subject(_))), "{subject}");
        }
        assert_eq!(read("News", Some("a\nb"), b"x", "news.md", |_| true), Err(LetterError::Preheader));
        assert!(written("Write to [us](mailto:us@example.org) or see <https://example.org>.<br>Bye").is_ok());
    }

    proptest! {
        #[test]
        fn plain_text_is_shown_as_it_was_written(text in "[a-z*_#>`!<&\\[\\](){}.+\\\\|~ \n0-9-]{0,120}") {
            let shown = markdown_to_html(&plain(&text));
            let bare: String = shown.replace("<p>", "").replace("</p>", "").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&bare), words(&text));
        }
    }
}
