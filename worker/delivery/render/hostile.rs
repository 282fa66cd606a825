//! Templates that mean harm: each ends in a typed error that names its file, within a second and without growing.

mod depth;

use super::{Files, Origin, RenderError, TemplateError, Templates, budget, compile, folder, samples};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

/// No compilation of a template may take longer, also in a build that is not optimised and on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nor may the process that all these tests run in ever have had more memory.
const ROOM: usize = 512 << 20;

// The most memory that this process ever had, in bytes; 0 where the system does not tell.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) << 10
}

fn of(changed: &[(&str, &str)]) -> Result<Templates, Vec<TemplateError>> {
    let texts: BTreeMap<String, String> = changed.iter().map(|(part, text)| ((*part).to_owned(), (*text).to_owned())).collect();
    let files = Files::over_built_in(texts, &Origin::Folder("/own".into()));
    let began = tokio::time::Instant::now();
    let made = Templates::of(samples::site().unwrap(), Arc::new(files)).map_err(|faults| faults.0);
    assert!(began.elapsed() < PATIENCE, "{:?} for {:?}", began.elapsed(), changed[0].0);
    assert!(peak() < ROOM, "{} MB for {:?}", peak() >> 20, changed[0].0);
    made
}

fn only(changed: &[(&str, &str)]) -> TemplateError {
    let mut faults = of(changed).expect_err("a fault");
    faults.remove(0)
}

fn refused(part: &str, text: &str, line: usize, word: &str) {
    let fault = only(&[(part, text)]);
    let TemplateError::Refused { at, what } = &fault else { panic!("{fault}") };
    assert_eq!(at.to_string(), format!("/own/{part}.hbs:{line}"), "{fault}");
    assert!(what.contains(word), "{fault}");
}

fn mjml(inner: &str) -> String {
    format!(
        "<mjml><mj-head></mj-head><mj-body><mj-section><mj-column><mj-text>\n{inner}\n</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
}

#[test]
fn what_is_not_on_the_short_list_is_refused_with_its_file_and_line() {
    for (text, word) in [
        ("a\n{{env \"TIDINGS_CANARY\"}}", "`env`"),
        ("a\n{{lookup this \"PATH\"}}", "`lookup`"),
        ("a\n{{log site}}", "`log`"),
        ("a\n{{#with site}}{{name}}{{/with}}", "#with"),
        ("a\n{{#site}}{{name}}{{/site}}", "#site"),
        ("a\n{{#if (eq 1 1)}}x{{/if}}", "`(`"),
        ("a\n{{#*inline \"foot\"}}x{{/inline}}", "decorators"),
        ("a\n{{* inline \"x\"}}", "decorators"),
        ("a\n{{#> foot}}x{{/foot}}", "decorators"),
        ("a\n{{> @partial-block}}", "no part"),
        ("a\n{{> ../../etc/passwd}}", "no part"),
        ("a\n{{> layout/../../x}}", "no part"),
        ("a\n{{> (lookup site \"name\")}}", "`(`"),
        ("a\n{{> foot this}}", "values by their names"),
        ("a\n{{{{raw}}}}x{{{{/raw}}}}", "{{{{"),
        ("a\n{{site.[name]}}", "`[`"),
        ("a\n{{wrap {\"a\": 1}}}", "`{`"),
        ("a\n{{#if topic includeZero=true}}x{{/if}}", "one field"),
        ("a\n{{else}}", "outside"),
        ("a\n{{else if topic}}", "outside"),
        ("a\n{{#each this}}{{@key}}={{this}};{{/each}}", "`this` is none"),
        ("a\n{{@root.site.name}}", "`@root`"),
        ("a\n{{topic", "not closed"),
    ] {
        match only(&[("weekly_tip/body.txt", text)]) {
            TemplateError::Syntax { at, .. } => assert_eq!(at.to_string(), "/own/weekly_tip/body.txt.hbs:2", "{text}"),
            TemplateError::Refused { .. } => refused("weekly_tip/body.txt", text, 2, word),
            other => panic!("{text}: {other}"),
        }
    }
    for (text, word) in [("{{{topic}}}", "without escaping"), ("{{&topic}}", "without escaping"), ("{{wrap topic}}", "text parts")] {
        refused("weekly_tip/body.mjml", &mjml(text), 2, word);
    }
}

#[test]
fn every_fault_is_named_and_not_only_the_first() {
    let faults = of(&[("offer/body.txt", "{{log a}}\n{{env b}}"), ("offer/subject.txt", "{{#if a}}")]).unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn an_environment_never_shows() {
    // PATH stands in for a secret: every process has one.
    let canary = std::env::var("PATH").unwrap();
    for call in ["PATH", "env.PATH", "@root.env.PATH", "this.PATH", "../PATH", "@env"] {
        let templates = of(&[("weekly_tip/body.txt", &format!("{{{{{call}}}}}"))]);
        let Ok(templates) = templates else { continue };
        for mail in samples::mails(&templates).into_iter().filter(|mail| mail.template == "weekly_tip") {
            let error = mail.rendered.expect_err(call);
            assert!(matches!(&error, RenderError::MissingField { .. } | RenderError::Failed { .. }), "{error:?}");
            assert!(!error.to_string().contains(&canary), "{error}");
        }
    }
}

#[test]
fn a_field_that_no_mail_has_is_found_in_its_file() {
    let templates = of(&[("layout/foot.txt", "one\n{{wrap site.nom}}\n")]).unwrap();
    let found = samples::findings(&templates);
    assert!(found[0].contains("/own/layout/foot.txt.hbs:2: the field") && found[0].contains("`site.nom`"), "{}", found[0]);
    let templates = of(&[("offer/body.mjml", &mjml("<h1>a</h1>\n{{nobody.knows}}"))]).unwrap();
    assert!(samples::findings(&templates).iter().any(|found| found.contains("/own/offer/body.mjml.hbs:3: ")));
}

#[test]
fn what_is_wrong_is_said_in_plain_words_with_what_stands_there_and_what_to_do() {
    for (part, text, expected) in [
        (
            "offer/body.txt",
            "a\nb {{topic |x}} c".to_owned(),
            "/own/offer/body.txt.hbs:2: `{{topic |x}}` cannot be read from column 11 on: write {{field}}",
        ),
        ("offer/body.txt", "{{#if site.name x}}a{{/if}}".to_owned(), "/own/offer/body.txt.hbs:1: `#if` takes one field"),
        (
            "offer/body.txt",
            "a\n{{#if topic}}".to_owned(),
            "/own/offer/body.txt.hbs:2: `{{#if}}` is never closed: write `{{/if}}` where it ends",
        ),
        ("offer/body.mjml", mjml("<p class=x>a</p>"), "/own/offer/body.mjml.hbs:2 does not compile: the attribute cannot be read"),
        ("weekly_tip/reading.html", "a\n{{env topic}}".to_owned(), "/own/weekly_tip/reading.html.hbs:2: `env`"),
    ] {
        let faults = of(&[(part, &text)]).unwrap_err();
        assert!(faults.len() == 1 && faults[0].to_string().starts_with(expected), "{faults:?}");
        let jargon = ["expected", "invalid", "identifier", "syntax", "literal", "cause"];
        assert!(jargon.iter().all(|word| !faults[0].to_string().contains(word)), "{faults:?}");
    }
}

#[test]
fn loops_within_loops_parts_within_themselves_and_piles_of_parts_are_told_before_anything_is_rendered() {
    let endless = |changed: &[(&str, &str)], place: &str, word: &str| {
        let fault = only(changed);
        let TemplateError::Endless { at, why } = &fault else { panic!("{fault}") };
        assert_eq!(at.to_string(), place, "{fault}");
        assert!(why.contains(word), "{fault}");
    };
    let nest = "{{#each a}}\n{{#each ../b}}{{/each}}{{/each}}";
    endless(&[("joined/body.txt", nest)], "/own/joined/body.txt.hbs:1", "loop stands within a loop");
    let through = [("layout/own.txt", "{{#each a}}x{{/each}}"), ("joined/body.txt", "a\n{{#each b}}{{> own}}{{/each}}")];
    endless(&through, "/own/joined/body.txt.hbs:2", "loop stands within a loop");
    let two = [("layout/one.txt", "{{> two}}"), ("layout/two.txt", "{{> one}}"), ("joined/body.txt", "{{> one}}")];
    endless(&two, "/own/layout/two.txt.hbs:1", "includes itself: one > two > one");
    endless(&[("layout/one.txt", "{{> one}}")], "/own/layout/one.txt.hbs:1", "includes itself");
    let deep = [
        ("layout/a.txt", "{{> b}}"),
        ("layout/b.txt", "{{> c}}"),
        ("layout/c.txt", "{{> d}}"),
        ("layout/d.txt", "{{> e}}"),
        ("layout/e.txt", "x"),
        ("joined/body.txt", "{{> a}}"),
    ];
    endless(&deep, "/own/joined/body.txt.hbs:1", "more than 4 deep");
    let growing = [
        ("layout/a.txt", "{{> b a=reason b=reason c=reason d=reason}}"),
        ("layout/b.txt", "{{> c a=reason b=reason c=reason d=reason}}"),
        ("layout/c.txt", "{{> d a=reason}}"),
        ("layout/d.txt", "x"),
    ];
    endless(&growing, "/own/layout/a.txt.hbs:1", "too many values");
    let many = |part: &str| format!("{{{{> {part}}}}}").repeat(2000);
    let (ones, twos, threes) = (many("a"), many("b"), many("c"));
    let laughs = [("layout/a.txt", ""), ("layout/b.txt", &ones), ("layout/c.txt", &twos), ("joined/body.txt", &threes)];
    endless(&laughs, "/own/layout/c.txt.hbs:1", "steps");
}

#[test]
fn nothing_is_included_declared_loaded_or_run_by_markup() {
    for include in
        ["/etc/passwd", "layout/../../../etc/passwd", "https://foreign.example/x.mjml", "../secret.mjml.hbs", "layout/none.mjml.hbs", ""]
    {
        refused("offer/body.mjml", &format!("<mjml><mj-body>\n<mj-include path=\"{include}\" /></mj-body></mjml>"), 2, "not included");
    }
    refused("offer/body.mjml", "<mjml>\n<mj-include type=\"html\" /></mjml>", 2, "not included");
    for (inner, word) in [
        ("<script>alert(1)</script>", "<script>"),
        ("{{#if never}}<img src=\"https://foreign.example/p.gif\" alt=\"\">{{/if}}", "<img>"),
        ("<mj-raw><iframe></iframe></mj-raw>", "<iframe>"),
        ("<a onclick=\"x()\" href=\"https://example.org/\">a</a>", "onclick"),
        ("<a href=\"JavaScript:alert(1)\">a</a>", "javascript:"),
        ("<td background=\"https://foreign.example/\">a</td>", "background"),
        ("<p style=\"background:URL(https://foreign.example/)\">a</p>", "url("),
        ("<p style=\"list-style-image: image-set(&quot;https://e.example/x.png&quot; 1x)\">a</p>", "image-set("),
        ("<p style=\"background-image:&#117;rl(https://e.example/x)\">a</p>", "url("),
        ("<p style=\"background-image:src(&quot;https://e.example/x&quot;)\">a</p>", "src("),
        ("<p style='background-image:u\\72l(https://e.example/x)'>a</p>", "url("),
        ("<p style=\"background-image:u{{!}}rl(https://e.example/x)\">a</p>", "url("),
        ("<p STYLE=\"x:'//e.example/x'\">a</p>", "`//`"),
        ("<td {{#if never}}BACKGROUND=\"https://e.example/x\"{{/if}}>a</td>", "BACKGROUND"),
        ("<mj-text color=\"red;background:src('x')\">a</mj-text>", "src("),
        ("<style>p { x: image('y') }</style>", "image("),
        ("<meta http-equiv=\"refresh\" content=\"0;url=https://e.example/\" />", "refresh"),
        ("<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>", "declarations"),
        ("<?xml-stylesheet href=\"x\"?>", "declarations"),
        ("<![CDATA[<b>]]>", "declarations"),
        ("a < b", "begins no element"),
        ("[[nocolour]]", "[[nocolour]]"),
    ] {
        refused("offer/body.mjml", &mjml(inner), 2, word);
    }
    refused("offer/body.mjml", "<mjml><mj-head><mj-style>\n@import 'x';</mj-style></mj-head></mjml>", 2, "@import");
    refused("layout/button.html", "a\n<link href=\"x\">", 2, "<link>");
}

#[test]
fn markup_that_swells_is_stopped() {
    let head = include_str!("../../../templates/email/layout/head.mjml.hbs");
    let endless = |text: &str| {
        let fault = only(&[("offer/body.mjml", text), ("layout/head.mjml", &head.repeat(10))]);
        assert!(matches!(&fault, TemplateError::Endless { at, .. } if at.file == "/own/offer/body.mjml.hbs"), "{fault}");
    };
    endless(&format!("<mjml><mj-body>{}</mj-body></mjml>", "<mj-section></mj-section>".repeat(2_000)));
    endless(&format!("<mjml><mj-head>{}</mj-head></mjml>", "<mj-include path=\"layout/head.mjml.hbs\" />".repeat(1_400)));
    let loops = "<mj-attributes><mj-all css-class=\"{{#each topics}}{{this}}{{/each}}\" /></mj-attributes>";
    let many = format!(
        "<mjml><mj-head>{loops}</mj-head><mj-body>{}</mj-body></mjml>",
        "<mj-section><mj-column></mj-column></mj-section>".repeat(60)
    );
    assert!(of(&[("offer/body.mjml", &many)]).is_ok(), "some is no harm");
}

#[test]
fn what_a_mail_would_be_too_long_for_ends_it_early() {
    let overflow = |part: &str, text: &str| {
        let templates = of(&[(part, text)]).unwrap();
        let began = tokio::time::Instant::now();
        let mails = samples::mails(&templates);
        let mail = mails.into_iter().find(|mail| mail.template == "weekly_tip" && mail.sample == "long").unwrap();
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        assert!(peak() < ROOM, "{} MB", peak() >> 20);
        mail.rendered.unwrap_err()
    };
    let error = overflow("weekly_tip/body.txt", &"{{tip.body_text}}".repeat(3_000));
    assert_eq!(error, RenderError::Overflow { template: "weekly_tip/body.txt".into(), limit: 1_048_576 });
    let error = overflow("weekly_tip/body.mjml", &mjml(&"{{{tip.body_html}}}".repeat(3_000)));
    assert!(matches!(error, RenderError::TooLarge { bytes: 1_048_576, .. }), "{error}");
    let error = overflow("weekly_tip/body.txt", &format!("{{{{wrap {}}}}}", "tip.body_text ".repeat(3_000)));
    assert!(matches!(&error, RenderError::Failed { why, .. } if why.contains("more than any mail")), "{error}");
    let error = overflow("weekly_tip/reading.txt", &format!("{{{{#each references}}}}{}{{{{/each}}}}", "{{text}}".repeat(1_900)));
    assert!(matches!(error, RenderError::Overflow { .. }), "{error}");
}

#[test]
fn the_built_in_templates_come_to_a_tenth_of_what_is_allowed() {
    let made = compile::compile(&samples::site().unwrap(), &Files::built_in()).unwrap();
    for registry in [&made.plain, &made.html] {
        let mut known = HashMap::new();
        for name in registry.get_templates().keys() {
            let work = budget::weigh(registry, name, &mut known).unwrap();
            assert!(work.sum < budget::MAX_WORK / 10, "{name}: {}", work.sum);
        }
    }
}

#[test]
fn a_folder_is_read_to_its_borders_and_no_further() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "a secret").unwrap();
    let fault = |make: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("offer")).unwrap();
        make(&folder.path().join("offer"));
        folder::read(folder.path()).expect_err("a fault").0.remove(0)
    };
    let linked = |to: std::path::PathBuf| fault(&move |offer: &Path| std::os::unix::fs::symlink(&to, offer.join("body.txt.hbs")).unwrap());
    assert!(matches!(linked(outside.path().join("secret")), TemplateError::Outside { .. }));
    assert!(matches!(linked("/dev/zero".into()), TemplateError::Outside { .. }));
    assert!(matches!(linked("/proc/self/environ".into()), TemplateError::Outside { .. }));
    assert!(matches!(linked("body.txt.hbs".into()), TemplateError::Unreadable { .. }), "a link to itself");
    let large = fault(&|offer| fs::write(offer.join("body.txt.hbs"), vec![b'a'; 10 << 20]).unwrap());
    assert!(matches!(&large, TemplateError::TooLarge { file, .. } if file.ends_with("offer/body.txt.hbs")), "{large}");
    let bytes = fault(&|offer| fs::write(offer.join("body.txt.hbs"), [0xff, 0xfe]).unwrap());
    assert!(bytes.to_string().contains("not UTF-8"), "{bytes}");
    let socket = fault(&|offer| drop(std::os::unix::net::UnixListener::bind(offer.join("body.txt.hbs")).unwrap()));
    assert!(matches!(socket, TemplateError::Outside { .. }), "{socket}");
    let stranger = fault(&|offer| fs::write(offer.join("bodytxt.hbs"), "x").unwrap());
    assert!(matches!(&stranger, TemplateError::Stranger { .. }) && stranger.to_string().contains("offer/bodytxt.hbs"), "{stranger}");
}

#[test]
fn a_folder_may_be_mounted_by_links_within_it_and_hold_other_things() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("..data/offer");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("subject.txt.hbs"), "A seat\r\n").unwrap();
    fs::create_dir(folder.path().join("offer")).unwrap();
    std::os::unix::fs::symlink("../..data/offer/subject.txt.hbs", folder.path().join("offer/subject.txt.hbs")).unwrap();
    fs::write(folder.path().join("README.md"), "ours").unwrap();
    fs::write(folder.path().join("offer/notes.txt"), "ours").unwrap();
    let files = folder::read(folder.path()).unwrap();
    assert_eq!(files.text("offer/subject.txt"), Some("A seat\n"));
    assert!(matches!(files.origin("offer/subject.txt"), Some(Origin::Folder(_))));
    assert_eq!(files.origin("offer/body.txt"), Some(&Origin::BuiltIn));
    assert!(folder::read(&folder.path().join("none")).unwrap_err().to_string().contains("templates.folder"));
}
