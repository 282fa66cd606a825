//! What leaked into tips once: each rule with a small article of our own words.

use super::{Article, outcome};
use crate::content::Format;

fn made(text: &str) -> Article {
    outcome(text, Some(Format::Markdown)).expect("it has sections").2
}

fn page(body: &str) -> Article {
    let text = format!("<!DOCTYPE html><html><head><title>Knots</title></head><body><article><h1>Knots</h1>{body}</article></body></html>");
    outcome(&text, Some(Format::Html)).expect("it has sections").2
}

fn subjects(article: &Article) -> Vec<&str> {
    article.tips.iter().map(|tip| tip.subject.as_str()).collect()
}

fn reason<'a>(article: &'a Article, text: &str) -> &'a str {
    let found = article.left_out.iter().find(|left| left.text.contains(text));
    found.map_or("not left out", |left| left.reason.as_str())
}

/// A paragraph of so many words.
fn told(about: &str, words: usize) -> String {
    format!("The {about} needs care{}.", " and a little time".repeat(words / 4))
}

#[test]
fn who_wrote_when_on_a_page_that_goes_on_is_in_no_tip() {
    let body = format!(
        "<h2>The harbour opens again</h2><p>{}</p><p>11:05Ada Example</p><h2>The ferry is late today</h2><p>{}</p><p>10:40Ada Example</p>",
        told("harbour", 50),
        told("ferry", 50)
    );
    let article = page(&body);
    assert_eq!(subjects(&article), ["The harbour opens again", "The ferry is late today"]);
    assert_eq!(reason(&article, "11:05Ada"), "byline");
}

#[test]
fn the_line_above_a_comment_is_in_no_tip() {
    let text = format!(
        "# Rigging\n\n## New ropes\n\n{}\n\nComment by @somebody posted on 2025-07-17:\n\n{}\n",
        told("rope", 40),
        told("mast", 40)
    );
    assert_eq!(reason(&made(&text), "Comment by"), "byline");
}

#[test]
fn the_card_of_a_recipe_leaves_its_fields_and_buttons_behind() {
    let body = "<p>It warms.</p><h2>Lentil soup</h2><p>Prep time</p><p>10</p><p>minutes</p><p>Servings</p><p>4</p><h3>Ingredients 1x2x3x</h3>\
        <ul><li>two litres of water</li><li>one onion</li></ul><h3>Method</h3><ol><li>Boil the water with the onion for ten minutes.</li>\
        <li>Add lentils, and wait until they are soft.</li></ol><h3>Nutrition</h3><p>Calories: 120kcalFat: 3gSugar: 4gSalt: 30mg</p>";
    let article = page(body);
    assert_eq!(subjects(&article), ["Lentil soup"]);
    assert_eq!((reason(&article, "Prep time"), reason(&article, "Calories")), ("recipe card", "recipe card"));
    assert!(article.tips[0].markdown.starts_with("#### Ingredients\n"), "{}", article.tips[0].markdown);
}

#[test]
fn sections_that_send_away_praise_or_tell_versions_are_no_tips() {
    let shelf =
        "- [Ropes at sea](https://example.org/a): what they are made of\n- [Ropes ashore](https://example.org/b): how they are kept";
    let text = format!(
        "# Rope care\n\n## Washing a rope\n\n{}\n\n## Where to read more\n\n{shelf}\n\n## Testimonials\n\n> {}\n\n## Version history\n\n- First written in May\n",
        told("rope", 60),
        told("best school of ropes", 40)
    );
    let article = made(&text);
    assert_eq!(subjects(&article), ["Washing a rope"]);
    assert_eq!(reason(&article, "Ropes at sea"), "list of other pages");
    assert_eq!(reason(&article, "best school"), "praise of the publisher");
    assert_eq!(reason(&article, "First written"), "version history");
}

#[test]
fn the_teaser_of_another_article_is_in_no_tip() {
    let text = format!(
        "# Rope care\n\n## Washing a rope\n\n{}\n\n### Why anchors hold\n\nAnchors have held ships for long… Read more\n\n## Resources and references\n\n- A book of ropes\n",
        told("rope", 60)
    );
    let article = made(&text);
    assert_eq!(reason(&article, "Why anchors hold"), "pointer to another page");
    assert_eq!(reason(&article, "Anchors have held"), "pointer to another page");
    assert_eq!(reason(&article, "A book of ropes"), "reference, kept with the article");
}

#[test]
fn what_a_seller_adds_is_in_no_tip() {
    let text = format!(
        "# Rope care\n\n## Washing a rope\n\n{}\n\nDo you like it? If you want to buy one, go to a shop nearby.\n\nUse this promo code for our ropes.\n\nnow 9.90 €\n\n{}\n",
        told("rope", 60),
        told("knot", 20)
    );
    let article = made(&text);
    assert_eq!(reason(&article, "Do you like it"), "pointer to another page");
    assert_eq!((reason(&article, "promo code"), reason(&article, "9.90")), ("promotion", "promotion"));
    let offers = format!("# Ropes\n\n## Prices\n\n{}\n\nA promo code is a word that lowers a price.\n", told("price", 60));
    assert_eq!(reason(&made(&offers), "A promo code"), "not left out");
}

#[test]
fn a_tip_does_not_end_with_words_that_lead_to_what_is_not_in_it() {
    let text = format!(
        "# Rope care\n\n## Washing a rope\n\n{}\n\nThese are the ways:\n\n## Drying a rope\n\n{}\n",
        told("rope", 60),
        told("line", 60)
    );
    assert_eq!(reason(&made(&text), "These are the ways"), "lead-in to what was left out");
}

#[test]
fn questions_with_their_answers_beside_them_are_no_table_of_contents() {
    let text = format!(
        "# Rope care\n\n## Washing a rope\n\n{}\n\n## Questions\n\n- [May it get wet?](#q1) Yes, it may, but then it should dry slowly in the shade.\n\
        - [May it freeze?](#q2) No, for a frozen rope breaks where it is bent, and nobody sees it.\n",
        told("rope", 60)
    );
    assert_eq!(reason(&made(&text), "May it get wet"), "not left out");
}

#[test]
fn an_opening_that_takes_a_good_part_of_the_article_is_a_tip() {
    let article = |opening| {
        let below = [told("harbour", 200), told("ferry", 200)];
        made(&format!(
            "# The storm of May\n\n{}\n\n## The harbour\n\n{}\n\n## The ferry\n\n{}\n",
            told("coast", opening),
            below[0],
            below[1]
        ))
    };
    assert_eq!(subjects(&article(200))[0], "The storm of May");
    assert_eq!(article(100).tips.len(), 2);
}

#[test]
fn a_long_log_is_named_by_its_bold_lines() {
    let entry = |name: &str| {
        format!(
            "<div>\n<a href='https://example.org'><strong>{name}</strong></a>\n</div>\n\n{}\n\n{}\n\n",
            told(name, 160),
            told(name, 160)
        )
    };
    let text = format!("# Rigging notes\n\n## Work of the summer\n\n{}{}{}", entry("New ropes"), entry("Old anchors"), entry("Tall masts"));
    let article = made(&text);
    let names = subjects(&article).join("\n");
    assert!(names.contains("Old anchors") && names.contains("Tall masts") && !names.contains("of 3"), "{names}");
}

#[test]
fn a_heading_said_again_above_its_first_part_is_not_shown() {
    let text = format!(
        "# Rope care\n\n## How to wash a rope\n\n### How to wash a rope\n\n{}\n\n### Soap for a rope\n\n{}\n",
        told("rope", 60),
        told("soap", 60)
    );
    let article = made(&text);
    assert!(article.tips.iter().all(|tip| !tip.markdown.starts_with("#### How to wash a rope")), "{:?}", article.tips);
}

#[test]
fn a_subject_does_not_say_a_word_twice_and_joins_a_question_to_its_answer() {
    let parts = |above: &str, one: &str| {
        let text = format!(
            "# Caring for sails\n\n## {above}\n\n{}\n\n### {one}\n\n{}\n\n### Storing them dry\n\n{}\n",
            told("sail", 60),
            told("cloth", 60),
            told("loft", 60)
        );
        subjects(&made(&text)).into_iter().nth(1).map(str::to_owned).expect("it has parts")
    };
    assert_eq!(parts("Cost and access", "Cost considerations"), "Caring for sails: cost considerations");
    assert_eq!(parts("Does it hide costs?", "Insurance"), "Does it hide costs? Insurance");
    assert_eq!(parts("https://example.org/sails", "Insurance"), "Caring for sails: Insurance");
}

#[test]
fn function_words_of_other_languages_are_no_topic() {
    let text = format!(
        "# Les voiles dans le port\n\n## Matin\n\n{}\n\n## Soir\n\n{}\n",
        "Les gens et les voiles dans le port, et les bateaux. ".repeat(6),
        "Les gens et les cordes dans le port, et les quais. ".repeat(6)
    );
    assert!(subjects(&made(&text)).iter().all(|subject| !subject.starts_with("Les: ") && !subject.starts_with("Dans: ")));
}
