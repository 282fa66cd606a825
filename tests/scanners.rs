//! Link scanners: every link of every kind of mail that is produced, asked for in every way that a scanner asks, and sent every
//! body that is no form of ours. Not a row of any table may change.

use crate::broadcast::stage as broadcasts;
use crate::support::story::{Story, memory};
use crate::waitlist::stage::{SLUG, new_opening, particulars};
use jiff::SignedDuration;
use mail_parser::MessageParser;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};
use tidings::{
    base::address::EmailAddress,
    campaigns::{
        broadcast::{self, NewBroadcast, Terms},
        states::Late,
    },
    delivery::relay::{Handed, MemoryBox},
    jobs::App,
    people::arrival,
    signup::{self, Desk, Form, Origin, Request},
    waitlist::{
        entry, offer,
        opening::{self, NewOpening},
        program,
    },
    web::{self, Web},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

const SITE: &str = "https://tips.example.org";
const ORIGIN: Origin = Origin::Host(IpAddr::V4(Ipv4Addr::LOCALHOST));
const URLENCODED: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn no_link_of_any_mail_changes_anything_however_it_is_asked_for() {
    let story = Story::ready(4, 2).await;
    let mails = every_kind_of_mail(&story).await;
    let links: BTreeSet<String> = mails.iter().flat_map(links).collect();
    for path in ["/u/", "/confirm/", "/preferences/", "/waitlist/course/", "/offers/"] {
        assert!(links.iter().any(|link| link.starts_with(path)), "a link to {path} in {links:?}");
    }
    let (at, _stop) = serve(&story).await;
    let before = fingerprint(&story).await;
    for link in &links {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"] {
            let status = ask(at, method, link, "", "").await;
            assert_eq!(status, if matches!(method, "GET" | "HEAD") { 200 } else { 405 }, "{method} {link}");
        }
        for (kind, body) in wrong_bodies(link) {
            let status = ask(at, "POST", link, kind, &body).await;
            assert!((400..500).contains(&status), "{status} to a POST of {kind} `{}` to {link}", &body[..body.len().min(60)]);
        }
        assert_eq!(changed(&before, &fingerprint(&story).await), Vec::<&str>::new(), "{link}");
    }
    let way_out = links.iter().find(|link| link.starts_with("/u/")).expect("a way out");
    assert_eq!(ask(at, "POST", way_out, URLENCODED, "List-Unsubscribe=One-Click").await, 200);
    assert!(changed(&before, &fingerprint(&story).await).contains(&"subscriptions"), "a person's click is seen");
}

/// One of each template at least: a weekly tip, what answers a sign-up that is confirmed, one that is not, and a lost link; what is
/// told to those who wait for a seat, with offers that stand.
async fn every_kind_of_mail(story: &Story) -> Vec<Handed> {
    let mails = MemoryBox::default();
    let jobs = story.jobs(vec![memory(&mails, 2)]);
    let confirmed = sign_up(story, "newcomer@example.org").await;
    sign_up(story, "forgetful@example.org").await;
    story.run_until_idle(&jobs).await;
    let pending = signup::pending(&story.app.db.pool, confirmed, story.app.now()).await.expect("an answer").expect("a sign-up");
    let (pool, keyring) = (&story.app.db.pool, &story.app.keyring);
    arrival::confirm(pool, keyring, confirmed, &pending.seen, story.app.now()).await.expect("a confirmation");
    let known = EmailAddress::parse("person-1@example.org").expect("an address");
    signup::mail_link(&desk(story), &known, ORIGIN, story.app.now()).await.expect("an answer");
    story.run_until_idle(&jobs).await;
    story.app.wait(SignedDuration::from_hours(49));
    story.run_edition().await;
    story.run_until_idle(&jobs).await;
    wait_for_a_seat(story, &jobs).await;
    tell(story, "topic:weekly").await;
    story.run_until_idle(&jobs).await;
    let sent: BTreeSet<String> = story.texts("SELECT DISTINCT template FROM deliveries WHERE state = 'sent'").await.into_iter().collect();
    assert_eq!(sent, templates(), "a mail of every template was sent");
    mails.handed()
}

/// Three wait for two seats: one accepts, one lets the offer run out, and the opening is closed before the third has answered. Then
/// another one opens.
async fn wait_for_a_seat(story: &Story, jobs: &Arc<App>) {
    let conn = &mut *story.conn().await;
    let (program, seats) = (program::create(conn, SLUG, &particulars(), story.app.now()).await.expect("a program").id, 2);
    for id in [1, 2, 3] {
        let entry_id = entry::join(conn, program, id, story.app.now()).await.expect("an entry").entry_id;
        entry::confirm(conn, entry_id, story.app.now()).await.expect("a confirmation");
    }
    opening::create(conn, SLUG, &NewOpening { seats, ..new_opening(story.app.now()) }, story.app.now()).await.expect("an opening");
    story.run_until_idle(jobs).await;
    let first = story.number("SELECT min(id) FROM offers").await;
    offer::accept(conn, first, story.app.now()).await.expect("a seat");
    for hours in [36, 12] {
        story.app.wait(SignedDuration::from_hours(hours));
        opening::advance(conn, program, story.app.now()).await.expect("an advance");
        story.run_until_idle(jobs).await;
    }
    opening::close(conn, SLUG, Some(1), story.app.now()).await.expect("an end");
    opening::create(conn, SLUG, &NewOpening { seats, ..new_opening(story.app.now()) }, story.app.now()).await.expect("an opening");
    story.run_until_idle(jobs).await;
    assert_eq!(story.number("SELECT count(*) FROM offers WHERE state = 'open'").await, 2);
}

async fn tell(story: &Story, to: &str) {
    let (letter, whom, late) = (broadcasts::letter(), to.parse().expect("recipients"), Late::Ask);
    let terms = Terms { late, tolerance: SignedDuration::from_hours(6), deadline: SignedDuration::from_hours(48) };
    let new = NewBroadcast { name: to, to: &whom, letter: &letter, at: None, zone: "Europe/London", terms };
    broadcast::create(&mut *story.conn().await, &broadcasts::templates(), new, story.app.now()).await.expect("a broadcast");
}

fn templates() -> BTreeSet<String> {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/email")).expect("the templates").flatten();
    folders.map(|folder| folder.file_name().to_string_lossy().into_owned()).filter(|name| name != "layout").collect()
}

fn desk(story: &Story) -> Desk<'_> {
    let app = &story.app;
    Desk { pool: &app.db.pool, keyring: &app.keyring, rules: &app.config.signup, publisher: &app.config.site.name }
}

async fn sign_up(story: &Story, email: &str) -> i64 {
    let open = signup::open_topics(&mut *story.conn().await).await.expect("topics");
    let form = Form { email: email.to_owned(), name: "Newcomer".to_owned(), ..Form::default() };
    let request = Request::read(&form, &open, desk(story).rules).expect("a form that is right");
    signup::subscribe(&desk(story), &request, ORIGIN, story.app.now()).await.expect("an answer");
    story.number("SELECT max(id) FROM signups").await
}

/// The paths of a mail's links to our pages.
fn links(mail: &Handed) -> Vec<String> {
    let message = MessageParser::default().parse(&mail.message).expect("a mail");
    let header = message.header_raw("List-Unsubscribe").unwrap_or_default().split_whitespace().collect::<String>();
    let (text, html) = (message.body_text(0).expect("a text part"), message.body_html(0).expect("an HTML part"));
    let parts = [header.as_str(), &text, &html];
    let ends = |c: char| c.is_whitespace() || "<>\"'".contains(c);
    let all = parts.iter().flat_map(|part| part.split(SITE).skip(1)).map(|rest| rest.split(ends).next().unwrap_or_default());
    all.map(|link| link.trim_end_matches(['.', ',']).replace("&amp;", "&")).filter(|link| link.len() > 1).collect()
}

/// What a page's own forms, or a mail program's one click, do not post there.
fn wrong_bodies(link: &str) -> Vec<(&'static str, String)> {
    let mut bodies = vec![
        ("", String::new()),
        (URLENCODED, String::new()),
        (URLENCODED, "x=1".to_owned()),
        (URLENCODED, "act=".to_owned()),
        (URLENCODED, "act=nonsense&from=topic".to_owned()),
        (URLENCODED, "%ff=%ff&&&=".to_owned()),
        (URLENCODED, "x=1&".repeat(20_000)),
        ("application/json", r#"{"act":"confirm"}"#.to_owned()),
        ("text/plain", "act=confirm".to_owned()),
        ("multipart/form-data; boundary=b", "--b\r\nbroken".to_owned()),
        ("multipart/form-data", "act=confirm".to_owned()),
    ];
    if !link.starts_with("/u/") {
        bodies.push((URLENCODED, "act=leave&from=everything".to_owned()));
    }
    // There it is a mail program's click, and does what it says.
    if !link.starts_with("/u/") && !link.starts_with("/waitlist/course/") {
        bodies.push((URLENCODED, "List-Unsubscribe=One-Click".to_owned()));
    }
    // A person's press says what she saw.
    bodies.push((URLENCODED, "act=confirm".to_owned()));
    if !link.starts_with("/confirm/") {
        bodies.push((URLENCODED, "act=refuse".to_owned()));
    }
    bodies
}

async fn serve(story: &Story) -> (SocketAddr, oneshot::Sender<()>) {
    let app = &story.app;
    let web = Web::new(app.db.clone(), app.keyring.clone(), &app.config, Arc::new(app.clock.clone())).expect("settings that are right");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("its address");
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(web::serve(listener, web, async { stopped.await.unwrap_or(()) }));
    (at, stop)
}

/// Asks, and gives the status of the answer.
async fn ask(at: SocketAddr, method: &str, path: &str, kind: &str, body: &str) -> u16 {
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let mut stream = TcpStream::connect(at).await.expect("the server");
    let head = format!("{method} {path} HTTP/1.0\r\nHost: tips.example.org\r\n{kind}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.expect("a question that is sent");
    // A body that is too large may be refused before it is read to its end.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer to {method} {path}: {answer}"))
}

/// Every table, the queue's too, with a hash of its rows.
async fn fingerprint(story: &Story) -> BTreeMap<String, String> {
    let tables = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1";
    let mut hashes = BTreeMap::new();
    for table in story.texts(tables).await {
        let hash = format!(
            "SELECT md5(coalesce(string_agg(whole_row::text, chr(10) ORDER BY whole_row::text), '')) FROM ONLY {table} AS whole_row"
        );
        hashes.insert(table, story.texts(&hash).await.concat());
    }
    hashes
}

fn changed<'a>(before: &'a BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<&'a str> {
    before.iter().filter(|(table, hash)| after.get(*table) != Some(*hash)).map(|(table, _)| table.as_str()).collect()
}
