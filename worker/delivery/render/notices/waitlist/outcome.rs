//! What became of an offer: it ran out, she accepted it, or the opening was closed before she answered.

use super::{
    super::{super::dress, Button, Context, Frozen, one_line},
    About, Waits, of_every_program,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// Her offer ran out.
#[derive(Debug, Deserialize)]
pub(in super::super::super) struct Expired {
    #[serde(flatten)]
    about: About,
    then: Then,
}

/// What the program's rule makes of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    Back,
    Keep,
    Removed,
}

/// The seat is hers.
#[derive(Debug, Deserialize)]
pub(in super::super::super) struct Accepted {
    #[serde(flatten)]
    about: About,
    next_text: String,
    next_link: Option<String>,
}

/// The opening was closed before she answered.
#[derive(Debug, Deserialize)]
pub(in super::super::super) struct Closed {
    #[serde(flatten)]
    about: About,
}

impl Waits for Expired {
    fn about(&self) -> &About {
        &self.about
    }

    fn leads_to(&self) -> Button<'_> {
        match self.then {
            Then::Back | Then::Keep => Button::Entry(self.about.entry()),
            Then::Removed => Button::Program { slug: &self.about.slug },
        }
    }

    fn says(&self, _: Timestamp) -> Value {
        json!({ "back": self.then == Then::Back, "keep": self.then == Then::Keep })
    }
}

impl Accepted {
    // What an operator wrote is plain text: an empty line ends a paragraph.
    fn paragraphs(&self) -> Vec<String> {
        let mut paragraphs = vec![String::new()];
        for line in self.next_text.lines() {
            match (line.trim().is_empty(), paragraphs.last_mut()) {
                (false, Some(last)) => last.extend([line, "\n"]),
                _ => paragraphs.push(String::new()),
            }
        }
        paragraphs.iter().map(|text| one_line(text)).filter(|text| !text.is_empty()).collect()
    }
}

impl Waits for Accepted {
    fn about(&self) -> &About {
        &self.about
    }

    fn says(&self, _: Timestamp) -> Value {
        // One that may not stand in a mail is left out: it could not be followed.
        let link = self.next_link.as_deref().filter(|url| dress::may_link(url));
        json!({ "next": self.paragraphs(), "next_url": link })
    }
}

impl Waits for Closed {
    fn about(&self) -> &About {
        &self.about
    }

    fn says(&self, _: Timestamp) -> Value {
        json!({})
    }
}

impl Context for Expired {
    fn samples() -> Vec<Frozen> {
        of_every_program(
            &json!({ "then": "back" }),
            &[("place kept", json!({ "then": "keep" })), ("removed", json!({ "then": "removed" }))],
        )
    }
}

impl Context for Accepted {
    fn samples() -> Vec<Frozen> {
        let text = "We meet on Tuesdays at seven.\nPlease come ten minutes early on the first evening.\n\nBring a mat and a warm blanket.";
        let others = [
            ("nothing to say", json!({ "next_text": " \n\n", "next_link": null })),
            ("a link alone", json!({ "next_text": "", "next_link": "https://example.org/course/next?step=1&from=mail" })),
            (
                "hostile text",
                json!({ "next_text": "<script>alert(1)</script> & </body>\n\n\u{202e}<a href='x'>", "next_link": "javascript:alert(1)" }),
            ),
            ("hostile link", json!({ "next_text": "Go on.", "next_link": "https://example.org/\"><script>alert(1)</script>" })),
            ("long text", json!({ "next_text": format!("{}\n\n", text.repeat(6)).repeat(12), "next_link": null })),
        ];
        of_every_program(&json!({ "next_text": text, "next_link": "https://example.org/course/next" }), &others)
    }
}

impl Context for Closed {
    fn samples() -> Vec<Frozen> {
        of_every_program(&json!({}), &[])
    }
}
