//! How much work a template can come to, told before it is filled: parts within parts, what each loop repeats, what each copies.
//!
//! Nothing has to be stopped while mails are made: a loop stands in no loop, a part in no part of its own, and the sum is limited.
//! Called by `compile` for every template of a registry.

use super::shape::elements;
use handlebars::{
    Handlebars, Template,
    template::{DecoratorTemplate, HelperTemplate, Parameter, TemplateElement},
};
use std::collections::HashMap;

/// The most work, in elements that are filled; the built-in templates come to a tenth.
pub(super) const MAX_WORK: u64 = 200_000;

/// How deep parts may include parts.
const MAX_PARTS: usize = 4;

/// How many times larger than the mail's own the context of a part may become: each value may hold all of it.
const MAX_GROWTH: u64 = 25;

/// What the lists of a mail have at most, as a rule: topics, references, paragraphs.
const REPEATS: u64 = 100;

/// A part gets a copy of the context: so many elements' worth.
const COPY: u64 = 50;

/// `wrap` walks over its text.
const WRAP: u64 = 20;

/// What a template comes to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    pub(super) sum: u64,
    parts: usize,
    growth: u64,
    loops: bool,
}

/// Where there is too much, and of what: the part that names it, its line, the reason.
#[derive(Debug)]
pub(super) struct TooMuch {
    pub(super) part: String,
    pub(super) line: usize,
    pub(super) why: String,
}

/// What the template `name` of `registry` comes to. `known` keeps what was found for others.
pub(super) fn weigh(registry: &Handlebars<'static>, name: &str, known: &mut HashMap<String, Work>) -> Result<Work, TooMuch> {
    let work = Scale { registry, known, path: Vec::new() }.part(name)?;
    match work.sum {
        0..=MAX_WORK => Ok(work),
        sum => Err(TooMuch {
            part: name.to_owned(),
            line: 1,
            why: format!("it comes to {sum} steps and {MAX_WORK} are allowed: make it shorter"),
        }),
    }
}

struct Scale<'a> {
    registry: &'a Handlebars<'static>,
    known: &'a mut HashMap<String, Work>,
    path: Vec<String>,
}

impl Scale<'_> {
    fn part(&mut self, name: &str) -> Result<Work, TooMuch> {
        if let Some(work) = self.known.get(name) {
            return Ok(*work);
        }
        let Some(template) = self.registry.get_template(name) else { return Ok(Work::default()) };
        if let Some(at) = self.path.iter().position(|part| part == name) {
            return Err(self.too_much(1, format!("a part includes itself: {} > {name}", self.path[at..].join(" > "))));
        }
        self.path.push(name.to_owned());
        let work = self.template(template)?;
        self.path.pop();
        self.known.insert(name.to_owned(), work);
        Ok(work)
    }

    fn template(&mut self, template: &Template) -> Result<Work, TooMuch> {
        let mut all = Work { growth: 1, ..Work::default() };
        for (element, line) in elements(template) {
            let one = match element {
                TemplateElement::HelperBlock(block) => self.block(block, line)?,
                TemplateElement::PartialExpression(partial) => self.included(partial, line)?,
                TemplateElement::Expression(field) => Work { sum: 1 + WRAP * field.params.len() as u64, ..Work::default() },
                _ => Work { sum: 1, ..Work::default() },
            };
            all.add(one);
        }
        Ok(all)
    }

    fn block(&mut self, block: &HelperTemplate, line: usize) -> Result<Work, TooMuch> {
        let mut work = Work { sum: 1, ..Work::default() };
        if let Some(inner) = &block.template {
            let mut inner = self.template(inner)?;
            if block.name.as_name() == Some("each") {
                if inner.loops {
                    return Err(self.too_much(line, "a loop stands within a loop: no mail has lists of lists".to_owned()));
                }
                inner = Work { sum: inner.sum.saturating_mul(REPEATS), loops: true, ..inner };
            }
            work.add(inner);
        }
        if let Some(other) = &block.inverse {
            work.add(self.template(other)?);
        }
        Ok(work)
    }

    fn included(&mut self, partial: &DecoratorTemplate, line: usize) -> Result<Work, TooMuch> {
        let inner = self.part(partial.name.as_name().unwrap_or_default())?;
        let fields = partial.hash.values().filter(|value| !matches!(value, Parameter::Literal(_))).count() as u64;
        let growth = inner.growth.max(1).saturating_mul(1 + fields);
        if inner.parts + 1 > MAX_PARTS || growth > MAX_GROWTH {
            return Err(self.too_much(line, format!("parts include parts more than {MAX_PARTS} deep, or hand on too many values")));
        }
        Ok(Work { sum: inner.sum.saturating_add(COPY * growth), parts: inner.parts + 1, growth, loops: inner.loops })
    }

    fn too_much(&self, line: usize, why: String) -> TooMuch {
        TooMuch { part: self.path.last().cloned().unwrap_or_default(), line, why }
    }
}

impl Work {
    fn add(&mut self, other: Self) {
        self.sum = self.sum.saturating_add(other.sum);
        self.parts = self.parts.max(other.parts);
        self.growth = self.growth.max(other.growth);
        self.loops |= other.loops;
    }
}
