//! MJML to HTML, once for each template at start: the result still holds its `{{…}}`, which are filled for each mail.
//!
//! Colours, fonts and the language do not change while the process runs, so they stand in the templates as `[[name]]`
//! and are put in here; the direction of writing too, of which there are two. Called by `Templates::load` alone.

use super::{Site, TemplateError, letter::Direction};
use mrml::prelude::{parser::ParserOptions, render::RenderOptions};

const SERIF: &str = "Charter, 'Iowan Old Style', 'Palatino Linotype', Palatino, Georgia, 'Times New Roman', serif";
const SANS: &str = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif";

/// Inboxes show the start of the body after a short preheader, unless something invisible stands there.
const FILLER: &str = "&#847;&zwnj;&nbsp;";
const FILLER_TIMES: usize = 40;

/// The parts that templates include. Put in as text: mrml's own including loses the width of what surrounds a part.
const LAYOUT: [(&str, &str); 3] = [
    ("layout/head.mjml.hbs", include_str!("../../../templates/email/layout/head.mjml.hbs")),
    ("layout/masthead.mjml.hbs", include_str!("../../../templates/email/layout/masthead.mjml.hbs")),
    ("layout/foot.mjml.hbs", include_str!("../../../templates/email/layout/foot.mjml.hbs")),
];

/// Compiles the MJML of the template `name`; its placeholders for mails survive.
pub(super) fn mjml_to_html(name: &'static str, mjml: &str, direction: Direction, site: &Site) -> Result<String, TemplateError> {
    let failed = |why: String| TemplateError::Mjml { template: name, why };
    let whole = LAYOUT.iter().fold(mjml.to_owned(), |whole, (path, part)| whole.replace(&format!("<mj-include path=\"{path}\" />"), part));
    let parsed = mrml::parse_with_options(settle(&whole, direction, site), &ParserOptions::default()).map_err(|e| failed(e.to_string()))?;
    if let Some(warning) = parsed.warnings.first() {
        return Err(failed(warning.to_string()));
    }
    // No font is ever loaded from anywhere: mrml's own list names a foreign host.
    let options = RenderOptions { disable_comments: true, social_icon_origin: None, fonts: Default::default() };
    let html = parsed.element.render(&options).map_err(|e| failed(e.to_string()))?;
    match html.split_once("[[") {
        Some((_, rest)) => Err(failed(format!("`[[{}]]` is no colour, font or word that is known", rest.split("]]").next().unwrap_or("")))),
        None => Ok(tighten(&without_label(&html))),
    }
}

/// Puts what does not change into a template.
pub(super) fn settle(text: &str, direction: Direction, site: &Site) -> String {
    let words = [("serif", SERIF), ("sans", SANS), ("lang", &site.lang), ("dir", direction.name()), ("start", direction.start())];
    let words = words.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let filler = ("filler".to_owned(), FILLER.repeat(FILLER_TIMES));
    let all = site.palette.named().into_iter().chain(words).chain([filler]);
    all.fold(text.to_owned(), |text, (name, value)| text.replace(&format!("[[{name}]]"), &value))
}

// mrml repeats the title as the name of the mail's wrapper, where screen readers would say it once more before the
// heading, outside of every landmark.
fn without_label(html: &str) -> String {
    match html.split_once(" aria-label=\"").and_then(|(before, rest)| Some((before, rest.split_once('"')?.1))) {
        Some((before, after)) => format!("{before}{after}"),
        None => html.to_owned(),
    }
}

// The indentation of the source would be sent a million times.
fn tighten(html: &str) -> String {
    html.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
