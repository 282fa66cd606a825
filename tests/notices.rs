//! Mails that answer one person's act, from the row to the inbox: what they carry and what they must not, and what becomes of
//! one whose answer was lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidings::base::token::{self, Purpose, UnsubscribeToken};
use tidings::delivery::relay::{Answer, MemoryBox};
use tidings::delivery::transactional::{self, Basis, Tip, Transactional};
use tidings::delivery::{Key, message_id};
use tidings::jobs::App;
use tokio::time::Instant;

use crate::support::story::{Story, log_of, memory};

mod doubt;
pub(crate) mod mail;

use mail::Mail;

#[tokio::test]
async fn a_confirmation_carries_its_one_link_and_nothing_that_only_the_person_may_have() {
    for template in ["confirmation", "reminder"] {
        let scene = Scene::new().await;
        scene.enqueue(template, Basis::Confirmation, confirmation(), &scene.later(48)).await;
        let mail = scene.only_mail().await;
        let links = mail.links("https://tips.example.org/");
        assert_eq!(links.len(), 1, "{links:?}");
        let token = links[0].strip_prefix("https://tips.example.org/confirm/").expect("a link to the page that confirms");
        assert_eq!(token::verify_id(&scene.story.app.keyring, Purpose::Confirm, token), Some(41));
        assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated".to_owned()));
        for absent in ["List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"] {
            assert_eq!(mail.header(absent), None, "{template}");
        }
        for part in [&mail.whole, &mail.text, &mail.html] {
            assert!(!part.contains("Person"), "nobody knows yet whose address it is");
        }
        for part in [&mail.text, &mail.html] {
            for said in
                ["Back care", "I want letters about Back care.", "Tuesday 20 January 2026, 09:00 (Europe/London time)", "This wasn’t me"]
            {
                assert!(part.contains(said), "{said}: {part}");
            }
            assert!(part.contains("Example Street"));
        }
        assert!(!mail.subject().contains("Back care"));
    }
}

#[tokio::test]
async fn a_welcome_is_a_mail_of_its_topic_with_the_way_out_and_her_preferences() {
    let scene = Scene::new().await;
    let coming =
        json!({ "topics": ["Back care"], "coming": [{ "topic": "Back care", "at": "2026-01-20T09:00:00Z", "zone": "Europe/London" }] });
    scene.enqueue("welcome", Basis::Topic, coming, &scene.later(48)).await;
    let mail = scene.only_mail().await;
    assert!(mail.text.contains("Hello Person"), "{}", mail.text);
    assert!(mail.text.contains("Back care: the first letter comes on Tuesday 20 January 2026, 09:00 (Europe/London time)"));
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated".to_owned()));
    assert_eq!(mail.header("List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click".to_owned()));
    scene.assert_ways_out(&mail);
}

#[tokio::test]
async fn her_link_comes_to_her_alone_and_is_no_mail_of_a_topic() {
    let scene = Scene::new().await;
    scene.enqueue("preferences_link", Basis::Preferences, json!({}), &scene.later(48)).await;
    let mail = scene.only_mail().await;
    scene.assert_preferences(&mail);
    assert_eq!(mail.links("https://tips.example.org/u/"), Vec::<String>::new());
    assert_eq!((mail.header("List-Id"), mail.header("List-Unsubscribe")), (None, None));
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated".to_owned()));
}

#[tokio::test]
async fn a_first_tip_without_an_edition_is_the_same_mail_as_one_of_an_edition() {
    let scene = Scene::new().await;
    let tip = Tip {
        series_id: scene.story.number("SELECT id FROM series").await,
        segment_id: scene.story.number("SELECT segment_id FROM tips").await,
        revision_id: scene.story.number("SELECT revision_id FROM tips").await,
    };
    let first = Transactional { tip: Some(tip), ..scene.mail("weekly_tip", Basis::Topic, Value::Null, &scene.later(48)) };
    let key =
        transactional::enqueue(&mut *scene.story.conn().await, &first, scene.story.app.now()).await.expect("a row").expect("the first");
    let mail = scene.only_mail().await;
    assert_eq!(mail.header("Auto-Submitted"), None);
    assert!(mail.header("List-Id").is_some() && mail.text.contains("you are subscribed to"), "{}", mail.text);
    scene.assert_ways_out(&mail);
    let id = message_id(key, &scene.story.app.db.label, "example.org");
    assert_eq!(format!("<{}>", mail.header("Message-ID").expect("a header").trim_matches(['<', '>'])), id);
}

#[tokio::test]
async fn an_address_in_letters_of_the_world_gets_its_confirmation() {
    let scene = Scene::new().await;
    scene.story.tamper("UPDATE subscribers SET address = 'ana@bücher.example'").await;
    scene.enqueue("confirmation", Basis::Confirmation, confirmation(), &scene.later(48)).await;
    scene.work().await;
    assert_eq!(log_of(&scene.mails)[0].1, "ana@xn--bcher-kva.example");
}

#[tokio::test]
async fn a_context_that_does_not_fit_ends_its_own_delivery_and_says_why() {
    let scene = Scene::new().await;
    for (template, basis, context, why) in [
        ("confirmation", Basis::Confirmation, json!({ "signup": 41 }), "missing field `wording`"),
        ("confirmation", Basis::Confirmation, Value::Null, "does not fit template `confirmation`"),
        ("no such mail", Basis::Preferences, json!({}), "there is no template `no such mail`"),
        ("weekly_tip", Basis::Topic, json!({}), "this delivery has no tip"),
    ] {
        let key = scene.enqueue(template, basis, context, &scene.later(48)).await;
        scene.work().await;
        let (state, reason) = scene.state(key).await;
        assert!(state == "failed" && reason.contains(why), "{template}: {state}, {reason}");
    }
    assert_eq!(scene.story.number("SELECT count(*) FROM deliveries WHERE handing_over_at IS NOT NULL").await, 0, "none was handed over");
    assert_eq!(scene.story.number("SELECT count(*) FROM transactional WHERE handed_over_at IS NOT NULL").await, 0, "no clock began");
    let sound = scene.enqueue("preferences_link", Basis::Preferences, json!({}), &scene.later(48)).await;
    scene.work().await;
    assert_eq!((scene.state(sound).await.0.as_str(), scene.mails.handed().len()), ("sent", 1));
}

/// Longer than any mail takes to be made.
const PAUSE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_burst_of_notices_leaves_at_once_though_few_are_claimed_at_a_time() {
    let scene = Scene::new().await;
    for _ in 0..500 {
        scene.enqueue("preferences_link", Basis::Preferences, json!({}), &scene.later(48)).await;
    }
    let (pauses, mut last) = (Arc::new(Mutex::new(Duration::ZERO)), None::<Instant>);
    let seen = pauses.clone();
    scene.mails.answer_with(move |_| {
        let pause = last.replace(Instant::now()).map_or(Duration::ZERO, |last| last.elapsed());
        *seen.lock().expect("no holder panics") += if pause > PAUSE { pause } else { Duration::ZERO };
        Answer::Accept
    });
    scene.work().await;
    assert_eq!(scene.mails.handed().len(), 500);
    // Fifty wait in a lane: nine pauses, were the next ones looked for when a second is over.
    let pauses = *pauses.lock().expect("no holder panics");
    assert!(pauses < 4 * PAUSE, "nothing left for {pauses:?}");
}

/// One subscriber of one topic, and a relay that keeps what it gets.
struct Scene {
    story: Story,
    mails: MemoryBox,
    app: Arc<App>,
    subscriber: i64,
    topic: i64,
}

impl Scene {
    async fn new() -> Scene {
        let story = Story::new().await;
        story.tips(1).await;
        story.subscribers(1).await;
        // A greeting takes letters only.
        story.tamper("UPDATE subscribers SET name = 'Person One'").await;
        let mails = MemoryBox::default();
        let app = story.jobs(vec![memory(&mails, 1)]);
        let subscriber = story.number("SELECT id FROM subscribers").await;
        let topic = story.number("SELECT id FROM topics").await;
        Scene { story, mails, app, subscriber, topic }
    }

    fn later(&self, hours: i64) -> Timestamp {
        self.story.app.now() + SignedDuration::from_hours(hours)
    }

    fn mail<'a>(&self, template: &'a str, basis: Basis, context: Value, valid_until: &Timestamp) -> Transactional<'a> {
        Transactional {
            owner: "story",
            kind: template,
            subscriber_id: self.subscriber,
            basis,
            topic_id: (basis == Basis::Topic).then_some(self.topic),
            tip: None,
            template,
            context,
            due_at: self.story.app.now(),
            valid_until: *valid_until,
        }
    }

    async fn enqueue(&self, template: &str, basis: Basis, context: Value, valid_until: &Timestamp) -> Key {
        // An owner of its own, so that a story may send the same mail twice.
        let owner = format!("story:{}", self.story.number("SELECT count(*) FROM transactional").await);
        let mail = Transactional { owner: &owner, ..self.mail(template, basis, context, valid_until) };
        let now = self.story.app.now();
        transactional::enqueue(&mut *self.story.conn().await, &mail, now).await.expect("a row").expect("the first of its owner")
    }

    async fn work(&self) {
        self.story.run_until_idle(&self.app).await;
    }

    async fn only_mail(&self) -> Mail {
        self.work().await;
        let handed = self.mails.handed();
        let failed = self.story.texts("SELECT reason FROM deliveries WHERE reason IS NOT NULL").await;
        assert_eq!(handed.len(), 1, "{failed:?}");
        Mail::read(&handed[0].message)
    }

    async fn state(&self, key: Key) -> (String, String) {
        let column = async |name: &str| {
            let statement = format!("SELECT coalesce({name}, '') FROM deliveries WHERE id = {}", key.id);
            self.story.texts(&statement).await.pop().expect("the delivery")
        };
        (column("state").await, column("reason").await)
    }

    fn answer_with(&self, answer: Answer) {
        self.mails.answer_with(move |_| answer.clone());
    }

    fn assert_preferences(&self, mail: &Mail) {
        let links = mail.links("https://tips.example.org/preferences/");
        assert_eq!(links.len(), 1, "the same link wherever it stands: {links:?}");
        let token = links[0].rsplit('/').next().expect("a token");
        assert_eq!(token::verify_id(&self.story.app.keyring, Purpose::Preferences, token), Some(self.subscriber));
    }

    fn assert_ways_out(&self, mail: &Mail) {
        self.assert_preferences(mail);
        let links = mail.links("https://tips.example.org/u/");
        assert_eq!(links.len(), 1, "{links:?}");
        assert_eq!(mail.header("List-Unsubscribe"), Some(format!("<{}>", links[0])));
        let token = token::verify_unsubscribe(&self.story.app.keyring, links[0].rsplit('/').next().expect("a token"));
        assert_eq!(token, Some(UnsubscribeToken { subscriber_id: self.subscriber, topic_id: self.topic }));
    }
}

fn confirmation() -> Value {
    json!({
        "signup": 41,
        "topics": ["Back care"],
        "wording": "I want letters about Back care.",
        "expires": "2026-01-20T09:00:00Z",
        "zone": "Europe/London"
    })
}
