//! Why templates cannot be used, and why one mail cannot be made. The pump records the second as that delivery's end.

use super::{ColourError, MAX_HTML, files::Place};
use handlebars::RenderErrorReason;

/// Why the templates cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The publisher's colour is none.
    #[error(transparent)]
    Colour(#[from] ColourError),
    /// The folder or a file of it cannot be read.
    #[error("{file} cannot be read: {why}")]
    Unreadable {
        /// The file, or the folder.
        file: String,
        /// What the system said.
        why: String,
    },
    /// A file is larger than any template needs.
    #[error("{file} has more than {limit} bytes: a template is far shorter")]
    TooLarge {
        /// The file.
        file: String,
        /// The most that is read.
        limit: u64,
    },
    /// A file leads out of the folder, or is none.
    #[error("{file} leads out of the folder of templates, or is no plain file: put the file itself there")]
    Outside {
        /// The file.
        file: String,
    },
    /// No template has a file of this name.
    #[error(
        "{file} belongs to no template: `tidings template list` names those that there are, and parts of your own go to layout/NAME.txt.hbs, .html.hbs or .mjml.hbs"
    )]
    Stranger {
        /// The file.
        file: String,
    },
    /// The handlebars do not parse.
    #[error(
        "{at}: `{found}` cannot be read from column {column} on: write {{{{field}}}}, {{{{#if field}}}}…{{{{else}}}}…{{{{/if}}}}, {{{{#each list}}}}…{{{{/each}}}} or {{{{> part}}}}, texts in quotes"
    )]
    Syntax {
        /// Where.
        at: Place,
        /// The column, the first is 1.
        column: usize,
        /// What stands there.
        found: String,
    },
    /// The MJML does not compile.
    #[error("{at} does not compile: {why}")]
    Mjml {
        /// Where.
        at: Place,
        /// What the compiler said.
        why: String,
    },
    /// Something that no template may use.
    #[error("{at}: {what}")]
    Refused {
        /// Where.
        at: Place,
        /// What it is, and what may be used.
        what: String,
    },
    /// There is no room to compile them.
    #[error("the templates cannot be compiled, no thread of {} MB can be had: {why}", .stack >> 20)]
    NoThread {
        /// The stack that it would have, in bytes.
        stack: usize,
        /// What the system said.
        why: String,
    },
    /// Filling it would take more work than any mail needs.
    #[error("{at} would take too much work: {why}")]
    Endless {
        /// Where.
        at: Place,
        /// What there is too much of.
        why: String,
    },
}

/// Everything that is wrong with the templates; at least one fault.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Faults(pub Vec<TemplateError>);

impl TemplateError {
    /// About what was made of a file: the lines are none of its own.
    pub(super) fn of_made(mut self) -> Self {
        if let Self::Syntax { at, .. } | Self::Refused { at, .. } = &mut self {
            at.line = None;
        }
        self
    }
}

impl From<TemplateError> for Faults {
    fn from(fault: TemplateError) -> Self {
        Self(vec![fault])
    }
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
    /// A part came out longer than any mail may be.
    #[error("template `{template}` gives more than {limit} bytes: no mail is that long")]
    Overflow {
        /// The template and its part.
        template: String,
        /// The most that a part may have.
        limit: usize,
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
