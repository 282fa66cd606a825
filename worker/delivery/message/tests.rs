use super::*;
use mail_parser::{HeaderValue, MessageParser, MimeHeaders};
use proptest::prelude::*;

const HEADERS: [&str; 11] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Content-Language",
    "MIME-Version",
    "Content-Type",
];

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn sender() -> Mailbox {
    Mailbox::parse("The Publisher <tips@news.example.org>").unwrap()
}

fn parts<'a>(from: &'a Mailbox, to: &'a EmailAddress) -> Parts<'a> {
    Parts {
        message_id: "<202602.17.3f9a1c@news.example.org>",
        date: "2026-02-03T09:00:00Z".parse().unwrap(),
        from,
        to,
        to_name: Some("Ana"),
        subject: "Warm water eases a stiff back",
        text: "A tip.\n\nhttps://news.example.org/u/token\n",
        html: "<p>A tip.</p>\n",
        list: Some(ListHeaders { id: Some("7f3a91.news.example.org"), unsubscribe: "https://news.example.org/u/token" }),
        auto_submitted: false,
        language: Some("en-GB"),
    }
}

fn header_names(mail: &[u8]) -> Vec<String> {
    let head = std::str::from_utf8(mail).unwrap().split("\r\n\r\n").next().unwrap();
    head.split("\r\n").filter(|l| !l.starts_with([' ', '\t'])).map(|l| l.split(':').next().unwrap().to_owned()).collect()
}

fn assert_wire_safe(mail: &[u8]) {
    let text = std::str::from_utf8(mail).unwrap();
    assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']), "a bare CR or LF");
    assert!(text.split("\r\n").all(|line| line.len() <= MAX_LINE), "a line is too long");
    assert!(!mail.contains(&0));
}

#[test]
fn a_mail_is_made_as_the_standards_say() {
    let (from, to) = (sender(), address("ana@example.com"));
    let mail = String::from_utf8(build(&parts(&from, &to)).unwrap()).unwrap();
    assert_wire_safe(mail.as_bytes());
    insta::assert_snapshot!(mail.replace("\r\n", "\n"), @r#"
    From: "The Publisher" <tips@news.example.org>
    To: "Ana" <ana@example.com>
    Subject: Warm water eases a stiff back
    Date: Tue, 3 Feb 2026 09:00:00 +0000
    Message-ID: <202602.17.3f9a1c@news.example.org>
    List-Id: <7f3a91.news.example.org>
    List-Unsubscribe: <https://news.example.org/u/token>
    List-Unsubscribe-Post: List-Unsubscribe=One-Click
    Content-Language: en-GB
    MIME-Version: 1.0
    Content-Type: multipart/alternative;
     boundary="=_88ccdc4e5fe066da0fd56cfc"

    --=_88ccdc4e5fe066da0fd56cfc
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: quoted-printable

    A tip.

    https://news.example.org/u/token

    --=_88ccdc4e5fe066da0fd56cfc
    Content-Type: text/html; charset=utf-8
    Content-Transfer-Encoding: quoted-printable

    <p>A tip.</p>

    --=_88ccdc4e5fe066da0fd56cfc--
    "#);
}

#[test]
fn a_transactional_mail_has_no_list_headers() {
    let (from, to) = (sender(), address("ana@example.com"));
    let mail = build(&Parts { list: None, language: None, to_name: None, ..parts(&from, &to) }).unwrap();
    assert_eq!(header_names(&mail), ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]);
    assert!(String::from_utf8(mail).unwrap().contains("\r\nTo: <ana@example.com>\r\n"));
}

#[test]
fn foreign_domains_become_a_labels_and_foreign_local_parts_need_smtputf8() {
    let (from, to) = (Mailbox::parse("tips@bücher.example").unwrap(), address("ana@bücher.example"));
    let mail = build(&parts(&from, &to)).unwrap();
    assert!(mail.is_ascii() && !needs_smtputf8(&to));
    assert!(String::from_utf8(mail).unwrap().contains("<ana@xn--bcher-kva.example>"));
    let to = address("jörg@bücher.example");
    assert!(needs_smtputf8(&to));
    assert!(String::from_utf8(build(&parts(&from, &to)).unwrap()).unwrap().contains("<jörg@xn--bcher-kva.example>"));
}

#[test]
fn a_sender_is_read_in_its_usual_forms() {
    for (text, name) in [
        ("tips@example.org", None),
        ("<tips@example.org>", None),
        ("Tips <tips@example.org>", Some("Tips")),
        ("\"Tips, weekly\" <tips@example.org>", Some("Tips, weekly")),
        (" Ärzteblatt <tips@example.org> ", Some("Ärzteblatt")),
    ] {
        let read = Mailbox::parse(text).unwrap();
        assert_eq!((read.name.as_deref(), read.address.as_given()), (name, "tips@example.org"));
    }
    assert!(Mailbox::parse("Tips <tips>").is_err() && Mailbox::parse("").is_err());
}

#[test]
fn what_cannot_stand_in_a_header_is_refused() {
    let (from, to) = (sender(), address("ana@example.com"));
    let good = parts(&from, &to);
    let list = |id, unsubscribe| Some(ListHeaders { id: Some(id), unsubscribe });
    for id in ["", "<a>", "a@b", "<a@b", "<a@b>\r\nBcc: <x@example.org>", "<a@b> <c@d>", "<a b@c>", "<@b>", "<a@>"] {
        assert!(matches!(build(&Parts { message_id: id, ..good.clone() }), Err(MessageError::MessageId(_))), "{id}");
    }
    for id in ["", "one", "a..b", "a.b\r\nX: y", "a b.c", "<a.b>", "ä.b"] {
        let parts = Parts { list: list(id, "https://example.org/u/t"), ..good.clone() };
        assert!(matches!(build(&parts), Err(MessageError::ListId(_))), "{id}");
    }
    let long = format!("https://example.org/{}", "a".repeat(1000));
    for link in [
        "",
        "http://example.org/u/t",
        "http://127.0.0.1.example.org/",
        "mailto:a@b.example",
        "https://x/ y",
        "https://x/>,<https://y",
        "https://x\r\nX: y",
        &long,
    ] {
        assert_eq!(build(&Parts { list: list("a.b", link), ..good.clone() }), Err(MessageError::Unsubscribe), "{link}");
    }
    assert!(build(&Parts { list: list("a.b", "http://127.0.0.1:8080/u/t"), ..good.clone() }).is_ok());
    assert!(matches!(build(&Parts { language: Some("en\r\nX: y"), ..good.clone() }), Err(MessageError::Language(_))));
    assert_eq!(build(&Parts { text: " \n", ..good.clone() }), Err(MessageError::NoText));
}

// What a header value shows after it was cleaned.
fn shown(value: &str) -> String {
    value.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

// Lines as a reader sees them: no control characters, no distinction between kinds of line breaks.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<String>(),
        2 => "[ -~]{0,300}",
        1 => Just("x\r\nBcc: <victim@example.org>\r\n\r\nbody".to_owned()),
        1 => Just("=?utf-8?Q?=0D=0ABcc:_x?= and =?us-ascii?B?eA==?=".to_owned()),
        1 => "[a-zA-ZäöüßéÀ-ž ,;:<>\"()@.\\\\=?_-]{0,200}",
        1 => "[\u{0590}-\u{06ff}\u{4e00}-\u{4fff}\u{1f300}-\u{1f5ff}\u{200d}\u{2028}\u{2029} ]{0,120}",
        1 => "[\\x00-\\x20]{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_name_and_no_subject_adds_a_header_and_both_come_back(name in hostile(), to_name in hostile(), subject in hostile()) {
        let (from, to) = (Mailbox { name: Some(name.clone()), ..sender() }, address("ana@example.com"));
        let mail = build(&Parts { to_name: Some(&to_name), subject: &subject, ..parts(&from, &to) }).unwrap();
        assert_wire_safe(&mail);
        prop_assert!(mail.is_ascii());
        prop_assert_eq!(header_names(&mail), HEADERS);
        let read = MessageParser::new().parse(&mail).unwrap();
        prop_assert_eq!(read.headers().len(), HEADERS.len());
        prop_assert_eq!(read.subject().unwrap_or_default(), shown(&subject));
        for (header, name, address) in [("From", &name, "tips@news.example.org"), ("To", &to_name, "ana@example.com")] {
            let Some(HeaderValue::Address(list)) = read.header(header) else { panic!("{header} is no address") };
            let all: Vec<_> = list.iter().collect();
            prop_assert_eq!(all.len(), 1);
            prop_assert_eq!(all[0].address().unwrap(), address);
            prop_assert_eq!(all[0].name().unwrap_or_default(), shown(name));
        }
    }

    #[test]
    fn bodies_come_back_as_they_were_and_stay_apart(text in hostile(), html in hostile(), repeat in 1usize..40) {
        let (from, to) = (sender(), address("ana@example.com"));
        let text = format!("x{}", text.repeat(repeat));
        let mail = build(&Parts { text: &text, html: &html, ..parts(&from, &to) }).unwrap();
        assert_wire_safe(&mail);
        prop_assert!(mail.is_ascii());
        let read = MessageParser::new().parse(&mail).unwrap();
        prop_assert_eq!(read.parts.len(), 3);
        for (part, kind, content) in [(1, "plain", &text), (2, "html", &html)] {
            let part = &read.parts[part];
            prop_assert_eq!(part.content_type().unwrap().subtype(), Some(kind));
            prop_assert_eq!(part.content_type().unwrap().attribute("charset"), Some("utf-8"));
            prop_assert!(matches!(part.content_transfer_encoding(), Some("quoted-printable" | "base64")));
            let (got, given) = (lines(part.text_contents().unwrap()), lines(content));
            prop_assert_eq!(got.trim_end_matches('\n'), given.trim_end_matches('\n'));
        }
    }

    #[test]
    fn the_same_parts_give_the_same_bytes(subject in hostile(), text in "[a-z \n]{1,200}x") {
        let (from, to) = (sender(), address("ana@example.com"));
        let parts = Parts { subject: &subject, text: &text, ..parts(&from, &to) };
        prop_assert_eq!(build(&parts).unwrap(), build(&parts).unwrap());
    }
}
