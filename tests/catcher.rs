//! The mail catcher, over real sockets: what SMTP brings is in the inbox, on disk, and harmless to look at.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidings::base::clock::{Clock, ManualClock};
use tidings::demo::catcher::{Catcher, Ports, Query};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

const MAILS: usize = 3000;
const CONNECTIONS: usize = 10;

async fn start(folder: &std::path::Path) -> Catcher {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new("2026-01-20T09:00:00Z".parse::<Timestamp>().expect("an instant")));
    Catcher::start(folder, Ports::default(), clock).await.expect("a catcher")
}

/// A mail of the size and shape of a weekly tip.
fn mail(number: usize, subject: &str) -> String {
    let filler = "A line of a tip that is about as long as such lines are.\r\n".repeat(60);
    format!(
        "From: Example Press <tips@example.org>\r\nTo: person{number}@example.com\r\nSubject: {subject}\r\nMessage-ID: <{number}@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         Tip {number}, see https://example.org/{number}.\r\n{filler}\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
         <html><head><title>x</title></head><body><script>document.title='run'</script><p>Tip {number}</p><img src=\"https://tracker.example.net/a.gif\" alt=\"\"></body></html>\r\n\
         <!-- {filler} -->\r\n--b--\r\n.\r\n"
    )
}

/// One connection that sends the numbered mails one after the other, each command and each body in one write.
async fn send(catcher: &Catcher, numbers: std::ops::Range<usize>, subject: &str) {
    let stream = TcpStream::connect(catcher.smtp).await.expect("a connection");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut stream = BufReader::new(stream);
    expect(&mut stream, "220").await;
    stream.write_all(b"EHLO tests\r\n").await.expect("written");
    expect(&mut stream, "250").await;
    for number in numbers {
        let envelope = format!("MAIL FROM:<bounces@example.org>\r\nRCPT TO:<person{number}@example.com>\r\nDATA\r\n");
        stream.write_all(envelope.as_bytes()).await.expect("written");
        for code in ["250", "250", "354"] {
            expect(&mut stream, code).await;
        }
        stream.write_all(mail(number, subject).as_bytes()).await.expect("written");
        expect(&mut stream, "250").await;
    }
    stream.write_all(b"QUIT\r\n").await.expect("written");
    expect(&mut stream, "221").await;
}

async fn expect(stream: &mut BufReader<TcpStream>, code: &str) {
    let mut line = String::new();
    while !line.starts_with(&format!("{code} ")) {
        line.clear();
        stream.read_line(&mut line).await.expect("an answer");
        assert!(line.starts_with(code), "{code} was expected: {line}");
    }
}

/// Status line, headers and body of a page, as one text.
async fn page(catcher: &Catcher, path: &str) -> String {
    let mut stream = TcpStream::connect(catcher.inbox).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: inbox\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("a page");
    text
}

#[tokio::test]
async fn thousands_of_mails_are_taken_each_second_and_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let catcher = start(folder.path()).await;
    let began = Instant::now();
    let each = MAILS / CONNECTIONS;
    let sending = (0..CONNECTIONS).map(|n| send(&catcher, n * each..(n + 1) * each, "Warm water"));
    futures_util::future::join_all(sending).await;
    let took = began.elapsed();
    eprintln!("{MAILS} mails in {took:?}: {:.0} a second", MAILS as f64 / took.as_secs_f64());
    // 3,000 a second on an idle machine; this is the bound on one that builds something meanwhile.
    assert!(took < Duration::from_secs(10), "{took:?}");

    assert_eq!(catcher.mailbox.len(), MAILS);
    let one = catcher.mailbox.search(&Query { to: "PERSON2999@".into(), ..Query::default() });
    assert_eq!((one.len(), one[0].subject.as_str(), one[0].from.as_str()), (1, "Warm water", "bounces@example.org"));
    let began = Instant::now();
    let list = page(&catcher, "/?subject=warm&page=60").await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(list.contains("2951 to 3000 of 3000 mails found"), "{list}");
    assert!(page(&catcher, "/api/mails?to=person7@&per_page=5").await.contains(r#""total":1"#));
}

#[tokio::test]
async fn a_later_run_shows_the_mails_of_an_earlier_one_and_those_that_lack_in_the_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let catcher = start(folder.path()).await;
    send(&catcher, 1..4, "Kept").await;
    let original = catcher.mailbox.raw(2).expect("the second mail");
    drop(catcher);
    let index = folder.path().join("index.jsonl");
    let text = std::fs::read_to_string(&index).expect("the index");
    // As after a crash between two writes: the last line is half a line.
    std::fs::write(&index, &text[..text.trim_end().rfind('\n').expect("several lines") + 20]).expect("written");

    let catcher = start(folder.path()).await;
    assert_eq!(catcher.mailbox.len(), 3);
    assert_eq!(catcher.mailbox.raw(2).expect("the second mail"), original);
    let third = catcher.mailbox.search(&Query { to: "person3@example.com".into(), ..Query::default() });
    assert_eq!(third[0].message_id, "<3@example.org>");
    send(&catcher, 4..5, "New").await;
    assert_eq!(catcher.mailbox.search(&Query::default())[0].id, 4);
}

#[tokio::test]
async fn a_mail_is_shown_in_a_frame_that_runs_and_loads_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let catcher = start(folder.path()).await;
    send(&catcher, 1..2, "<script>alert(1)</script>").await;

    let list = page(&catcher, "/").await;
    assert!(list.contains("&#60;script&#62;alert(1)") && !list.contains("<script"), "{list}");
    let html = page(&catcher, "/mails/1").await;
    assert!(html.contains(r#"sandbox="allow-popups allow-popups-to-escape-sandbox""#) && !html.contains("<script"));
    let frame = page(&catcher, "/mails/1/html").await;
    assert!(frame.contains("content-security-policy: sandbox allow-popups") && frame.contains("default-src 'none'"));
    assert!(frame.contains(r#"<head><base target="_blank"><title>"#), "{frame}");
    let text = page(&catcher, "/mails/1?view=text").await;
    assert!(text.contains(r#"<a href="https://example.org/1" target="_blank""#), "{text}");
    let raw = page(&catcher, "/mails/1/raw").await;
    assert!(raw.contains("content-disposition: attachment; filename=\"mail-1.eml\"") && raw.contains("Message-ID: <1@example.org>"));
    assert!(page(&catcher, "/mails/1?view=source").await.contains("<dt>Message-ID</dt>"));
    for absent in ["/mails/2", "/mails/2/html", "/api/mails/2", "/nothing", "/mails/2/raw"] {
        assert!(page(&catcher, absent).await.starts_with("HTTP/1.1 404"), "{absent}");
    }
}
