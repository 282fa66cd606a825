//! Templates that nest: no parser goes down with them further than its stack reaches, whatever they hide it behind.

use super::{mjml, of, only, refused};
use crate::delivery::render::{Files, TemplateError, compile, samples, shape};
use proptest::prelude::*;

#[test]
fn depth_is_refused_before_a_parser_goes_down_with_it() {
    let nest = |open: &str, close: &str, times: usize| format!("{}x{}", open.repeat(times), close.repeat(times));
    refused("offer/body.txt", &nest("{{#if topic}}", "{{/if}}", 5_000), 1, "too deep");
    refused("offer/body.txt", &"{{~# if topic}}".repeat(4_000), 1, "too deep");
    refused("offer/body.txt", &"{{#if topic}}{{!-- {{/if}} --}}".repeat(2_000), 1, "too deep");
    refused("offer/body.txt", &"{{#if topic}}{{! {{/if}} }}".repeat(2_000), 1, "too deep");
    refused("offer/body.txt", &"{{#if topic}}\\{{/if}}".repeat(2_000), 1, "too deep");
    refused("offer/body.txt", &"{{#if topic}}\\{{/if}}".repeat(20), 1, "backslash");
    refused("offer/body.txt", &format!("{{{{#if topic}}}}{}{{{{/if}}}}", "{{else if topic}}".repeat(3_000)), 1, "too deep");
    refused("offer/body.txt", &format!("{{{{#if topic}}}}{}{{{{/if}}}}", "{{^if topic}}".repeat(3_000)), 1, "too deep");
    refused("offer/body.txt", &format!("{{{{wrap {}}}}}", nest("(", ")", 20_000)), 1, "`(`");
    refused("offer/body.txt", &format!("{{{{wrap {}}}}}", nest("[", "]", 20_000)), 1, "`[`");
    refused("offer/body.mjml", &mjml(&nest("<div>", "</div>", 5_000)), 2, "deep");
    refused("offer/body.mjml", &mjml(&nest("<mj-section>", "</mj-section>", 2_000)), 2, "deep");
    refused("offer/body.mjml", &mjml(&nest("<!--[if mso]><div>", "</div>", 2_000)), 2, "deep");
    // As deep as may be, everything goes well.
    let fits = format!("{}{{{{reason}}}}{}", "{{#if site}}".repeat(24), "{{/if}}".repeat(24));
    let templates = of(&[("offer/body.txt", &fits), ("offer/body.mjml", &mjml(&nest("<div>", "</div>", 34)))]).unwrap();
    assert!(samples::mails(&templates).iter().any(|mail| mail.template == "offer" && mail.rendered.is_ok()));
}

#[test]
fn what_the_parser_reads_otherwise_than_it_looks_hides_no_depth() {
    let deep = "{{#if topic}}".repeat(900);
    for (hides, word) in [
        ("\\{{!-- {D}", "backslash"),
        ("\\{{\"{D}\"}}", "backslash"),
        ("\\\\{{\"{D}\"}}", "backslash"),
        ("{{!--}}{D}", "too deep"),
        ("{{! --{D}--}}{{#if topic}}", "never closed"),
        ("{{!--}} --}}{D}", "too deep"),
        ("{{! --}} {D}--}}{{/if}}", "closes no block"),
        ("{{wrap \"\\\"}}{D}{{wrap \"\"}}", "backslash"),
        ("{{wrap '\\'}}{D}{{wrap ''}}", "backslash"),
        ("{{#if topic}}{{elseif topic}}{{else_if topic}}{{else\u{e9}}}{D}", "too deep"),
        ("{{topic \"\u{a0}}}{D}\"}}", "`topic`"),
        ("{{{{!--}}}}{D}{{{{/!--}}}}", "`{{{{`"),
    ] {
        refused("offer/body.txt", &hides.replace("{D}", &deep), 1, word);
    }
}

#[test]
fn what_the_compiler_of_markup_leaves_out_brings_no_two_braces_together() {
    let deep = "{<!-- x -->{#if topic}}".repeat(900);
    for (text, word) in
        [(deep.as_str(), "too deep"), ("{<!-- x -->{env \"PATH\"}}", "`env`"), ("{<!-- x -->{{topic}}}", "without escaping")]
    {
        let fault = only(&[("offer/body.mjml", &mjml(text))]);
        assert!(
            matches!(&fault, TemplateError::Refused { at, what } if at.to_string() == "/own/offer/body.mjml.hbs" && what.contains(word)),
            "{fault}"
        );
    }
}

// What could nest, were everything before the parser mistaken.
#[test]
fn a_quarter_of_the_stack_is_enough_for_all_that_is_counted() {
    let nests = [
        ("{{#if a}}", "{{/if}}", 1_000),
        ("{{#*a b}}", "{{/a}}", 1_000),
        ("{{#> a}}", "{{/a}}", 1_000),
        ("{{#if a}}{{else if a}}", "{{/if}}", 500),
    ];
    let calls = [("(a ", ")"), ("[", "]"), ("{\"a\":", "}"), ("b=(a ", ")")];
    let mut texts: Vec<String> =
        nests.iter().map(|(open, close, times)| format!("{}{}", open.repeat(*times), close.repeat(*times))).collect();
    texts.extend(calls.iter().map(|(open, close)| format!("{{{{a {}1{}}}}}", open.repeat(4_000), close.repeat(4_000))));
    let parse = move || texts.iter().for_each(|text| drop(handlebars::Template::compile(text)));
    let small = std::thread::Builder::new().stack_size(compile::STACK / 4);
    small.spawn(parse).unwrap().join().unwrap();
}

proptest! {
    #[test]
    fn no_mix_of_what_templates_are_made_of_ends_in_anything_but_a_typed_error(pieces in prop::collection::vec((0..PIECES.len(), 0..5_usize), 0..12)) {
        let piece = |(piece, times): &(usize, usize)| PIECES[*piece].repeat([1, 1, 2, 30, 700][*times]);
        let text: String = pieces.iter().map(piece).collect();
        let files = Files::built_in();
        let read = compile::deep(|| shape::read(&files, "offer/body.txt", &text).map(drop)).unwrap();
        if let Err(faults) = read {
            prop_assert!(faults.iter().all(|fault| matches!(fault, TemplateError::Refused { .. } | TemplateError::Syntax { .. })), "{faults:?}");
        }
    }
}

const PIECES: [&str; 28] = [
    "{{#if topic}}",
    "{{/if}}",
    "{{else}}",
    "{{else if topic}}",
    "{{^}}",
    "{{#each topics}}",
    "{{/each}}",
    "{{!--",
    "--}}",
    "{{! --",
    "}}",
    "{{",
    "{{{{",
    "}}}}",
    "\\",
    "\"",
    "'",
    "\\\"",
    "{{wrap \"",
    "(",
    "[",
    "{\"a\":",
    "~",
    "{{#*inline \"a\"}}",
    "{{#> foot}}",
    "{{> foot}}",
    " ",
    "\u{e9}",
];
