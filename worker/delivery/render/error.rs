//! Why templates cannot be used, and why one mail cannot be made. The pump records the second as that delivery's end.

use super::{ColourError, MAX_HTML};
use handlebars::RenderErrorReason;

/// Why the templates cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The publisher's colour is none.
    #[error(transparent)]
    Colour(#[from] ColourError),
    /// The MJML does not compile.
    #[error("templates/email/{template}/body.mjml.hbs does not compile: {why}")]
    Mjml {
        /// The template's name.
        template: &'static str,
        /// What the compiler said.
        why: String,
    },
    /// The handlebars do not parse.
    #[error("templates/email/{template} does not parse: {source}")]
    Handlebars {
        /// The template and its part.
        template: String,
        /// What the parser said, with line and column.
        source: Box<handlebars::TemplateError>,
    },
}

/// Why one mail cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The template uses a field that its context does not have.
    #[error("template `{template}` wants the field `{field}`, which this mail does not have")]
    MissingField {
        /// The template and its part.
        template: String,
        /// The field, as the template writes it.
        field: String,
    },
    /// The template failed in another way.
    #[error("template `{template}` failed: {why}")]
    Failed {
        /// The template and its part.
        template: String,
        /// What handlebars said.
        why: String,
    },
    /// A part came out empty.
    #[error("template `{template}` gives an empty {part}: every mail needs one")]
    Empty {
        /// The template.
        template: &'static str,
        /// subject, or text.
        part: &'static str,
    },
    /// The HTML part would be cut by the reader's mail program.
    #[error("template `{template}` gives an HTML part of {bytes} bytes; at most {MAX_HTML} are shown whole: shorten the tip")]
    TooLarge {
        /// The template.
        template: &'static str,
        /// The size that it came to.
        bytes: usize,
    },
    /// A link that the mail must carry is absent, or no whole address.
    #[error("template `{template}` was given no whole address for its {link}: set site.url to the public https address")]
    Link {
        /// The template.
        template: &'static str,
        /// Which link.
        link: &'static str,
    },
    /// Nobody knows this template.
    #[error("there is no template `{template}`: expected one of those that `tidings template check` names")]
    Unknown {
        /// The name that the delivery has.
        template: String,
    },
    /// What was frozen for the mail is not what its template is filled with.
    #[error("the frozen context does not fit template `{template}`: {why}")]
    Context {
        /// The template.
        template: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// What handlebars says, in terms of our templates.
pub(super) fn failed(template: &str, error: handlebars::RenderError) -> RenderError {
    let template = error.template_name.clone().unwrap_or_else(|| template.to_owned());
    match error.reason() {
        RenderErrorReason::MissingVariable(Some(field)) => RenderError::MissingField { template, field: field.clone() },
        other => RenderError::Failed { template, why: other.to_string() },
    }
}
