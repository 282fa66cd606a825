//! Contexts that fit their templates, and contexts that do not.

use super::*;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

fn refusal(template: &str, frozen: Value) -> String {
    Notice::read(template, &frozen).unwrap_err().to_string()
}

#[test]
fn a_notice_says_which_links_it_wants() {
    let frozen = json!({ "signup": 41, "topics": ["Rest"], "wording": "Yes.", "expires": "2026-12-01T09:00:00Z", "zone": null });
    for template in ["confirmation", "reminder"] {
        let notice = Notice::read(template, &frozen).unwrap();
        assert_eq!((notice.button(), notice.foot()), (Button::Confirm { signup: 41 }, Foot::Unproven));
    }
    let waits = json!({ "program": "Autumn course", "slug": "autumn-course", "entry": 41, "zone": null, "offer": 43, "opening": 2 });
    let with = |more: Value| {
        let mut frozen = waits.clone();
        frozen.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        frozen
    };
    let entry = Entry { slug: "autumn-course", entry: 41 };
    for (template, frozen, button) in [
        ("joined", with(json!({ "place": 7 })), Button::Entry(entry)),
        ("offer", with(json!({ "mode": "offers", "offer_for_seconds": 60, "ends": null })), Button::Offer { offer: 43 }),
        ("offer_reminder", with(json!({ "mode": "last-call", "expires": "2026-12-01T09:00:00Z" })), Button::Offer { offer: 43 }),
        ("expired", with(json!({ "then": "back" })), Button::Entry(entry)),
        ("expired", with(json!({ "then": "removed" })), Button::Program { slug: "autumn-course" }),
        ("accepted", with(json!({ "next_text": "", "next_link": null })), Button::Entry(entry)),
        ("closed", with(json!({})), Button::Entry(entry)),
    ] {
        let notice = Notice::read(template, &frozen).unwrap();
        assert_eq!((notice.button(), notice.foot(), notice.entry()), (button, Foot::Waitlist, Some(entry)), "{template}");
    }
    let notice = Notice::read("welcome", &json!({ "topics": ["Rest"] })).unwrap();
    assert_eq!((notice.button(), notice.foot()), (Button::Preferences, Foot::Topic));
    let notice = Notice::read("preferences_link", &json!({})).unwrap();
    assert_eq!((notice.button(), notice.foot()), (Button::Preferences, Foot::Person));
}

#[test]
fn a_context_that_does_not_fit_is_refused_and_names_what_is_wrong() {
    assert!(refusal("nothing", json!({})).contains("there is no template `nothing`"));
    let whole = json!({ "signup": 41, "topics": ["Rest"], "wording": "Yes.", "expires": "2026-12-01T09:00:00Z", "zone": "Europe/London" });
    for field in ["signup", "topics", "wording", "expires"] {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(field);
        let why = refusal("confirmation", without);
        assert!(why.contains("`confirmation`") && why.contains(&format!("`{field}`")), "{why}");
    }
    for (field, wrong, word) in [
        ("topics", json!([]), "at least one"),
        ("topics", json!([" \u{202e}"]), "at least one"),
        ("zone", json!("Europe/Nowhere"), "no time zone"),
        ("expires", json!("tomorrow"), "as year"),
        ("signup", json!("41"), "invalid type"),
    ] {
        let mut changed = whole.clone();
        changed[field] = wrong;
        let why = refusal("confirmation", changed);
        assert!(why.contains(word), "{field}: {why}");
    }
    let mut nobody = whole.clone();
    nobody["topics"] = json!([]);
    assert!(refusal("confirmation", nobody.clone()).contains("at least one"));
    nobody["programs"] = json!(["Autumn course"]);
    assert!(Notice::read("confirmation", &nobody).is_ok());
    let offer = json!({ "program": "A", "slug": "a", "entry": 41, "offer": 43, "mode": "offers", "offer_for_seconds": 60, "ends": null });
    for (field, wrong, word) in
        [("mode", json!("notify-all"), "notify-all"), ("program", json!(" "), "`program` shows nothing"), ("offer", json!(null), "null")]
    {
        let mut changed = offer.clone();
        changed[field] = wrong;
        let why = refusal("offer", changed);
        assert!(why.contains(word), "{field}: {why}");
    }
    for template in ["confirmation", "welcome", "preferences_link"] {
        assert!(refusal(template, Value::Null).contains("does not fit"));
    }
}

proptest! {
    #[test]
    fn an_offer_never_names_a_moment_after_its_end(from in 0i64..4_000_000_000, nanos in 0i32..1_000_000_000, lasts in 60i64..10_000_000, ends in proptest::option::of(0i64..4_000_000_000)) {
        let from = Timestamp::new(from, nanos).unwrap();
        let ends = ends.map(|ends| Timestamp::from_second(ends).unwrap());
        let frozen = json!({ "program": "A", "slug": "a", "entry": 41, "offer": 43, "mode": "offers", "offer_for_seconds": lasts, "ends": ends });
        let words = Notice::read("offer", &frozen).unwrap().contents.words(from).unwrap();
        let said = words["until"].as_str().unwrap().strip_suffix(" (UTC)").unwrap().to_owned();
        let said = Timestamp::strptime("%A %d %B %Y, %H:%M %z", format!("{said} +0000")).unwrap();
        let runs_out = from + SignedDuration::from_secs(lasts);
        let truth = ends.map_or(runs_out, |ends| ends.min(runs_out));
        prop_assert!(said <= truth && truth < said + SignedDuration::from_mins(1), "{said} of {truth}");
    }
}
