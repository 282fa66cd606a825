//! The mails: every template with every sample, as snapshots and through the checks, and data that means harm.

use proptest::prelude::*;
use std::sync::LazyLock;
use tidings::delivery::render::{RenderError, Rendered, Templates, TipText, WeeklyTip, check, samples};

#[test]
fn every_sample_renders_strictly_and_passes_every_check() {
    let templates = templates();
    for sample in samples::weekly_tips() {
        let mail = rendered(templates, &sample).unwrap();
        let wanted = check::Wanted { unsubscribe_url: &sample.unsubscribe_url, postal_address: &templates.site().postal_address };
        assert_eq!(check::findings(&mail, &wanted), Vec::<String>::new(), "{}", sample.name);
        assert!(mail.text.lines().all(|line| line.chars().count() <= 72 || line.contains("https://")), "{}", mail.text);
    }
}

#[test]
fn the_ordinary_mail_is_as_it_was_looked_at() {
    let templates = templates();
    let sample = samples::weekly_tips().remove(0);
    let mail = rendered(templates, &sample).unwrap();
    insta::assert_snapshot!("weekly_tip_text", format!("Subject: {}\n\n{}", mail.subject, mail.text));
    insta::assert_snapshot!("weekly_tip_html", mail.html);
}

#[test]
fn data_is_never_taken_for_a_template() {
    let templates = templates();
    let tip = TipText {
        subject: "{{site.postal_address}} {{{{raw}}}}".into(),
        preheader: "{{#each site}}{{this}}{{/each}}".into(),
        markdown: "{{{unsubscribe_url}}} {{lookup this 'PATH'}}".into(),
        article_title: "{{> foot}}".into(),
        ..TipText::default()
    };
    let tip = templates.ready_tip(&tip).unwrap();
    let mail = WeeklyTip { tip: &tip, topic: "{{reason}}", name: Some("{{topic}}"), unsubscribe_url: "https://example.org/u/x" };
    let mail = templates.render_weekly_tip(&mail).unwrap();
    assert_eq!(mail.subject, "{{site.postal_address}} {{{{raw}}}}");
    assert!(mail.text.contains("{{> foot}}") && mail.text.contains("subscribed to {{reason}} from"));
    assert!(mail.html.contains("{{{unsubscribe_url}}}"));
    assert!(!mail.text.contains("Hello"));
}

#[test]
fn a_mail_that_cannot_be_made_is_a_typed_error() {
    let templates = templates();
    let make = |tip: TipText, unsubscribe_url: &str| {
        let tip = templates.ready_tip(&tip).unwrap();
        templates.render_weekly_tip(&WeeklyTip { tip: &tip, topic: "Rest", name: None, unsubscribe_url })
    };
    let sound = samples::weekly_tips().remove(0).tip;
    let link = "https://example.org/u/x";
    let huge = TipText { markdown: "word ".repeat(30_000), ..sound.clone() };
    assert!(matches!(make(huge, link), Err(RenderError::TooLarge { bytes, .. }) if bytes > 102_400));
    let silent = TipText { subject: "\r\n\u{202e} ".into(), ..sound.clone() };
    assert_eq!(make(silent, link).unwrap_err(), RenderError::Empty { template: "weekly_tip", part: "subject" });
    for wrong in ["", "/u/x", "javascript:alert(1)", "https://"] {
        assert_eq!(make(sound.clone(), wrong).unwrap_err(), RenderError::UnsubscribeLink { template: "weekly_tip" }, "{wrong}");
    }
}

#[test]
fn the_part_that_is_html_escapes_what_people_wrote() {
    let templates = templates();
    let hostile = samples::weekly_tips().into_iter().find(|sample| sample.name == "hostile names").unwrap();
    let mail = rendered(templates, &hostile).unwrap();
    assert!(!mail.html.contains("<script") && !mail.html.contains("javascript:") && !mail.html.contains("onerror=alert(1)>"));
    assert!(mail.html.contains("Tom &amp; Jerry&#39;s &lt;b&gt;&quot;rest&quot;&lt;/b&gt;"));
    assert!(mail.subject.contains("Tom & Jerry's <b>\"rest\"</b>") && !mail.subject.contains(['\r', '\n']));
    assert!(mail.text.contains("Sleep & <i>rest</i>"));
}

#[test]
fn nothing_in_a_mail_is_loaded_when_it_is_opened() {
    let templates = templates();
    for sample in samples::weekly_tips() {
        let html = rendered(templates, &sample).unwrap().html;
        for sign in ["<img", "<link", "@import", "url(", " src=\"", "<script", "<iframe", "fonts.googleapis"] {
            assert!(!html.contains(sign), "{}: {sign}", sample.name);
        }
    }
}

proptest! {
    #[test]
    fn no_tip_makes_rendering_panic_or_lets_markup_through(subject in any::<String>(), title in any::<String>(), markdown in any::<String>(), name in any::<String>()) {
        let templates = templates();
        let tip = TipText { subject, article_title: title, markdown, ..TipText::default() };
        let tip = templates.ready_tip(&tip).unwrap();
        let mail = WeeklyTip { tip: &tip, topic: &name, name: Some(&name), unsubscribe_url: "https://example.org/u/x" };
        match templates.render_weekly_tip(&mail) {
            Ok(mail) => {
                prop_assert!(!mail.html.contains("<script"));
                prop_assert!(!mail.subject.chars().any(char::is_control));
            }
            Err(error) => prop_assert!(matches!(error, RenderError::Empty { .. }), "{error}"),
        }
    }
}

fn templates() -> &'static Templates {
    static TEMPLATES: LazyLock<Templates> =
        LazyLock::new(|| Templates::load(samples::site().expect("a publisher")).expect("templates that compile"));
    &TEMPLATES
}

fn rendered(templates: &Templates, sample: &samples::Sample) -> Result<Rendered, RenderError> {
    let tip = templates.ready_tip(&sample.tip)?;
    templates.render_weekly_tip(&WeeklyTip {
        tip: &tip,
        topic: &sample.topic,
        name: sample.recipient.as_deref(),
        unsubscribe_url: &sample.unsubscribe_url,
    })
}
