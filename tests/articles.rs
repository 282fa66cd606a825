//! Articles in every form, from the file to the tips: a page with its chrome, an export, a feed, and the command that reads them.

use tidings::content::{self, Format, Hints, Settings};

const PAGE: &[u8] = include_bytes!("fixtures/articles/stiff-neck.html");
const EXPORT: &[u8] = include_bytes!("fixtures/articles/export.wxr.xml");
const FEED: &[u8] = include_bytes!("fixtures/articles/letter.atom");

fn found(bytes: &[u8], name: &str) -> Vec<content::Found> {
    content::articles(bytes, None, &Hints { name: name.to_owned(), url: None }, &Settings::default()).expect("the input can be read")
}

#[test]
fn a_page_gives_its_tips_and_names_all_else_with_a_reason() {
    let article = found(PAGE, "page.txt").remove(0).article.expect("it is an article");
    let subjects: Vec<&str> = article.tips.iter().map(|tip| tip.subject.as_str()).collect();
    assert_eq!((article.format, article.title.as_str()), ("html", "Three ways to ease a stiff neck"));
    assert!(subjects.len() >= 2, "{subjects:?}");
    let all: String = article.tips.iter().map(|tip| tip.markdown.as_str()).collect();
    for chrome in [
        "cookies",
        "Home",
        "Get our letter",
        "Share this",
        "writes about",
        "Better sleep",
        "Thank you",
        "Privacy",
        "In this article",
        "rolled up",
        "¶",
    ] {
        assert!(!all.contains(chrome), "{chrome} in {all}");
        assert!(
            chrome == "¶" || article.left_out.iter().any(|left| left.text.contains(chrome) && !left.reason.is_empty()),
            "{chrome} is nowhere"
        );
    }
    assert!(all.contains("hold the neck.[1] A warm towel") && all.contains("Little and often"), "{all}");
    assert_eq!(article.tips[0].references.len(), 1);
    assert_eq!(article.tips[0].section_url.as_deref(), Some("https://example.org/neck/#warm"));
}

#[test]
fn an_export_gives_each_published_post_and_says_why_the_others_are_left_aside() {
    let found = found(EXPORT, "export.xml");
    let aside: Vec<Option<&str>> = found.iter().map(content::Found::set_aside).collect();
    assert!(
        aside[0].is_none()
            && aside[1].is_some_and(|why| why.contains("`draft`"))
            && aside[2].is_some_and(|why| why.contains("`attachment`"))
    );
    let first = found[0].article.as_ref().expect("it is an article");
    assert_eq!(
        (first.title.as_str(), first.author.as_deref(), first.url.as_deref()),
        ("Warm feet & sleep", Some("desk"), Some("https://example.org/warm-feet/"))
    );
    assert_eq!(first.date.map(|date| date.to_string()).as_deref(), Some("2024-05-04"));
    assert_eq!((first.format, first.tags.as_slice()), ("wordpress", &["Sleep".to_owned(), "feet".to_owned()][..]));
    assert_eq!(first.tips.iter().map(|tip| tip.heading_path[0].as_str()).collect::<Vec<_>>(), ["Why feet matter", "What to do"]);
    assert!(first.tips[0].markdown.contains("body cools down") && !first.tips[0].markdown.contains("gallery"));
    let reason = |part: &str| first.left_out.iter().find(|left| left.text.contains(part)).map(|left| left.reason.as_str());
    assert_eq!((reason("[gallery"), reason("Socks of wool")), (Some("shortcode"), Some("caption")));
    let blocks = found[3].article.as_ref().expect("it is an article");
    assert_eq!(blocks.tips.len(), 2);
}

#[test]
fn a_feed_gives_each_entry_with_its_text_and_refuses_a_summary() {
    let found = found(FEED, "feed");
    let walk = found[0].article.as_ref().expect("it is an article");
    assert_eq!((walk.title.as_str(), walk.url.as_deref(), walk.format), ("Walk after lunch", Some("https://example.org/walk"), "feed"));
    assert_eq!((walk.tips.len(), walk.tags.as_slice()), (2, &["walking".to_owned()][..]));
    let refused = found[1].article.as_ref().expect_err("it is a summary").to_string();
    assert!(refused.contains("`feed: Only a teaser` holds a summary only"), "{refused}");
}

#[test]
fn the_only_entry_of_a_feed_has_the_address_that_is_given_and_keeps_it() {
    let feed = String::from_utf8_lossy(FEED);
    let second = feed.rfind("<entry").expect("a second entry");
    let end = feed.rfind("</entry>").expect("its end") + "</entry>".len();
    let one = format!("{}{}", &feed[..second], &feed[end..]);
    let hints = Hints { name: "feed".to_owned(), url: Some("https://example.org/given".to_owned()) };
    let found = content::articles(one.as_bytes(), None, &hints, &Settings::default()).expect("the input can be read").remove(0);
    assert_eq!(found.article.expect("it is an article").url.as_deref(), Some("https://example.org/given"));
    let again = content::prepare(&found.source, Some(Format::Html), &Hints::default(), &Settings::default()).expect("it can be read again");
    assert_eq!(again.url.as_deref(), Some("https://example.org/given"));
}

#[test]
fn what_a_revision_keeps_of_one_of_many_articles_can_be_read_again() {
    for one in found(EXPORT, "export.xml").into_iter().chain(found(FEED, "feed")) {
        let Ok(article) = one.article else { continue };
        let again =
            content::prepare(&one.source, Some(Format::Html), &Hints::default(), &Settings::default()).expect("it can be read again");
        assert_eq!((again.tips, again.title, again.date, again.url), (article.tips, article.title, article.date, article.url));
    }
}

#[test]
fn posts_without_text_are_told_in_one_line_and_named_in_full_for_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    let item = |n: usize| {
        let link = format!("https://news.example.org/{n}");
        format!(
            "<item><title>Picture {n}</title><link>{link}</link><guid>{link}</guid><wp:post_type>post</wp:post_type><wp:status>publish</wp:status>\
             <content:encoded><![CDATA[<img src='{link}.jpg' alt=''>]]></content:encoded></item>"
        )
    };
    let items: String = (1..=12).map(item).collect();
    let export = format!(
        "<?xml version='1.0'?><rss version='2.0' xmlns:content='http://purl.org/rss/1.0/modules/content/' xmlns:wp='http://wordpress.org/export/1.2/'>\
         <channel><title>News</title><wp:wxr_version>1.2</wp:wxr_version>{items}</channel></rss>"
    );
    std::fs::write(folder.path().join("export.xml"), export).expect("an export");
    let page = format!("# Tea\n\n## Warm the pot first\n\n{}\n", "A warm pot keeps the tea hot for longer. ".repeat(16));
    std::fs::write(folder.path().join("one.mdx"), page).expect("a page");
    let run = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_tidings"));
        let command = command.env_remove("DATABASE_URL").args(["import", "article", "--dry-run"]);
        command.args(arguments).arg(folder.path()).output().expect("it runs")
    };
    let output = run(&[]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(errors.matches("have no sections").count(), 1, "{errors}");
    assert!(errors.contains("12 articles have no sections") && errors.contains("9 others. `--json` names all of them"), "{errors}");
    assert!(errors.contains("12 of 13 articles could not be imported; 1 was read"), "{errors}");
    assert_eq!(errors.lines().count(), 2, "{errors}");
    let json: serde_json::Value = serde_json::from_slice(&run(&["--json"]).stdout).expect("it prints JSON");
    let refused = json["refused"].as_array().expect("a list");
    assert!(refused.len() == 12 && refused.iter().all(|one| one["reason"].as_str().is_some_and(|why| !why.is_empty())), "{json}");
    assert!(json.to_string().contains("Picture 12"));
    assert_eq!(json["articles"][0]["title"], "Tea");
}

#[test]
fn the_command_reads_a_folder_of_all_forms_and_names_what_it_could_not() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/articles");
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["import", "article", folder, "--dry-run", "--json"])
        .env_remove("DATABASE_URL")
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert_eq!(json["articles"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["set_aside"].as_array().map(Vec::len), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("holds a summary only") && errors.contains("1 of 5 articles could not be imported; 4 were read"), "{errors}");
}
