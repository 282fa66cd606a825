//! What a template may say: fields, `if`, `unless`, `each`, `wrap` in text, and parts of the layout by name. All else is refused
//! here, with its line, before anything is rendered.
//!
//! `read` first has the text scanned for how deep the blocks are, because the parser goes down with them on the stack, and then judges
//! what the parser made of it. Called by `compile`.

use super::{
    error::TemplateError,
    files::Files,
    scan::{self, MAX_DEPTH},
};
use handlebars::{
    Template,
    template::{DecoratorTemplate, HelperTemplate, Parameter, TemplateElement},
};
use serde_json::Value;
use std::panic::catch_unwind;

/// Values that a part may be given.
const MAX_VALUES: usize = 4;

/// So much of a tag is shown.
const LONGEST_TAG: usize = 60;

/// What holds the fields of a mail: no list, and more than one field.
const OBJECTS: [&str; 2] = ["site", "tip"];

/// What the items of a list know of their place in it.
const PLACES: [&str; 3] = ["index", "first", "last"];

/// What is HTML already, and is put in as it is.
const RAW_FIELDS: [&str; 2] = ["tip.body_html", "tip.reading_html"];

/// What a part is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A subject or a text part.
    Plain,
    /// HTML, or MJML that becomes it.
    Html,
}

impl Kind {
    pub(super) fn of(part: &str) -> Self {
        if part.ends_with(".txt") { Self::Plain } else { Self::Html }
    }

    /// The file of the layout that `{{> name}}` puts in.
    pub(super) fn partial(self, name: &str) -> String {
        format!("layout/{name}.{}", if self == Self::Plain { "txt" } else { "html" })
    }
}

/// Parses `text`, the settled text of `part`, and refuses what no template may use; every fault is named.
pub(super) fn read(files: &Files, part: &str, text: &str) -> Result<Template, Vec<TemplateError>> {
    if let Err((line, what)) = scan::scan(text) {
        return Err(vec![TemplateError::Refused { at: files.place(part, Some(line)), what }]);
    }
    let template = parse(files, part, text).map_err(|fault| vec![fault])?;
    let mut rules = Rules { files, part, kind: Kind::of(part), in_list: false, depth: 0, faults: Vec::new() };
    rules.look_at(&template);
    if rules.faults.is_empty() { Ok(template) } else { Err(rules.faults) }
}

// The parser counts on things that `scan` and its own grammar let pass, and panics when it is wrong.
fn parse(files: &Files, part: &str, text: &str) -> Result<Template, TemplateError> {
    let refused = |what: &str| TemplateError::Refused { at: files.place(part, None), what: what.to_owned() };
    match catch_unwind(|| Template::compile_with_name(text, part.to_owned())) {
        Ok(Ok(template)) => Ok(template),
        Ok(Err(error)) => match error.pos() {
            Some((line, column)) => {
                Err(TemplateError::Syntax { at: files.place(part, Some(line)), column, found: found(text, line, column) })
            }
            None => Err(refused("a value cannot be read: a field is given by its name, a text in quotes")),
        },
        Err(_) => Err(refused("the parser gave up on it: see how its `else` and its blocks stand in each other")),
    }
}

// The tag in which the parser went no further, or what stands there.
fn found(text: &str, line: usize, column: usize) -> String {
    let before: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let stop = text[before..].char_indices().nth(column - 1).map_or(text.len(), |(at, _)| before + at);
    let start = text[..stop].rfind("{{").filter(|start| !text[*start..stop].contains("}}")).unwrap_or(stop);
    let tag = &text[start..];
    let whole = tag.find("}}").map_or(tag, |end| &tag[..end + 2]);
    whole.lines().next().unwrap_or_default().chars().take(LONGEST_TAG).collect()
}

struct Rules<'a> {
    files: &'a Files,
    part: &'a str,
    kind: Kind,
    /// Whether `this` is an item of a list that the template names.
    in_list: bool,
    depth: usize,
    faults: Vec<TemplateError>,
}

impl Rules<'_> {
    fn look_at(&mut self, template: &Template) {
        self.depth += 1;
        if self.depth > MAX_DEPTH + 1 {
            self.refuse(1, &format!("blocks stand too deep in each other: {MAX_DEPTH} are enough"));
        } else {
            self.look_at_elements(template);
        }
        self.depth -= 1;
    }

    fn look_at_elements(&mut self, template: &Template) {
        for (element, line) in elements(template) {
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(field) => self.look_at_field(field, line),
                TemplateElement::HtmlExpression(field) => self.look_at_raw(field, line),
                TemplateElement::HelperBlock(block) => self.look_at_block(block, line),
                TemplateElement::PartialExpression(partial) => self.look_at_partial(partial, line),
                _ => self.refuse(line, "decorators, inline parts and parts with a block of their own are no part of templates"),
            }
        }
    }

    fn look_at_field(&mut self, field: &HelperTemplate, line: usize) {
        let name = field.name.as_name().unwrap_or_default();
        let is_call = !field.params.is_empty() || !field.hash.is_empty();
        match (is_call, name, self.kind) {
            (false, ..) | (true, "wrap", Kind::Plain) => {}
            (true, "wrap", Kind::Html) => self.refuse(line, "`wrap` is for text parts: HTML breaks its lines by itself"),
            _ => self
                .refuse(line, &format!("`{name}` is nothing that templates may call: there are if, unless, each, and wrap in text parts")),
        }
        if !is_call {
            self.look_at_path(&field.name, line);
        }
        field.params.iter().chain(field.hash.values()).for_each(|value| self.look_at_path(value, line));
    }

    fn look_at_path(&mut self, value: &Parameter, line: usize) {
        if !matches!(
            value,
            Parameter::Name(_) | Parameter::Path(_) | Parameter::Literal(Value::String(_) | Value::Number(_) | Value::Bool(_))
        ) {
            return self.refuse(line, "a value is a field, or a text in quotes, and nothing else");
        }
        if let Some(why) = value.as_name().and_then(|path| unnamed(path, self.in_list)) {
            self.refuse(line, &why);
        }
    }

    fn look_at_raw(&mut self, field: &HelperTemplate, line: usize) {
        let name = field.name.as_name().unwrap_or_default();
        let plain = field.params.is_empty() && field.hash.is_empty();
        if !plain || (self.kind == Kind::Html && !RAW_FIELDS.contains(&name)) {
            let may = "only tip.body_html and tip.reading_html are HTML already";
            self.refuse(line, &format!("`{name}` would be put in without escaping: {may}, so write it with two braces"));
        }
        self.look_at_path(&field.name, line);
    }

    fn look_at_block(&mut self, block: &HelperTemplate, line: usize) {
        let name = block.name.as_name().unwrap_or_default();
        let sound = block.params.len() == 1 && block.hash.is_empty() && matches!(block.params[0], Parameter::Path(_));
        if !matches!(name, "if" | "unless" | "each") {
            self.refuse(line, &format!("`#{name}` is no block of templates: there are if, unless and each"));
        } else if !sound {
            self.refuse(line, &format!("`#{name}` takes one field"));
        } else if let Some(path) = block.params[0].as_name().filter(|path| name == "each" && !may_be_list(path)) {
            self.refuse(line, &format!("`#each` goes over a list that it names, such as topics, and `{path}` is none"));
        } else {
            self.look_at_path(&block.params[0], line);
        }
        let around = self.in_list;
        self.in_list |= name == "each";
        block.template.iter().for_each(|inner| self.look_at(inner));
        // What stands in place of an empty list is not within it.
        self.in_list = around;
        block.inverse.iter().for_each(|other| self.look_at(other));
    }

    fn look_at_partial(&mut self, partial: &DecoratorTemplate, line: usize) {
        let name = partial.name.as_name().unwrap_or_default();
        let file = self.kind.partial(name);
        if self.files.text(&file).is_none() {
            self.refuse(line, &format!("there is no part `{name}`: a part is a file of the layout, here {file}.hbs"));
        }
        if !partial.params.is_empty() || partial.hash.len() > MAX_VALUES {
            self.refuse(line, &format!("the part `{name}` takes values by their names, at most {MAX_VALUES}, and nothing else"));
        }
        for value in partial.hash.values() {
            match value.as_name().filter(|path| is_object(path)) {
                Some(path) => {
                    self.refuse(line, &format!("`{path}` is more than one field: the part `{name}` takes fields, such as site.name"))
                }
                None => self.look_at_path(value, line),
            }
        }
    }

    fn refuse(&mut self, line: usize, what: &str) {
        self.faults.push(TemplateError::Refused { at: self.files.place(self.part, Some(line)), what: what.to_owned() });
    }
}

// Why `path` reaches what it does not name.
fn unnamed(path: &str, in_list: bool) -> Option<String> {
    if let Some((_, local)) = path.split_once('@') {
        let name = local.trim_start_matches(['.', '/']).split(['.', '/']).next().unwrap_or("");
        let why = || format!("`@{name}` is nothing that templates may use: there are @index, @first and @last, within a list");
        return (!PLACES.contains(&name)).then(why);
    }
    let names_something = fields(path).next().is_some() || (in_list && !path.contains(".."));
    (!names_something)
        .then(|| format!("`{path}` is everything at once: name a field; only within `{{{{#each list}}}}` is `this` one item of the list"))
}

fn may_be_list(path: &str) -> bool {
    !path.contains('@') && fields(path).next().is_some() && !is_object(path)
}

fn is_object(path: &str) -> bool {
    let mut fields = fields(path);
    matches!((fields.next(), fields.next()), (Some(name), None) if OBJECTS.contains(&name))
}

// The fields that a path names; `this` and `..` name none.
fn fields(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '/']).filter(|name| !matches!(*name, "" | "this"))
}

/// The elements of a template, each with its line.
pub(super) fn elements(template: &Template) -> impl Iterator<Item = (&TemplateElement, usize)> {
    let lines = template.mapping.iter().map(|at| at.0).chain(std::iter::repeat(1));
    template.elements.iter().zip(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let faults = read(&Files::built_in(), "joined/body.txt", text).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn what_a_template_does_not_name_it_does_not_reach() {
        for (text, word) in [
            ("a\n{{#each this}}{{@key}}={{this}};{{/each}}", "`this` is none"),
            ("a\n{{#each ./this}}x{{/each}}", "`./this` is none"),
            ("a\n{{#each @root.site}}x{{/each}}", "`@root.site` is none"),
            ("a\n{{#each site}}{{this}}{{/each}}", "`site` is none"),
            ("a\n{{#each this.tip}}{{this}}{{/each}}", "`this.tip` is none"),
            ("a\n{{#each ../site}}{{this}}{{/each}}", "`../site` is none"),
            ("a\n{{this}}", "`this` is everything"),
            ("a\n{{{this}}}", "`this` is everything"),
            ("a\n{{wrap this}}", "`this` is everything"),
            ("a\n{{wrap topic indent=this}}", "`this` is everything"),
            ("a\n{{#if this}}x{{/if}}", "`this` is everything"),
            ("a\n{{> foot all=this}}", "`this` is everything"),
            ("a\n{{> foot all=site}}", "`site` is more"),
            ("a\n{{@root.site.name}}", "`@root`"),
            ("a\n{{#each topics}}{{@key}}{{/each}}", "`@key`"),
            ("a\n{{#each topics}}{{@../key}}{{/each}}", "`@key`"),
            ("a\n{{#each topics}}{{../this}}{{/each}}", "`../this` is everything"),
            ("a\n{{#each topics}}x{{else}}{{this}}{{/each}}", "`this` is everything"),
            ("a\n{{#each topics}}{{/each}}{{this}}", "`this` is everything"),
        ] {
            let said = said(text);
            let first = said.first().unwrap_or_else(|| panic!("{text} is accepted"));
            assert!(first.contains(word) && first.contains("joined/body.txt.hbs:2"), "{text}: {first}");
        }
    }

    #[test]
    fn an_item_of_a_list_that_is_named_may_be_said() {
        for text in [
            "{{#each topics}}{{@index}} {{#if @first}}{{this}}{{/if}} {{wrap this indent=\"  \"}} {{this.name}} {{../site.name}}{{/each}}",
            "{{#each ../topics as |topic|}}{{topic}}{{/each}}",
            "{{#each topics}}{{> foot item=this}}{{/each}}",
            "{{this.site.name}} {{#if tip}}{{./reason}}{{/if}} {{> foot label=site.name}}",
        ] {
            assert_eq!(said(text), Vec::<String>::new(), "{text}");
        }
    }
}
