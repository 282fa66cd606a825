//! Makes the subject, the text and the HTML of a mail. Owns the templates (the operator's, else those of the binary), their contexts
//! and the checks of what comes out; knows no MIME and no database.
//!
//! `Templates::of` looks at the files, compiles MJML and parses handlebars once; the pump then renders each mail strictly: a field
//! that is missing, a link that may not stand in a mail or a part that is too large is a typed error, and never a panic.

mod bounded;
mod broadcast;
mod budget;
pub mod check;
mod compile;
mod dress;
mod error;
pub mod files;
pub mod folder;
#[cfg(test)]
mod hostile;
mod letter;
mod loading;
mod markup;
mod mjml;
mod notices;
mod palette;
mod reading;
pub mod samples;
mod scan;
mod shape;
mod table;
mod wrap;

pub use broadcast::{Because, Broadcast};
pub use dress::may_link;
pub use error::{Faults, RenderError, TemplateError};
pub use files::{Files, Origin, Place};
pub use letter::{ReadyTip, Site, TipText, WeeklyTip, greeting_name};
pub use notices::{Button, Entry, Foot, Links, Notice, moment};
pub use palette::{ColourError, FIXED, Palette};
pub use reading::Source;

use bounded::fill;
use compile::Registries;
use error::failed;
use handlebars::Handlebars;
use jiff::Timestamp;
use letter::{Direction, Layout, NoticeContext, WeeklyTipContext};
use reading::ReadingContext;
use std::sync::Arc;
use table::{BROADCAST, Parts, WEEKLY_TIP};

/// The largest HTML part: beyond it Gmail cuts a mail and hides its end, where the unsubscribe link stands.
pub const MAX_HTML: usize = 102_400;

/// The HTML parts of the weekly tip, compiled for each direction of writing.
const TIP_PARTS: [(Direction, &str, &str); 2] = [
    (Direction::LeftToRight, "weekly_tip/body.mjml", "weekly_tip/reading.html"),
    (Direction::RightToLeft, "weekly_tip/body.mjml (rtl)", "weekly_tip/reading.html (rtl)"),
];

/// A mail's contents, ready to become a MIME message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line, without escapes.
    pub subject: String,
    /// The text part, wrapped at 72 columns, lines ended by `\n`.
    pub text: String,
    /// The HTML part, a whole document.
    pub html: String,
}

/// The templates, compiled for one publisher.
#[derive(Debug)]
pub struct Templates {
    site: Site,
    files: Arc<Files>,
    html: Handlebars<'static>,
    plain: Handlebars<'static>,
}

impl Site {
    /// The publisher of the settings.
    pub fn of(config: &crate::base::config::Site) -> Result<Self, ColourError> {
        let disclaimer = letter::one_line(&config.disclaimer);
        Ok(Self {
            name: letter::one_line(&config.name),
            postal_address: letter::one_line(&config.postal_address),
            disclaimer: (!disclaimer.is_empty()).then_some(disclaimer),
            lang: config.language.clone(),
            palette: Palette::of(&config.colour)?,
        })
    }
}

impl Templates {
    /// Compiles the templates of the binary for `site`.
    pub fn load(site: Site) -> Result<Self, Faults> {
        Self::of(site, Arc::new(Files::built_in()))
    }

    /// Compiles the templates of `files` for `site`; every fault is named, with file and line where they are known.
    pub fn of(site: Site, files: Arc<Files>) -> Result<Self, Faults> {
        let Registries { html, plain } = compile::compile(&site, &files)?;
        Ok(Self { site, files, html, plain })
    }

    /// The files that they were compiled from.
    pub fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// Where in the files the field stands that `error` is about, as far as can be told.
    pub fn place_of(&self, error: &RenderError) -> Option<Place> {
        let (RenderError::MissingField { template, .. } | RenderError::Failed { template, .. } | RenderError::Overflow { template, .. }) =
            error
        else {
            return None;
        };
        let part = template.trim_end_matches(" (rtl)");
        let field =
            if let RenderError::MissingField { field, .. } = error { field.as_str() } else { return Some(self.files.place(part, None)) };
        let shared = ["html", "txt"].map(|kind| format!("layout/{part}.{kind}"));
        let layout = self.files.parts().map(|(part, _)| part).filter(|part| part.starts_with("layout/"));
        let mut likely = std::iter::once(part).chain(shared.iter().map(String::as_str)).chain(layout);
        likely.find_map(|part| {
            let line = self.files.text(part)?.lines().position(|line| line.contains(field))?;
            Some(self.files.place(part, Some(line + 1)))
        })
    }

    /// The publisher that they were compiled for.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Makes a tip ready for mails; once for each revision, since all that its mails share is rendered here.
    pub fn ready_tip(&self, tip: &TipText) -> Result<ReadyTip, RenderError> {
        let mut ready = ReadyTip::new(tip, &self.site.palette);
        let (_, reading) = html_parts(ready.direction);
        let context = handlebars::Context::wraps(ReadingContext::of(tip)).map_err(|e| failed(reading, e))?;
        ready.reading_html = fill(&self.html, reading, &context)?.trim().to_owned();
        ready.reading_text = fill(&self.plain, "weekly_tip/reading.txt", &context)?.trim().to_owned();
        Ok(ready)
    }

    /// The mail of one person with her tip of this week.
    pub fn render_weekly_tip(&self, mail: &WeeklyTip<'_>) -> Result<Rendered, RenderError> {
        let template = WEEKLY_TIP.name;
        let layout = Layout {
            site: &self.site,
            topic: Some(mail.topic),
            greeting: mail.name.and_then(greeting_name),
            disclaimer: self.site.disclaimer.as_deref(),
            reason: format!("You get this letter because you are subscribed to {} from {}.", mail.topic, self.site.name),
            preferences_url: Some(whole(template, PREFERENCES, Some(mail.preferences_url))?),
            unsubscribe_url: Some(whole(template, UNSUBSCRIBE, Some(mail.unsubscribe_url))?),
            entry_url: None,
        };
        self.render(&WEEKLY_TIP, html_parts(mail.tip.direction).0, &WeeklyTipContext { layout, tip: mail.tip })
    }

    /// A notice for one person; `name` is used where the address is known to be hers. `from` is when it was first handed over, or
    /// now: what it says of a time that begins then counts from it.
    pub fn render_notice(&self, notice: &Notice, name: Option<&str>, links: &Links<'_>, from: Timestamp) -> Result<Rendered, RenderError> {
        let (template, foot) = (notice.parts.name, notice.foot());
        let wanted = |wanted: bool, which, url| wanted.then(|| whole(template, which, url)).transpose();
        let layout = Layout {
            site: &self.site,
            topic: None,
            greeting: name.filter(|_| foot != Foot::Unproven).and_then(greeting_name),
            disclaimer: None,
            reason: notice.contents.reason(&self.site.name),
            preferences_url: wanted(foot != Foot::Unproven, PREFERENCES, links.preferences)?,
            unsubscribe_url: wanted(foot == Foot::Topic, UNSUBSCRIBE, links.unsubscribe)?,
            entry_url: wanted(foot == Foot::Waitlist, ENTRY, links.entry)?,
        };
        let button_url = whole(template, "button", Some(links.button))?;
        let words = notice.contents.words(from).map_err(|e| RenderError::Failed { template: template.to_owned(), why: e.to_string() })?;
        self.render(notice.parts, &notice.parts.part("body.mjml"), &NoticeContext { layout, button_url, words })
    }

    fn render(&self, parts: &Parts, body: &str, context: &impl serde::Serialize) -> Result<Rendered, RenderError> {
        let template = parts.name;
        let context = handlebars::Context::wraps(context).map_err(|e| failed(template, e))?;
        let subject = letter::one_line(&fill(&self.plain, &parts.part("subject.txt"), &context)?);
        let text = fill(&self.plain, &parts.part("body.txt"), &context)?;
        let html = fill(&self.html, body, &context).map_err(|error| match error {
            RenderError::Overflow { limit, .. } => RenderError::TooLarge { template, bytes: limit },
            other => other,
        })?;
        match () {
            () if subject.is_empty() => Err(RenderError::Empty { template, part: "subject" }),
            () if text.trim().is_empty() => Err(RenderError::Empty { template, part: "text" }),
            () if html.len() >= MAX_HTML => Err(RenderError::TooLarge { template, bytes: html.len() }),
            () => Ok(Rendered { subject, text, html }),
        }
    }
}

const PREFERENCES: &str = "preferences link";
const UNSUBSCRIBE: &str = "unsubscribe link";
const ENTRY: &str = "link to her place on the waitlist";

// One that is not https is a finding of `check`, and of the settings; a mail without its way out is worse.
fn whole<'a>(template: &'static str, link: &'static str, url: Option<&'a str>) -> Result<&'a str, RenderError> {
    let sound = |url: &&str| dress::may_link(&url.replacen("http://", "https://", 1));
    url.filter(sound).ok_or(RenderError::Link { template, link })
}

fn html_parts(direction: Direction) -> (&'static str, &'static str) {
    let found = TIP_PARTS.iter().find(|(of, ..)| *of == direction);
    found.map(|(_, body, reading)| (*body, *reading)).expect("both directions are compiled")
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_field_is_an_error_that_names_template_and_field() {
        let templates = Templates::load(samples::site().unwrap()).unwrap();
        let render = |context: serde_json::Value| templates.render(&WEEKLY_TIP, "weekly_tip/body.mjml", &context).unwrap_err().to_string();
        let error = render(json!({ "tip": {} }));
        assert!(error.contains("`weekly_tip/subject.txt`") && error.contains("`tip.subject`"), "{error}");
        let error = render(json!({ "tip": { "subject": "A" }, "site": {} }));
        assert!(error.contains("`weekly_tip/body.txt`") && error.contains("`site.name`"), "{error}");
    }
}
