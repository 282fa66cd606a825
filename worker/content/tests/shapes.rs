//! Shapes of real articles, in words of our own: recipes, lists of questions, pages of site generators, and what a page
//! carries besides its article.

use super::{Article, outcome};
use crate::content::Format;
use crate::content::words;
use proptest::prelude::*;

fn made(text: &str) -> Article {
    outcome(text, Some(Format::Markdown)).expect("it has sections").2
}

fn subjects(article: &Article) -> Vec<&str> {
    article.tips.iter().map(|tip| tip.subject.as_str()).collect()
}

fn reason<'a>(article: &'a Article, text: &str) -> &'a str {
    let found = article.left_out.iter().find(|left| left.text.contains(text));
    found.map_or("not left out", |left| left.reason.as_str())
}

/// A sentence of so many words.
fn told(about: &str, words: usize) -> String {
    format!("The {about} needs care{}.", " and a little time".repeat(words / 4))
}

#[test]
fn what_a_dish_takes_and_how_it_is_made_are_one_tip_with_its_name() {
    let text = "# Lentil soup\n\nIt warms and fills.\n\n## Ingredients\n\n### For the broth\n\n- two litres of water\n- one onion\n\n### For the top\n\n- parsley\n- oil\n\n\
        ## Method\n\n1. Boil the water with the onion for ten minutes.\n2. Add lentils, and wait until they are soft.\n\n## Notes\n\n- It keeps for three days in a cold place.\n";
    let article = made(text);
    assert_eq!(subjects(&article), ["Lentil soup"]);
    let body = &article.tips[0].markdown;
    assert!(body.contains("#### Ingredients: For the broth") && body.contains("#### Method") && body.contains("#### Notes"), "{body}");
}

#[test]
fn two_dishes_of_one_page_are_two_tips() {
    let dish = |name: &str| {
        format!(
            "## {name}\n\n### Ingredients\n\n- flour\n- water\n\n### Directions\n\n1. Mix both and let the dough rest.\n2. Bake it until it is brown.\n\n"
        )
    };
    let article = made(&format!("# Bread at home\n\n{}{}", dish("Flat bread"), dish("Corn rolls")));
    assert_eq!(subjects(&article), ["Flat bread", "Corn rolls"]);
}

#[test]
fn a_short_list_of_questions_is_one_tip_and_long_answers_stand_alone() {
    let asked = |words| {
        let answers: String = ["cast", "brace", "sling"]
            .iter()
            .map(|thing| format!("**How long do I wear a {thing}?**\n\n{}\n\n", told(thing, words)))
            .collect();
        made(&format!("# A broken wrist\n\n## Healing\n\n{}\n\n## FAQ\n\n{answers}", told("wrist", 60)))
    };
    let short = asked(20);
    assert_eq!(short.tips.len(), 2, "{:?}", subjects(&short));
    assert!(short.tips[1].markdown.contains("How long do I wear a sling?"));
    assert_eq!(subjects(&asked(120))[1..], ["How long do I wear a cast?", "How long do I wear a brace?", "How long do I wear a sling?"]);
}

#[test]
fn marks_of_a_site_generator_never_stand_in_a_tip() {
    let text = format!(
        "---\ntitle: Watering: how much\n---\n\n## Summer\n\n{{% include picture.html file=\"a.png\" %}}\n\n{} See {{% include link.html text=\"our table\" %}}.\n\n{{: .note}}\n\n\
        ## Winter\n\n{{{{< figure src=\"b.png\" >}}}}\n\n{}\n\n:::tip[Watch the leaves]\n{}\n:::\n\n<Answer question=\"Is rain enough?\">\n{}\n</Answer>\n",
        told("plant", 40),
        told("root", 40),
        told("leaf", 20),
        told("rain", 20),
    );
    let article = made(&text);
    assert_eq!(article.title, "Watering: how much");
    let bodies: String = article.tips.iter().map(|tip| tip.markdown.as_str()).collect();
    assert!(!bodies.contains(['{', '}', '<']) && !bodies.contains(":::"), "{bodies}");
    assert!(
        bodies.contains("See our table.") && bodies.contains("**Watch the leaves**") && bodies.contains("**Is rain enough?**"),
        "{bodies}"
    );
    assert_eq!(reason(&article, "picture.html"), "mark of the site's generator");
    assert_eq!(reason(&article, "figure"), "mark of the site's generator");
}

#[test]
fn a_subject_borrows_the_words_that_its_heading_lacks() {
    let text = format!(
        "# Keeping bees\n\n## Hives in spring\n\n{}\n\n### Common mistakes\n\n{}\n\n## Wax\n\n{}\n\n## What should you do now?\n\n{}\n",
        told("hive", 250),
        told("frame", 230),
        told("wax", 50),
        told("bee", 50),
    );
    let article = made(&text);
    assert_eq!(subjects(&article)[0], "Hives in spring");
    assert!(subjects(&article).contains(&"Keeping bees: Wax"), "{:?}", subjects(&article));
    assert!(subjects(&article).contains(&"Keeping bees: what should you do now?"), "{:?}", subjects(&article));
    assert!(!subjects(&article).contains(&"Common mistakes"));
}

#[test]
fn two_short_sections_in_one_tip_are_both_named() {
    let text = format!(
        "# Dry skin\n\n## Washing hands\n\nUse soap.\n\n## Drying hands\n\n{}\n\n## Creams at night\n\n{}\n\n## Gloves at work\n\n{}\n\n## Air in winter\n\n{}\n",
        told("towel", 40),
        told("skin", 80),
        told("glove", 80),
        told("air", 80),
    );
    let article = made(&text);
    assert_eq!(subjects(&article)[0], "Washing hands and drying hands");
    assert!(article.tips[0].markdown.starts_with("#### Washing hands\n\nUse soap.\n\n#### Drying hands"));
}

#[test]
fn no_tip_ends_with_a_lead_in_or_begins_in_mid_thought() {
    let long = |about: &str| told(about, 260);
    let text = format!(
        "# Sleep at sea\n\n## Bunks\n\n{}\n\nThere are two kinds:\n\n### Fixed bunks\n\n{}\n\n### Hanging bunks\n\n{}\n\n## Watches\n\n{}\n\nHowever, {}\n\n{}\n",
        long("bunk"),
        long("board"),
        long("rope"),
        long("watch"),
        told("crew", 60),
        long("night"),
    );
    let article = made(&text);
    assert!(article.tips.iter().all(|tip| !tip.markdown.ends_with(':')));
    assert_eq!(reason(&article, "There are two kinds:"), "lead-in to the sections below it");
    assert!(article.tips.iter().all(|tip| !tip.markdown.starts_with("However")), "{:?}", subjects(&article));
}

#[test]
fn what_the_page_carries_is_left_out_with_a_reason() {
    let text = format!(
        "# Cold baths\n\n## Starting slowly\n\n{}\n\nCheck out our guide to warm baths!\n\nTell us how it went in the comments below.\n\n## Staying safe\n\n{}\n\n*Originally published on the site of a friend.*\n\n## Contact us\n\nWrite to the desk.\n",
        told("bath", 60),
        told("heart", 60),
    );
    let article = made(&text);
    assert_eq!(article.tips.len(), 2);
    assert_eq!(reason(&article, "warm baths"), "pointer to another page");
    assert_eq!(reason(&article, "in the comments below"), "call for comments");
    assert_eq!(reason(&article, "Originally published"), "publisher's notice");
    assert_eq!(reason(&article, "Write to the desk."), "contact details");
}

#[test]
fn a_summary_inside_of_a_section_is_part_of_it_and_a_long_opening_is_no_introduction() {
    let text = format!("{}\n\n{}\n\n## A last word on oars\n\n{}\n", told("boat", 120), told("oar", 120), told("blade", 60));
    let article = made(&format!("---\ntitle: Rowing far\n---\n\n{text}"));
    assert_eq!(subjects(&article)[0], "Rowing far");
    let nested = format!(
        "# Tools\n\n## Saws\n\n{}\n\n### Summary\n\n{}\n\n## Planes\n\n{}\n",
        told("saw", 60),
        told("tooth", 30),
        told("plane", 60)
    );
    assert!(made(&nested).tips[0].markdown.contains("#### Summary"));
}

#[test]
fn front_matter_that_people_wrote_by_hand_is_read() {
    let section = told("knot", 60);
    let article =
        made(&format!("---\ntitle: Knots: three that hold\nauthor: \"Example Desk,\nExample Harbour\"\n---\n\n## Bowline\n\n{section}\n"));
    assert_eq!((article.title.as_str(), article.author.as_deref()), ("Knots: three that hold", Some("Example Desk, Example Harbour")));
}

/// An article of sections on three levels, each with a few sentences or none.
fn sections() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "Heat",
        "Rest",
        "Notes",
        "Ingredients",
        "Method",
        "FAQ",
        "Why?",
        "Summary",
        "Overview",
        "Cold packs",
        "Tips",
        "Step 2",
    ]);
    let section = (2..5_usize, names, 0..60_usize, 0..1000_u32).prop_map(|(level, name, words, number)| {
        let text = if words < 10 { String::new() } else { told(&format!("thing number {number}"), words) };
        format!("{} {name} {number}\n\n{text}\n\n", "#".repeat(level))
    });
    prop::collection::vec(section, 1..14).prop_map(|sections| format!("# Title of it all\n\n{}", sections.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_heading_is_lost_and_nothing_is_left_out_without_a_reason(text in sections()) {
        let Some((document, segmented, article)) = outcome(&text, Some(Format::Markdown)) else { return Ok(()) };
        prop_assert!(article.left_out.iter().all(|left| !left.reason.is_empty()));
        prop_assert_eq!(outcome(&text, Some(Format::Markdown)).map(|(_, _, again)| again), Some(article.clone()));
        for (segment, tip) in segmented.segments.iter().zip(&article.tips) {
            for heading in segment.blocks.iter().map(|index| &document.blocks[*index]).filter(|block| block.level().is_some()) {
                let key = words::key(&heading.text);
                let shown = tip.markdown.lines().any(|line| line.starts_with("####") && words::key(line).contains(&key));
                prop_assert!(shown || tip.heading_path.contains(&heading.text), "`{}` is lost in {:?}:\n{}", heading.text, tip.heading_path, tip.markdown);
            }
        }
    }
}

#[test]
fn a_sign_up_box_under_a_heading_of_its_own_is_no_tip() {
    let boxed = "## Sign up for the Example Weekly health newsletter\n\nNever miss the latest news by signing up to our newsletter today!\n\nYou can unsubscribe at any time.";
    let text = format!("# A stiff neck\n\n## Heat\n\n{}\n\n{boxed}\n\n## Rest\n\n{}\n", told("neck", 60), told("back", 60));
    let article = made(&text);
    assert_eq!(subjects(&article), ["A stiff neck: Heat", "A stiff neck: Rest"]);
    assert_eq!(reason(&article, "Never miss"), "sign-up box");
    assert_eq!(reason(&article, "Example Weekly"), "sign-up box");
}

#[test]
fn an_article_that_goes_on_under_a_sign_up_box_is_kept() {
    let text = format!(
        "# A stiff neck\n\n## Heat\n\n{}\n\n## Sign up for our newsletter\n\nNever miss our latest news!\n\n{}\n\n## A class\n\n{}\n",
        told("neck", 60),
        told("back", 160),
        told("class", 60),
    );
    let article = made(&text);
    assert!(article.tips.iter().any(|tip| tip.markdown.contains("The back needs care")), "{:?}", article.left_out);
    assert!(subjects(&article).iter().all(|subject| !subject.contains("newsletter")), "{:?}", subjects(&article));
    assert_eq!(reason(&article, "Never miss"), "sign-up box");
}

#[test]
fn a_tip_that_only_speaks_like_a_sign_up_box_is_one() {
    let text = format!(
        "# Moving\n\n## Sign up for a class at the pool\n\nNever miss a dose. {}\n\n## Join a walk\n\n{}\n",
        told("pool", 60),
        told("walk", 60)
    );
    assert_eq!(subjects(&made(&text)), ["Sign up for a class at the pool", "Join a walk"]);
}

#[test]
fn a_button_that_unfolds_the_references_is_no_text() {
    let text = format!(
        "# A stiff neck\n\n## Heat\n\n{}\n\nReferences[+]\n\nShow all References [ + ]\n\n## Rest\n\n{} See the References[+] there.\n",
        told("neck", 60),
        told("back", 60)
    );
    let article = made(&text);
    let buttons = article.left_out.iter().filter(|left| left.reason == "references button").count();
    assert_eq!((buttons, article.tips.len()), (2, 2), "{:?}", article.left_out);
    assert!(article.tips[1].markdown.contains("References"));
}
