//! Files to compiled templates: MJML to HTML, once for each template; the result still holds its `{{…}}`, which are filled for
//! each mail.
//!
//! Colours, fonts and the language do not change while the process runs, so they stand in the templates as `[[name]]`
//! and are put in here; the direction of writing too, of which there are two. Called by `Templates::of` alone.

use super::{
    BROADCAST, Site, TIP_PARTS, TemplateError, WEEKLY_TIP, broadcast,
    budget::{self, TooMuch},
    error::Faults,
    files::{self, Files},
    letter::Direction,
    markup, mjml,
    shape::{self, Kind},
    table,
};
use handlebars::Handlebars;
use std::{
    collections::{HashMap, HashSet},
    panic::resume_unwind,
    thread,
};

const SERIF: &str = "Charter, 'Iowan Old Style', 'Palatino Linotype', Palatino, Georgia, 'Times New Roman', serif";
const SANS: &str = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif";

/// Inboxes show the start of the body after a short preheader, unless something invisible stands there.
const FILLER: &str = "&#847;&zwnj;&nbsp;";
const FILLER_TIMES: usize = 40;

/// The registries of HTML parts and of text parts.
pub(super) struct Registries {
    pub(super) html: Handlebars<'static>,
    pub(super) plain: Handlebars<'static>,
}

/// The parsers go down with what nests, as far as `scan` and `markup` let them: a quarter of it is enough, unoptimised too.
pub(super) const STACK: usize = 64 << 20;

/// Compiles everything for `site`, on a stack that no template can use up; every fault is named, not only the first.
pub(super) fn compile(site: &Site, files: &Files) -> Result<Registries, Faults> {
    deep(|| compile_here(site, files))?
}

/// Does what goes down on the stack, on one that is deep enough.
pub(super) fn deep<T: Send>(doing: impl FnOnce() -> T + Send) -> Result<T, TemplateError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("templates".to_owned()).stack_size(STACK).spawn_scoped(scope, doing);
        let thread = thread.map_err(|e| TemplateError::NoThread { stack: STACK, why: e.to_string() })?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

fn compile_here(site: &Site, files: &Files) -> Result<Registries, Faults> {
    let mut made = Registries { html: table::registry(), plain: table::plain_registry() };
    made.html.register_escape_fn(super::escape_html);
    let mut faults: Vec<TemplateError> = files.parts().flat_map(|(part, text)| read(&mut made, site, files, part, text)).collect();
    if faults.is_empty() {
        for (name, part, direction) in bodies() {
            faults.extend(register_body(&mut made.html, site, files, (&name, &part), direction).err().into_iter().flatten());
        }
    }
    if faults.is_empty() {
        faults = too_much(&made, files);
    }
    // What is compiled for both directions of writing is at fault twice.
    let mut said = HashSet::new();
    faults.retain(|fault| said.insert(fault.to_string()));
    if faults.is_empty() { Ok(made) } else { Err(Faults(faults)) }
}

// Looks at a file and registers it, unless MJML has to be made HTML first.
fn read(made: &mut Registries, site: &Site, files: &Files, part: &str, text: &str) -> Vec<TemplateError> {
    if Kind::of(part) == Kind::Plain {
        return match shape::read(files, part, text) {
            Ok(template) => {
                made.plain.register_template(registered(part), template);
                Vec::new()
            }
            Err(faults) => faults,
        };
    }
    let mut faults = markup::faults(files, part, text);
    for (direction, name) in directions(part) {
        match settle_all(files, part, text, direction, site).map(|text| shape::read(files, part, &text)) {
            Ok(Ok(template)) => made.html.register_template(name, template),
            Ok(Err(wrong)) => faults.extend(wrong),
            Err(wrong) => faults.push(wrong),
        }
    }
    faults
}

// The name by which templates know a part: those of the layout go by their short ones.
fn registered(part: &str) -> &str {
    files::layout_part(part).map_or(part, |(name, _)| name)
}

fn directions(part: &str) -> Vec<(Direction, &str)> {
    let both = TIP_PARTS.iter().find(|(direction, _, reading)| *direction == Direction::LeftToRight && *reading == part);
    match both {
        Some(_) => TIP_PARTS.iter().map(|(direction, _, reading)| (*direction, *reading)).collect(),
        None => vec![(Direction::LeftToRight, registered(part))],
    }
}

// Each HTML part: its template, the name that it is registered by, its direction.
fn bodies() -> Vec<(String, String, Direction)> {
    let mut all = Vec::new();
    for parts in table::all() {
        let file = parts.part("body.mjml");
        let both: Vec<(Direction, &str)> = match parts.name {
            name if name == WEEKLY_TIP.name => TIP_PARTS.iter().map(|(direction, body, _)| (*direction, *body)).collect(),
            name if name == BROADCAST.name => broadcast::PARTS.to_vec(),
            _ => vec![(Direction::LeftToRight, file.as_str())],
        };
        all.extend(both.into_iter().map(|(direction, name)| (file.clone(), name.to_owned(), direction)));
    }
    all
}

fn register_body(
    html: &mut Handlebars<'static>,
    site: &Site,
    files: &Files,
    (file, name): (&str, &str),
    direction: Direction,
) -> Result<(), Vec<TemplateError>> {
    let body = mjml::to_html(files, file, direction, site).map_err(|fault| vec![fault])?;
    // Judged once more: what the compiler left out may have stood between two braces.
    let faults = |faults: Vec<TemplateError>| faults.into_iter().map(TemplateError::of_made).collect::<Vec<_>>();
    html.register_template(name, shape::read(files, file, &body).map_err(faults)?);
    Ok(())
}

fn too_much(made: &Registries, files: &Files) -> Vec<TemplateError> {
    let mut found = Vec::new();
    for (registry, kind) in [(&made.plain, Kind::Plain), (&made.html, Kind::Html)] {
        let mut known = HashMap::new();
        let mut names: Vec<&String> = registry.get_templates().keys().collect();
        names.sort();
        for name in names {
            if let Err(TooMuch { part, line, why }) = budget::weigh(registry, name, &mut known) {
                let at = place(files, kind, &part, line);
                found.push(TemplateError::Endless { at, why });
            }
        }
    }
    found
}

// The lines of a body are those of the HTML that was made of it.
fn place(files: &Files, kind: Kind, name: &str, line: usize) -> files::Place {
    let part = name.trim_end_matches(" (rtl)");
    match part.contains('/') {
        true => files.place(part, (!part.ends_with(".mjml")).then_some(line)),
        false => files.place(&kind.partial(part), Some(line)),
    }
}

/// Puts what does not change into a template; whatever is left between `[[` and `]]` is a fault.
pub(super) fn settle_all(files: &Files, part: &str, text: &str, direction: Direction, site: &Site) -> Result<String, TemplateError> {
    let settled = settle(text, direction, site);
    match settled.split_once("[[") {
        None => Ok(settled),
        Some((before, rest)) => {
            let word = rest.split("]]").next().unwrap_or("").chars().take(40).collect::<String>();
            let what = format!("`[[{word}]]` is no colour, font or word that is known");
            Err(TemplateError::Refused { at: files.place(part, Some(before.matches('\n').count() + 1)), what })
        }
    }
}

fn settle(text: &str, direction: Direction, site: &Site) -> String {
    let words = [("serif", SERIF), ("sans", SANS), ("lang", &site.lang), ("dir", direction.name()), ("start", direction.start())];
    let words = words.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Once: it is long, and a template that repeats it would grow beyond measure.
    let text = text.replacen("[[filler]]", &FILLER.repeat(FILLER_TIMES), 1);
    let all = site.palette.named().into_iter().chain(words);
    all.fold(text, |text, (name, value)| text.replace(&format!("[[{name}]]"), &value))
}
