//! What bombers meet: limits of the address, the host, its network, the key and all, whoever counts.

use std::net::IpAddr;

use futures_util::future::join_all;
use jiff::SignedDuration;
use tidings::base::address::EmailAddress;
use tidings::base::database;
use tidings::signup::{self, Answer, Desk, Origin, limits};

use super::story::{Story, form, host};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_requests_for_one_victim_are_one_mail() {
    let story = Story::new().await;
    let request = story.request(&form("victim@example.org", &[])).await;
    let (desk, now) = (story.desk(), story.app.now());
    let strangers = (0..16).map(|stranger| {
        let request = &request;
        async move {
            for n in 0..625 {
                let answer = signup::subscribe(&desk, request, host(stranger * 625 + n), now).await.expect("an answer");
                assert_eq!(answer, Answer::Taken);
            }
        }
    });
    join_all(strangers).await;
    assert_eq!(story.mails().await, ["confirmation: queued"]);
    assert_eq!(story.number("SELECT count(*) FROM signups").await, 1);
    assert_eq!(story.number("SELECT count(*) FROM consents").await, 2, "the wish is recorded once for each topic");
    assert_eq!(story.number("SELECT sum(requests)::bigint FROM request_counts WHERE scope = 'all'").await, 10_000);
}

#[tokio::test]
async fn fifty_spellings_at_once_are_one_person_and_one_mail() {
    let story = Story::new().await;
    let spelling = |n: usize| {
        let name: String = "ana.bech".chars().enumerate().map(|(i, c)| if n >> i & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect();
        let domain = ["bücher.example.org", "BÜCHER.example.org", "xn--bcher-kva.example.org", "Bücher.Example.ORG"][n % 4];
        form(&format!("{name}@{domain}"), &["back"])
    };
    let forms: Vec<_> = (0..50).map(spelling).collect();
    join_all(forms.iter().zip(0..).map(|(form, n)| story.ask_with(form, host(n)))).await;
    assert_eq!(story.number("SELECT count(*) FROM subscribers").await, 1);
    assert_eq!(story.number("SELECT count(*) FROM signups").await, 1);
    assert_eq!(story.mails().await, ["confirmation: queued"]);
}

#[tokio::test]
async fn one_host_with_ten_thousand_addresses_meets_its_limit_and_uses_up_nothing_of_others() {
    let story = Story::with(&[]).await;
    let mut taken = 0;
    for n in 0..10_000 {
        let email = format!("a{n}@example.org");
        let address = EmailAddress::parse(&email).expect("an address");
        let answer = signup::mail_link(&story.desk(), &address, host(1), story.app.now()).await.expect("an answer");
        taken += usize::from(answer == Answer::Taken);
    }
    assert_eq!(taken, 10);
    assert_eq!(story.texts("SELECT scope || ' ' || requests FROM request_counts ORDER BY 1").await, ["all 10", "host 10", "network 10"]);
    assert_eq!(story.ask_with(&form("b@example.org", &[]), host(2)).await, Answer::Taken);
    story.app.wait(SignedDuration::from_hours(1));
    assert_eq!(story.ask("c@example.org", &[]).await, Answer::Taken, "an hour later it may again");
}

#[tokio::test]
async fn hosts_of_one_network_share_its_limit_and_all_share_theirs() {
    let story = Story::with(&[("TIDINGS_SIGNUP__NETWORK_PER_HOUR", "3"), ("TIDINGS_SIGNUP__ALL_PER_HOUR", "5")]).await;
    let from = async |host: &str| {
        let origin = Origin::Host(host.parse::<IpAddr>().expect("an address"));
        story.ask_with(&form("a@example.org", &[]), origin).await == Answer::Taken
    };
    let mut taken = Vec::new();
    for host in ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "192.0.2.4", "2001:db8::1", "2001:db8::2:0:0:1", "2001:db8:0:1::1"] {
        taken.push(from(host).await);
    }
    assert_eq!(taken, [true, true, true, false, true, true, false]);
}

#[tokio::test]
async fn a_key_has_a_limit_of_its_own_and_the_address_keeps_its() {
    let story = Story::with(&[("TIDINGS_SIGNUP__KEY_PER_HOUR", "20")]).await;
    let mut answers = Vec::new();
    for _ in 0..30 {
        answers.push(story.ask_with(&form("victim@example.org", &[]), Origin::Key(1)).await);
    }
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::Taken).count(), 20);
    assert_eq!(story.ask_with(&form("b@example.org", &[]), Origin::Key(2)).await, Answer::Taken);
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE subscriber_id = 1").await, 1);
    assert_eq!(story.texts("SELECT DISTINCT source FROM signups").await, ["api"]);
}

#[tokio::test]
async fn two_processes_share_the_limits() {
    let story = Story::with(&[]).await;
    let other = database::connect(story.app.database_url(), 4).await.expect("a database");
    let here = story.desk();
    let there = Desk { pool: &other.pool, ..here };
    let request = story.request(&form("a@example.org", &[])).await;
    let asked = (0..20).map(|n| signup::subscribe(if n % 2 == 0 { &here } else { &there }, &request, host(1), story.app.now()));
    let answers = join_all(asked).await;
    assert_eq!(answers.into_iter().filter(|answer| matches!(answer, Ok(Answer::Taken))).count(), 10);
    assert_eq!(story.mails().await.len(), 1);
}

#[tokio::test]
async fn an_address_gets_one_mail_a_day_and_three_in_ninety_days() {
    let story = Story::new().await;
    let mut mailed = Vec::new();
    for hour in 0..120 {
        let before = story.number("SELECT count(*) FROM deliveries").await;
        story.ask("ana@example.org", &["back"]).await;
        if story.number("SELECT count(*) FROM deliveries").await > before {
            mailed.push(hour);
        }
        story.app.wait(SignedDuration::from_hours(1));
    }
    assert_eq!(mailed, [0, 24, 48]);
    story.days(84);
    story.ask("ana@example.org", &["back"]).await;
    assert_eq!(story.mails().await.len(), 3, "the ninetieth day is not over");
    story.days(1);
    story.ask("ana@example.org", &["back"]).await;
    assert_eq!(story.mails().await.len(), 4);
}

#[tokio::test]
async fn the_count_of_an_address_outlives_the_person_and_ends_when_it_counts_no_more() {
    let story = Story::new().await;
    for _ in 0..3 {
        story.ask("ana@example.org", &["back"]).await;
        story.days(2);
    }
    story.tend().await;
    story.days(40);
    story.tend().await;
    story.tend().await;
    assert_eq!(story.number("SELECT count(*) FROM subscribers WHERE address IS NOT NULL").await, 0, "she is forgotten");
    story.ask("ana@example.org", &["back"]).await;
    assert_eq!(story.number("SELECT count(*) FROM deliveries WHERE subscriber_id = 2").await, 0, "and yet three were enough");
    story.days(91);
    limits::prune(&story.app.db.pool, story.app.now()).await.expect("a pruning");
    assert_eq!(story.number("SELECT count(*) FROM asked_mails").await + story.number("SELECT count(*) FROM request_counts").await, 0);
}
