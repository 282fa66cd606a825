//! Makes the subject, the text and the HTML of a mail. Owns the templates (compiled into the binary), their contexts and
//! the checks of what comes out; knows no MIME and no database.
//!
//! `Templates::load` compiles MJML and parses handlebars once; the pump then renders each mail strictly: a field that is
//! missing, a link that may not stand in a mail or a part that is too large is a typed error, and never a panic.

pub mod check;
mod compile;
mod dress;
mod error;
mod letter;
mod palette;
mod reading;
pub mod samples;
mod wrap;

pub use error::{RenderError, TemplateError};
pub use letter::{ReadyTip, Site, TipText, WeeklyTip, greeting_name};
pub use palette::{ColourError, FIXED, Palette};
pub use reading::Source;

use error::failed;
use handlebars::Handlebars;
use letter::{Direction, WeeklyTipContext};
use reading::ReadingContext;

/// The largest HTML part: beyond it Gmail cuts a mail and hides its end, where the unsubscribe link stands.
pub const MAX_HTML: usize = 102_400;

const WEEKLY_TIP: &str = "weekly_tip";

/// The templates of text parts and subjects, and what they include.
const PLAIN: [(&str, &str); 4] = [
    ("foot", include_str!("../../../templates/email/layout/foot.txt.hbs")),
    ("weekly_tip/subject.txt", include_str!("../../../templates/email/weekly_tip/subject.txt.hbs")),
    ("weekly_tip/reading.txt", include_str!("../../../templates/email/weekly_tip/reading.txt.hbs")),
    ("weekly_tip/body.txt", include_str!("../../../templates/email/weekly_tip/body.txt.hbs")),
];

const BODY: &str = include_str!("../../../templates/email/weekly_tip/body.mjml.hbs");
const READING: &str = include_str!("../../../templates/email/weekly_tip/reading.html.hbs");

/// The HTML parts, compiled for each direction of writing.
const PARTS: [(Direction, &str, &str); 2] = [
    (Direction::LeftToRight, "weekly_tip/body.mjml", "weekly_tip/reading.html"),
    (Direction::RightToLeft, "weekly_tip/body.mjml (rtl)", "weekly_tip/reading.html (rtl)"),
];

/// What a template may not call; what is left is `if`, `unless` and `each`, and `wrap` in text parts. `if`, `unless` and `each`.
const UNWANTED: [&str; 14] = ["with", "lookup", "raw", "log", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len"];

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
    /// Compiles every template for `site`.
    pub fn load(site: Site) -> Result<Self, TemplateError> {
        let mut html = registry();
        html.register_escape_fn(escape_html);
        for (direction, body, reading) in PARTS {
            register(&mut html, body, &compile::mjml_to_html(WEEKLY_TIP, BODY, direction, &site)?)?;
            register(&mut html, reading, &compile::settle(READING, direction, &site))?;
        }
        let mut plain = registry();
        plain.register_escape_fn(handlebars::no_escape);
        plain.register_helper("wrap", Box::new(wrap::helper));
        for (name, text) in PLAIN {
            register(&mut plain, name, text)?;
        }
        Ok(Self { site, html, plain })
    }

    /// The publisher that they were compiled for.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Makes a tip ready for mails; once for each revision, since all that its mails share is rendered here.
    pub fn ready_tip(&self, tip: &TipText) -> Result<ReadyTip, RenderError> {
        let mut ready = ReadyTip::new(tip, &self.site.palette);
        let context = ReadingContext::of(tip);
        let (_, reading) = html_parts(ready.direction);
        let fill = |registry: &Handlebars<'static>, part: &str| registry.render(part, &context).map_err(|e| failed(part, e));
        ready.reading_html = fill(&self.html, reading)?.trim().to_owned();
        ready.reading_text = fill(&self.plain, "weekly_tip/reading.txt")?.trim().to_owned();
        Ok(ready)
    }

    /// The mail of one person with her tip of this week.
    pub fn render_weekly_tip(&self, mail: &WeeklyTip<'_>) -> Result<Rendered, RenderError> {
        // One that is not https is a finding of `check`, and of the settings; a mail without its way out is worse.
        if !dress::may_link(&mail.unsubscribe_url.replacen("http://", "https://", 1)) {
            return Err(RenderError::UnsubscribeLink { template: WEEKLY_TIP });
        }
        let context = WeeklyTipContext {
            site: &self.site,
            tip: mail.tip,
            topic: mail.topic,
            greeting: mail.name.and_then(greeting_name),
            unsubscribe_url: mail.unsubscribe_url,
            reason: format!("You get this letter because you are subscribed to {} from {}.", mail.topic, self.site.name),
        };
        self.render(WEEKLY_TIP, html_parts(mail.tip.direction).0, &context)
    }

    fn render(&self, template: &'static str, html: &str, context: &impl serde::Serialize) -> Result<Rendered, RenderError> {
        let context = handlebars::Context::wraps(context).map_err(|e| failed(template, e))?;
        let fill = |registry: &Handlebars<'static>, part: &str| registry.render_with_context(part, &context).map_err(|e| failed(part, e));
        let subject = letter::one_line(&fill(&self.plain, "weekly_tip/subject.txt")?);
        let text = fill(&self.plain, "weekly_tip/body.txt")?;
        let html = fill(&self.html, html)?;
        match () {
            () if subject.is_empty() => Err(RenderError::Empty { template, part: "subject" }),
            () if text.trim().is_empty() => Err(RenderError::Empty { template, part: "text" }),
            () if html.len() >= MAX_HTML => Err(RenderError::TooLarge { template, bytes: html.len() }),
            () => Ok(Rendered { subject, text, html }),
        }
    }
}

fn html_parts(direction: Direction) -> (&'static str, &'static str) {
    let found = PARTS.iter().find(|(of, ..)| *of == direction);
    found.map(|(_, body, reading)| (*body, *reading)).expect("both directions are compiled")
}

fn registry() -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    for name in UNWANTED {
        registry.unregister_helper(name);
    }
    registry
}

fn register(registry: &mut Handlebars<'static>, template: &'static str, text: &str) -> Result<(), TemplateError> {
    let failed = |source| TemplateError::Handlebars { template, source: Box::new(source) };
    registry.register_template_string(template, text).map_err(failed)
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
        let render = |context: serde_json::Value| templates.render(WEEKLY_TIP, "weekly_tip/body.mjml", &context).unwrap_err().to_string();
        let error = render(json!({ "tip": {} }));
        assert!(error.contains("`weekly_tip/subject.txt`") && error.contains("`tip.subject`"), "{error}");
        let error = render(json!({ "tip": { "subject": "A" }, "site": {} }));
        assert!(error.contains("`weekly_tip/body.txt`") && error.contains("`site.name`"), "{error}");
    }

    #[test]
    fn templates_may_call_nothing_but_the_short_list() {
        let registry = registry();
        let context = json!({ "a": [1] });
        assert_eq!(registry.render_template("{{#each a}}{{this}}{{/each}}{{#if a}}x{{/if}}", &context).unwrap(), "1x");
        for call in ["{{lookup a 0}}", "{{log a}}", "{{#with a}}{{this}}{{/with}}", "{{len a}}", "{{eq 1 1}}", "{{env \"PATH\"}}"] {
            assert!(registry.render_template(call, &context).is_err(), "{call}");
        }
    }
}
