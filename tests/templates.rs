//! The mails: every template with every sample, as snapshots and through the checks, and data that means harm.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;
use tidings::delivery::render::{Foot, Links, Notice, ReadyTip, RenderError, Templates, TipText, WeeklyTip, check, samples};

#[test]
fn every_sample_renders_strictly_and_passes_every_check() {
    let templates = templates();
    for mail in samples::mails(templates) {
        let name = format!("{}, {}", mail.template, mail.sample);
        let rendered = mail.rendered.as_ref().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(check::findings(rendered, &mail.wanted(templates.site())), Vec::<String>::new(), "{name}");
        assert!(rendered.text.lines().all(|line| line.chars().count() <= 72 || line.contains("https://")), "{name}: {}", rendered.text);
    }
}

#[test]
fn the_ordinary_mails_are_as_they_were_looked_at() {
    let templates = templates();
    let mails = samples::mails(templates);
    let ordinary: Vec<_> = mails.iter().filter(|mail| mail.sample == "ordinary").collect();
    assert_eq!(ordinary.len(), 12, "one of each template");
    for mail in ordinary {
        let rendered = mail.rendered.as_ref().unwrap();
        insta::assert_snapshot!(format!("{}_text", mail.template), format!("Subject: {}\n\n{}", rendered.subject, rendered.text));
        insta::assert_snapshot!(format!("{}_html", mail.template), &rendered.html);
    }
}

#[test]
fn what_goes_to_an_address_that_nobody_has_proven_names_nobody_and_shows_no_preferences() {
    for mail in samples::mails(templates()) {
        let rendered = mail.rendered.unwrap();
        let unproven = ["confirmation", "reminder"].contains(&mail.template);
        assert_eq!(mail.foot == Foot::Unproven, unproven, "{}", mail.template);
        for part in [&rendered.text, &rendered.html] {
            assert_eq!(part.contains("/preferences/"), !unproven, "{}", mail.template);
            assert!(!unproven || !part.contains("Ana"), "{}", mail.template);
            assert_eq!(part.contains("/u/"), mail.foot == Foot::Topic, "{}", mail.template);
        }
    }
}

#[test]
fn a_link_that_a_notice_wants_and_does_not_get_is_a_typed_error() {
    let templates = templates();
    let welcome = Notice::read("welcome", &json!({ "topics": ["Rest"] })).unwrap();
    let link = "https://example.org/x";
    let make = |button, preferences, unsubscribe| {
        templates.render_notice(&welcome, None, &Links { button, preferences, unsubscribe, entry: None }, Timestamp::UNIX_EPOCH)
    };
    assert!(make(link, Some(link), Some(link)).is_ok());
    let missing = |link| Err(RenderError::Link { template: "welcome", link });
    assert_eq!(make("/x", Some(link), Some(link)), missing("button"));
    assert_eq!(make(link, None, Some(link)), missing("preferences link"));
    assert_eq!(make(link, Some(link), Some("javascript:alert(1)")), missing("unsubscribe link"));
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
    let mail = WeeklyTip { topic: "{{reason}}", name: Some("{{topic}}"), ..one(&tip) };
    let mail = templates.render_weekly_tip(&mail).unwrap();
    assert_eq!(mail.subject, "{{site.postal_address}} {{{{raw}}}}");
    assert!(mail.text.contains("{{> foot}}") && mail.text.contains("subscribed to {{reason}} from"));
    assert!(mail.html.contains("{{{unsubscribe_url}}}"));
    assert!(!mail.text.contains("Hello"));

    let call = "{{site.postal_address}} {{{button_url}}} {{> foot}}";
    let frozen = json!({ "program": call, "slug": "a", "entry": 1, "next_text": call, "next_link": format!("https://example.org/{call}") });
    let accepted = Notice::read("accepted", &frozen).unwrap();
    let link = "https://example.org/x";
    let links = Links { button: link, preferences: Some(link), unsubscribe: None, entry: Some(link) };
    let mail = templates.render_notice(&accepted, None, &links, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(mail.subject, format!("You have a seat in {call}"));
    assert!(mail.text.contains(call) && mail.html.matches(call.replace('>', "&gt;").as_str()).count() == 3, "{}", mail.html);
    assert!(!mail.html.contains("https://example.org/{{"), "what is no link is none");
}

#[test]
fn a_mail_that_cannot_be_made_is_a_typed_error() {
    let templates = templates();
    let make = |tip: TipText, unsubscribe_url: &str| {
        let tip = templates.ready_tip(&tip).unwrap();
        templates.render_weekly_tip(&WeeklyTip { unsubscribe_url, ..one(&tip) })
    };
    let sound = samples::weekly_tips().remove(0).tip;
    let link = "https://example.org/u/x";
    let huge = TipText { markdown: "word ".repeat(30_000), ..sound.clone() };
    assert!(matches!(make(huge, link), Err(RenderError::TooLarge { bytes, .. }) if bytes > 102_400));
    let silent = TipText { subject: "\r\n\u{202e} ".into(), ..sound.clone() };
    assert_eq!(make(silent, link).unwrap_err(), RenderError::Empty { template: "weekly_tip", part: "subject" });
    for wrong in ["", "/u/x", "javascript:alert(1)", "https://"] {
        assert_eq!(
            make(sound.clone(), wrong).unwrap_err(),
            RenderError::Link { template: "weekly_tip", link: "unsubscribe link" },
            "{wrong}"
        );
    }
}

#[test]
fn the_part_that_is_html_escapes_what_people_wrote() {
    let templates = templates();
    for mail in samples::mails(templates).into_iter().filter(|mail| mail.sample == "hostile names") {
        let rendered = mail.rendered.unwrap();
        assert!(!rendered.html.contains("<script") && !rendered.html.contains("javascript:"), "{}", mail.template);
        assert!(rendered.html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{}", mail.template);
    }
    let hostile = samples::mails(templates).into_iter().find(|mail| mail.sample == "hostile names").unwrap();
    let mail = hostile.rendered.unwrap();
    assert!(!mail.html.contains("<script") && !mail.html.contains("javascript:") && !mail.html.contains("onerror=alert(1)>"));
    assert!(mail.html.contains("Tom &amp; Jerry&#39;s &lt;b&gt;&quot;rest&quot;&lt;/b&gt;"));
    assert!(mail.subject.contains("Tom & Jerry's <b>\"rest\"</b>") && !mail.subject.contains(['\r', '\n']));
    assert!(mail.text.contains("Sleep & <i>rest</i>"));
}

#[test]
fn nothing_in_a_mail_is_loaded_when_it_is_opened() {
    let templates = templates();
    for mail in samples::mails(templates) {
        let html = mail.rendered.unwrap().html;
        for sign in ["<img", "<link", "@import", "url(", " src=\"", "<script", "<iframe", "fonts.googleapis"] {
            assert!(!html.contains(sign), "{}, {}: {sign}", mail.template, mail.sample);
        }
    }
}

#[test]
fn what_an_operator_wrote_for_those_who_accepted_stands_in_paragraphs_and_means_no_harm() {
    let mail = |sample: &str| {
        let mails = samples::mails(templates());
        mails.into_iter().find(|mail| mail.template == "accepted" && mail.sample == sample).expect("a sample").rendered.unwrap()
    };
    let ordinary = mail("ordinary");
    assert!(ordinary.text.contains("early on the first\nevening.\n\nBring a mat"), "{}", ordinary.text);
    assert!(ordinary.html.contains("first evening.</p><p dir=\"auto\""));
    let hostile = mail("hostile text");
    assert!(hostile.html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;/body&gt;</p>"));
    for part in [&hostile.html, &hostile.text, &mail("hostile link").html] {
        assert!(
            !part.contains("javascript:") && !part.contains("\"><script>") && !part.contains('\u{202e}') && !part.contains("Go on</a>")
        );
    }
}

proptest! {
    #[test]
    fn no_names_make_a_notice_panic_or_let_markup_through(topic in any::<String>(), wording in any::<String>()) {
        let frozen = json!({ "signup": 1, "topics": [topic], "wording": wording, "expires": "2026-12-01T09:00:00Z", "zone": null });
        let Ok(notice) = Notice::read("confirmation", &frozen) else { return Ok(()) };
        let links = Links { button: "https://example.org/confirm/x", preferences: None, unsubscribe: None, entry: None };
        let mail = templates().render_notice(&notice, None, &links, Timestamp::UNIX_EPOCH).unwrap();
        let plain = templates().render_notice(&Notice::read("confirmation", &json!({ "signup": 1, "topics": ["x"], "wording": "x", "expires": "2026-12-01T09:00:00Z" })).unwrap(), None, &links, Timestamp::UNIX_EPOCH).unwrap();
        prop_assert_eq!(mail.html.matches('<').count(), plain.html.matches('<').count());
    }

    #[test]
    fn no_tip_makes_rendering_panic_or_lets_markup_through(subject in any::<String>(), title in any::<String>(), markdown in any::<String>(), name in any::<String>()) {
        let templates = templates();
        let tip = TipText { subject, article_title: title, markdown, ..TipText::default() };
        let tip = templates.ready_tip(&tip).unwrap();
        let mail = WeeklyTip { topic: &name, name: Some(&name), ..one(&tip) };
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

fn one(tip: &ReadyTip) -> WeeklyTip<'_> {
    let (preferences_url, unsubscribe_url) = ("https://example.org/preferences/x", "https://example.org/u/x");
    WeeklyTip { tip, topic: "Rest", name: None, preferences_url, unsubscribe_url }
}
