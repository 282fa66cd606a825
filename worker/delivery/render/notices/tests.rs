//! Contexts that fit their templates, and contexts that do not.

use super::*;
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
    for template in ["confirmation", "welcome", "preferences_link"] {
        assert!(refusal(template, Value::Null).contains("does not fit"));
    }
}
