//! One MJML file, and the parts of the layout that it includes, to HTML.
//!
//! Parts are put in as text: mrml's own including loses the width of what surrounds a part, and reads whatever it is told to. No
//! line is lost on the way, so that what the compiler says has its place in a file. Called by `compile`.

use super::{Site, TemplateError, compile::settle_all, files::Files, letter::Direction, markup};
use mrml::prelude::{
    parser::{Error, ParserOptions, Span},
    render::RenderOptions,
};

/// The longest that MJML and the HTML that is made of it may be; no mail is shown whole that has half of it.
const MAX_COMPILED: usize = 256 * 1024;

/// Compiles the MJML of `part`; its placeholders for mails survive.
pub(super) fn to_html(files: &Files, part: &str, direction: Direction, site: &Site) -> Result<String, TemplateError> {
    let whole = assemble(files, part, direction, site)?;
    let failed = |span: Option<Span>, why: String| TemplateError::Mjml { at: whole.place(files, part, span), why };
    let parsed = mrml::parse_with_options(&whole.text, &ParserOptions::default());
    let parsed = parsed.map_err(|e| failed(span(&e).or_else(|| stop(&whole.text, &e)), said(&e)))?;
    if let Some(warning) = parsed.warnings.first() {
        let why = match warning.kind.as_str() {
            "unexpected-attribute" => {
                "the element has an attribute that MJML does not know there: take it away, or correct its name".to_owned()
            }
            _ => warning.kind.to_string(),
        };
        return Err(failed(Some(warning.span), why));
    }
    // No font is ever loaded from anywhere: mrml's own list names a foreign host.
    let options = RenderOptions { disable_comments: true, social_icon_origin: None, fonts: Default::default() };
    let html = parsed.element.render(&options).map_err(|e| failed(None, e.to_string()))?;
    let html = tighten(&without_pallor(&without_label(&html)));
    match html.len() {
        0..=MAX_COMPILED => Ok(html),
        bytes => Err(too_long(files, part, bytes)),
    }
}

/// A body with its parts put in, and where each run of its text came from.
struct Whole {
    text: String,
    /// Where a run begins in `text`, the part that it is of, and its first line there.
    runs: Vec<(usize, String, usize)>,
}

fn assemble(files: &Files, part: &str, direction: Direction, site: &Site) -> Result<Whole, TemplateError> {
    let source = files.text(part).unwrap_or_default();
    let mut whole = Whole { text: String::new(), runs: Vec::new() };
    let mut at = 0;
    for (range, path) in markup::includes(source) {
        let line = line_of(source, range.start);
        whole.add(files, part, &source[at..range.start], line_of(source, at), direction, site)?;
        let included = path.strip_suffix(".hbs").filter(|path| path.starts_with("layout/") && path.ends_with(".mjml"));
        let found = included.and_then(|included| Some((included, files.text(included)?)));
        let Some((included, text)) = found.filter(|(_, text)| !text.contains("<mj-include")) else {
            let what = format!("`{path}` is not included: parts are layout/NAME.mjml.hbs, and include no others");
            return Err(TemplateError::Refused { at: files.place(part, Some(line)), what });
        };
        whole.add(files, included, text, 1, direction, site)?;
        at = range.end;
    }
    whole.add(files, part, &source[at..], line_of(source, at), direction, site)?;
    Ok(whole)
}

impl Whole {
    fn add(&mut self, files: &Files, part: &str, text: &str, line: usize, direction: Direction, site: &Site) -> Result<(), TemplateError> {
        self.runs.push((self.text.len(), part.to_owned(), line));
        self.text.push_str(&settle_all(files, part, text, direction, site)?);
        match self.text.len() {
            0..=MAX_COMPILED => Ok(()),
            bytes => Err(too_long(files, &self.runs[0].1, bytes)),
        }
    }

    fn place(&self, files: &Files, part: &str, span: Option<Span>) -> super::Place {
        let Some(at) = span.map(|span| span.start).filter(|at| self.text.is_char_boundary(*at)) else { return files.place(part, None) };
        match self.runs.iter().rev().find(|(start, ..)| *start <= at) {
            Some((start, part, line)) => files.place(part, Some(line + line_of(&self.text[*start..], at - start) - 1)),
            None => files.place(part, None),
        }
    }
}

fn too_long(files: &Files, part: &str, bytes: usize) -> TemplateError {
    TemplateError::Endless { at: files.place(part, None), why: format!("it comes to {bytes} bytes and {MAX_COMPILED} are allowed") }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn span(error: &Error) -> Option<Span> {
    match error {
        Error::UnexpectedElement { position, .. }
        | Error::UnexpectedToken { position, .. }
        | Error::MissingAttribute { position, .. }
        | Error::InvalidAttribute { position, .. }
        | Error::InvalidFormat { position, .. }
        | Error::IncludeLoaderError { position, .. } => Some(*position),
        Error::EndOfStream { .. } | Error::SizeLimit { .. } | Error::ParserError { .. } | Error::NoRootNode => None,
    }
}

// Where the reader of markup stopped: it says so in words alone, "invalid attribute at 5:12 cause …".
fn stop(text: &str, error: &Error) -> Option<Span> {
    let Error::ParserError { source, .. } = error else { return None };
    let words = source.to_string();
    let (row, _) = words.split(" at ").nth(1)?.split(' ').next()?.split_once(':')?;
    let start = text.split_inclusive('\n').take(row.parse::<usize>().ok()?.checked_sub(1)?).map(str::len).sum();
    Some(Span { start, end: start })
}

// Without its own position, which counts in the text that was put together.
fn said(error: &Error) -> String {
    match error {
        Error::UnexpectedElement { .. } => "an element stands where it may not, or is not known".to_owned(),
        Error::UnexpectedToken { .. } => "something stands where it may not: is an element closed that was not opened?".to_owned(),
        Error::MissingAttribute { name, .. } => format!("the attribute `{name}` is missing"),
        Error::InvalidAttribute { .. } => "an attribute is wrong".to_owned(),
        Error::EndOfStream { .. } => "it ends too soon: is an element not closed?".to_owned(),
        Error::ParserError { source, .. } => {
            let words = source.to_string();
            let thing = words.strip_prefix("invalid ").and_then(|words| words.split(" at ").next()).unwrap_or("markup");
            format!("the {thing} cannot be read: write attributes as name=\"value\", and close every element that is opened")
        }
        other => other.to_string(),
    }
}

// mrml repeats the title as the name of the mail's wrapper, where screen readers would say it once more before the
// heading, outside of every landmark.
fn without_label(html: &str) -> String {
    match html.split_once(" aria-label=\"").and_then(|(before, rest)| Some((before, rest.split_once('"')?.1))) {
        Some((before, after)) => format!("{before}{after}"),
        None => html.to_owned(),
    }
}

// The preheader is hidden three times over; that it is also white and tiny shows nothing more to people, and looks like a trick to
// filters.
fn without_pallor(html: &str) -> String {
    html.replacen("font-size:1px;color:#ffffff;line-height:1px;", "", 1)
}

// The indentation of the source would be sent a million times.
fn tighten(html: &str) -> String {
    html.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
