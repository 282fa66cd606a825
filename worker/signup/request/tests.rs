//! What is refused, field by field, and the words that are agreed to.

use super::*;

fn rules(disposable: Disposable) -> config::Signup {
    let mut rules = config::Config::load(None, &std::collections::HashMap::new()).unwrap().signup;
    rules.disposable = disposable;
    rules
}

fn open() -> Vec<OpenTopic> {
    let topic = |id, slug: &str, name: &str| OpenTopic { id, slug: slug.into(), name: name.into(), description: String::new() };
    vec![topic(1, "back", "Back care"), topic(2, "sleep", "Sleep")]
}

fn form(email: &str) -> Form {
    Form { email: email.into(), ..Form::default() }
}

#[test]
fn an_address_alone_asks_for_every_open_topic() {
    let request = Request::read(&form(" Ana@Example.org "), &open(), &rules(Disposable::Refuse)).unwrap();
    assert_eq!(request.address.key(), "ana@example.org");
    assert_eq!(request.topics.len(), 2);
    assert!(request.name.is_none() && request.zone.is_none() && request.stage_date.is_none());
}

#[test]
fn topics_are_taken_by_their_slugs_once_each() {
    let topics = ["sleep", " sleep ", ""].map(str::to_owned).to_vec();
    let request = Request::read(&Form { topics, ..form("a@example.org") }, &open(), &rules(Disposable::Warn)).unwrap();
    assert_eq!(request.topics.iter().map(|topic| topic.id).collect::<Vec<_>>(), [2]);
}

#[test]
fn every_field_that_is_wrong_is_named_with_what_is_expected() {
    let wrong = Form {
        email: "nobody".into(),
        name: "A\u{7}".into(),
        topics: vec!["secret\n<b>".into()],
        zone: "Europe/Londn".into(),
        stage_date: "1.2.2026".into(),
    };
    let errors = Request::read(&wrong, &open(), &rules(Disposable::Warn)).unwrap_err();
    let text: Vec<String> = errors.into_iter().map(|error| format!("{}: {}", error.field, error.problem)).collect();
    insta::assert_snapshot!(text.join("\n"), @r"
    email: it is not an email address of the form name@example.org (Missing separator character '@'.)
    name: the name holds a control character
    topics: `secret<b>` is no topic that is open: expected some of back, sleep
    zone: `Europe/Londn` is no time zone of the tz database: expected a name such as `Europe/London`; did you mean `Europe/London`?
    stage_date: `1.2.2026` is no date: YYYY-MM-DD was expected
    ");
}

#[test]
fn a_throw_away_address_is_refused_only_where_the_settings_say_so() {
    let read = |disposable| Request::read(&form("a@inbox.Mailinator.com"), &open(), &rules(disposable));
    assert!(read(Disposable::Warn).is_ok());
    let errors = read(Disposable::Refuse).unwrap_err();
    assert_eq!(errors[0].field, "email");
    assert!(errors[0].problem.contains("inbox.mailinator.com"), "{errors:?}");
}

#[test]
fn without_an_open_topic_nothing_can_be_asked_for() {
    let errors = Request::read(&form("a@example.org"), &[], &rules(Disposable::Warn)).unwrap_err();
    assert_eq!((errors.len(), errors[0].field), (1, "topics"));
}
