//! A mail as its reader's program takes it apart.

use std::collections::BTreeSet;

use mail_parser::MessageParser;

/// A mail that was handed over.
pub(crate) struct Mail {
    pub(crate) whole: String,
    /// Its lines joined.
    pub(crate) text: String,
    pub(crate) html: String,
    headers: Vec<(String, String)>,
}

impl Mail {
    pub(crate) fn read(bytes: &[u8]) -> Mail {
        let message = MessageParser::new().parse(bytes).expect("a mail");
        let raw = message.headers_raw().map(|(name, value)| (name.to_owned(), on_one_line(value)));
        Mail {
            whole: String::from_utf8_lossy(bytes).into_owned(),
            text: on_one_line(&message.body_text(0).expect("a text part")),
            html: message.body_html(0).expect("an HTML part").into_owned(),
            headers: raw.collect(),
        }
    }

    /// The one header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
        let first = found.next();
        assert_eq!(found.next(), None, "one {name}");
        first
    }

    pub(crate) fn subject(&self) -> String {
        self.header("Subject").expect("a subject")
    }

    /// The links that begin so, of both parts, each once; the same in both.
    pub(crate) fn links(&self, beginning: &str) -> Vec<String> {
        let html = self.html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let html: BTreeSet<&str> = html.filter(|link| link.starts_with(beginning)).collect();
        let text: BTreeSet<&str> = self.text.split_whitespace().filter(|word| word.starts_with(beginning)).collect();
        assert_eq!(html, text, "both parts carry the same links");
        text.into_iter().map(str::to_owned).collect()
    }
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
