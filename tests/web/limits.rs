//! The limits over HTTP: what a flood for one person, or from one host, comes to.

use super::{
    desk::{Desk, HOST},
    pages::Pages,
};
use futures_util::{StreamExt, stream};
use jiff::SignedDuration;
use tidings::{
    base::token::{self, Purpose},
    signup::{Origin, limits},
};

const FLOOD: usize = 10_000;
const VICTIM: &str = "victim@example.org";

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_forms_for_one_person_are_one_mail() {
    // From ten thousand networks, and with every other limit out of the way: what holds is the address's own.
    let desk = Desk::with(&[("TIDINGS_SIGNUP__ALL_PER_HOUR", "1000000")]).await;
    desk.program().await;
    let stamp = desk.stamp();
    let forms = stream::iter(0..FLOOD).map(|n| {
        let (desk, stamp) = (&desk, &stamp);
        async move {
            let host = format!("10.{}.{}.1", n / 256, n % 256);
            let path = match n % 10 {
                9 => "/preferences",
                5..=8 => "/waitlist/course",
                _ => "/subscribe",
            };
            desk.post_from(&host, path, &[("email", &spelling(n)), ("stamp", stamp)]).await.status
        }
    });
    let answers: Vec<u16> = forms.buffer_unordered(16).collect().await;
    assert_eq!(answers, vec![200; FLOOD]);
    assert_eq!(desk.mails(VICTIM).await, ["confirmation"]);
    assert_eq!(desk.count("SELECT count(*) FROM subscribers").await, 1);
    assert_eq!(desk.count("SELECT count(*) FROM signups").await + desk.count("SELECT count(*) FROM entries").await, 2, "one of each");
    assert_eq!(desk.count("SELECT count(*) FROM consents").await, 3, "two topics and a waitlist, each asked for once");
    assert_eq!(desk.count("SELECT sum(requests) FROM request_counts WHERE scope = 'all'").await, FLOOD as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_of_the_api_for_one_person_are_one_mail() {
    let desk = Desk::with(&[("TIDINGS_SIGNUP__ALL_PER_HOUR", "1000000"), ("TIDINGS_SIGNUP__KEY_PER_HOUR", "1000000")]).await;
    let key = desk.key("shop").await;
    let requests = stream::iter(0..FLOOD).map(|n| {
        let (desk, key) = (&desk, &key);
        async move { desk.call(key, &format!(r#"{{"email": "{}"}}"#, spelling(n))).await.status }
    });
    let answers: Vec<u16> = requests.buffer_unordered(16).collect().await;
    assert_eq!(answers, vec![202; FLOOD]);
    assert_eq!(desk.mails(VICTIM).await, ["confirmation"]);
}

#[tokio::test]
async fn one_host_meets_its_limit_whatever_addresses_it_types_and_whatever_it_says_of_itself() {
    let desk = Desk::new().await;
    for n in 0..30 {
        let (email, stamp, elsewhere) = (format!("person{n}@example.org"), desk.stamp(), format!("203.0.113.{n}"));
        let path = if n % 2 == 0 { "/subscribe" } else { "/preferences" };
        let form = super::desk::urlencoded(&[("email", &email), ("stamp", &stamp)]);
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("x-forwarded-for", elsewhere.as_str()), ("forwarded", "for=1.2.3.4")];
        let answer = desk.ask("POST", path, HOST, &headers, form).await;
        assert_eq!(answer.status, if n < 10 { 200 } else { 429 }, "request {n}");
        if n >= 10 {
            assert!(answer.body.contains("try again in an hour") && answer.header("retry-after") == Some("3600"), "{}", answer.body);
        }
    }
    assert_eq!(desk.count("SELECT count(*) FROM deliveries").await, 5);
    assert_eq!(desk.post_from("198.51.100.8", "/subscribe", &[("email", VICTIM), ("stamp", &desk.stamp())]).await.status, 200);
    desk.app.wait(SignedDuration::from_hours(1));
    assert_eq!(desk.sign_up("later@example.org").await.status, 200);
}

#[tokio::test]
async fn over_a_real_connection_the_host_at_its_other_end_is_counted() {
    let pages = Pages::new().await;
    let stamp = token::of_id(&pages.app.keyring, Purpose::Form, pages.app.now().as_millisecond() - 10_000);
    let form = super::desk::urlencoded(&[("email", VICTIM), ("stamp", &stamp)]);
    assert_eq!(pages.post("/subscribe", "application/x-www-form-urlencoded", &form).await.status, 200);
    let counted: Vec<u8> =
        sqlx::query_scalar("SELECT origin FROM request_counts WHERE scope = 'host'").fetch_one(&pages.app.db.pool).await.unwrap();
    assert_eq!(counted, limits::origin_hash(&pages.app.keyring, Origin::Host(pages.at.ip())));
}

#[tokio::test]
async fn behind_a_trusted_proxy_hosts_are_counted_apart_and_cannot_choose_who_they_are() {
    let settings = [("TIDINGS_WEB__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8"), ("TIDINGS_SIGNUP__HOST_PER_HOUR", "2")];
    let desk = Desk::with(&settings).await;
    let ask = async |forwarded: &str| {
        let form = super::desk::urlencoded(&[("email", VICTIM), ("stamp", &desk.stamp())]);
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-forwarded-for", forwarded)];
        desk.ask("POST", "/subscribe", "127.0.0.1", &headers, form).await.status
    };
    // What stands left of the address that the proxy saw is the client's own word.
    for (said, status) in [("1.1.1.1", 200), ("2.2.2.2", 200), ("3.3.3.3", 429), ("127.0.0.1", 429), ("10.0.0.1", 429), ("nonsense", 429)] {
        assert_eq!(ask(&format!("{said}, 198.51.100.7, 10.1.1.1")).await, status, "{said}");
    }
    assert_eq!(ask("198.51.100.8").await, 200);
    assert_eq!(ask("::ffff:198.51.100.7").await, 429);
}

#[tokio::test]
async fn a_key_meets_its_limit_and_the_answer_says_when_to_come_back() {
    let desk = Desk::with(&[("TIDINGS_SIGNUP__KEY_PER_HOUR", "3")]).await;
    let (one, other) = (desk.key("shop").await, desk.key("site").await);
    for n in 0..5 {
        let answer = desk.call(&one, &format!(r#"{{"email": "person{n}@example.org"}}"#)).await;
        assert_eq!(answer.status, if n < 3 { 202 } else { 429 });
        assert_eq!(answer.header("retry-after"), (n >= 3).then_some("3600"));
    }
    assert_eq!(desk.call(&other, r#"{"email": "person9@example.org"}"#).await.status, 202);
}

/// Another spelling of the victim's address for each of many numbers.
fn spelling(n: usize) -> String {
    VICTIM.chars().enumerate().map(|(i, c)| if (n >> (i % 16)) & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect()
}
