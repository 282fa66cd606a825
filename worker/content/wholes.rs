//! Wholes: sections that only make sense together, whatever their length: the parts of a recipe, a short list of questions.
//!
//! Owns the vocabulary of recipes and of lists of questions. Called by `sections`, before short sections are joined.

use super::document::Document;
use super::headings;
use super::sections::Part;
use super::segment::Settings;
use super::words;

/// Joins the parts of each dish, and the questions of each list that is short enough for one tip.
pub(super) fn join(document: &Document, parts: Vec<Part>, settings: &Settings) -> Vec<Part> {
    let mut wholes = Vec::new();
    let mut at = 0;
    while at < parts.len() {
        let whole = recipe(document, &parts, at, settings).or_else(|| questions(document, &parts, at, settings));
        at = whole.as_ref().map_or(at + 1, |whole| whole.end);
        wholes.push((whole, at));
    }
    let mut rest = parts.into_iter();
    let mut from = 0;
    let joined = wholes.into_iter().filter_map(|(whole, end)| {
        let taken = rest.by_ref().take(end - from);
        from = end;
        gather(taken, whole)
    });
    joined.collect()
}

/// Makes one part of those that are taken, called by what the whole is.
fn gather(mut taken: impl Iterator<Item = Part>, whole: Option<Whole>) -> Option<Part> {
    let mut first = taken.next()?;
    if let Some(whole) = whole {
        first.main = whole.path.last().copied();
        first.path = whole.path;
        first.whole = true;
    }
    for part in taken {
        first.words += part.words;
        first.pieces.extend(part.pieces);
        first.owned.extend(part.owned);
    }
    Some(first)
}

/// Where a whole ends, and the headings that say what it is.
struct Whole {
    end: usize,
    path: Vec<usize>,
}

/// More sections than this are no recipe.
const MOST_SECTIONS: usize = 40;

/// From the first part of a recipe to its last: what it takes, how it is done, and what is said about both. A dish's own heading
/// may have a few words under it.
fn recipe(document: &Document, run: &[Part], at: usize, settings: &Settings) -> Option<Whole> {
    let first = &run[at];
    let leads = run.get(at + 1).is_some_and(|next| next.path.len() > first.path.len() && next.path.starts_with(&first.path));
    if leads
        && first.words <= settings.most_words / 2
        && let Some(end) = end_of_recipe(document, run, at + 1, first.path.len(), settings)
    {
        return Some(Whole { end, path: first.path.clone() });
    }
    let depths = 0..first.path.len();
    depths
        .rev()
        .find_map(|depth| Some(Whole { end: end_of_recipe(document, run, at, depth, settings)?, path: first.path[..depth].to_vec() }))
}

/// Where the recipe ends that begins with a part; its headings stand at this depth.
fn end_of_recipe(document: &Document, run: &[Part], at: usize, depth: usize, settings: &Settings) -> Option<usize> {
    let place = &run[at].path[..depth];
    let (mut end, mut last, mut words) = (at, None, 0);
    let (mut taken, mut done) = (false, false);
    for part in run[at..].iter().take(MOST_SECTIONS) {
        let Some(heading) = part.path.get(depth).copied().filter(|_| part.path.starts_with(place)) else { break };
        if last != Some(heading) {
            let key = words::key(headings::bare(&document.blocks[heading].text));
            let (takes, does) = (takes(&key), does(&key));
            // A second list of ingredients after the method is the next dish.
            if !(takes || does || is_about_dish(&key)) || (takes && done) {
                break;
            }
            taken |= takes;
            done |= does;
        }
        last = Some(heading);
        words += part.words;
        end += 1;
    }
    (taken && done && end > at + 1 && words <= settings.most_words * 2).then_some(end)
}

/// What a dish is made of.
fn takes(key: &str) -> bool {
    key == "ingredients"
        || key.ends_with(" ingredients") && words::count(key) <= 4
        || key.starts_with("ingredients for")
        || matches!(key, "you will need" | "you'll need" | "what you need" | "what you'll need" | "what you will need")
}

/// How it is made.
fn does(key: &str) -> bool {
    let known = [
        "method",
        "directions",
        "instructions",
        "preparation",
        "steps",
        "procedure",
        "cooking instructions",
        "cooking",
        "how to make it",
        "step by step",
        "cooking directions",
        "cooking steps",
        "step by step instructions",
        "how to cook it",
        "the method",
        "to make",
        "recipe instructions",
        "preparation method",
        "how to prepare it",
        "making it",
    ];
    known.contains(&key)
}

/// What else a recipe says.
fn is_about_dish(key: &str) -> bool {
    let known = [
        "info",
        "notes",
        "note",
        "tips",
        "tip",
        "equipment",
        "tools",
        "storage",
        "storing",
        "nutrition",
        "nutrition facts",
        "nutritional information",
        "variations",
        "substitutions",
        "serving",
        "servings",
        "serving suggestions",
        "to serve",
        "topping",
        "toppings",
        "garnish",
        "sauce",
        "dressing",
        "based on",
        "yield",
        "time",
        "times",
        "prep time",
        "cook time",
        "description",
        "recipe notes",
        "cook's notes",
        "alternatives",
        "additional",
        "optional",
        "closing remarks",
        "source",
        "variation",
    ];
    known.contains(&key) || key.starts_with("for the ") && words::count(key) <= 5
}

/// Questions and answers under one heading, as long as they fit into one tip.
fn questions(document: &Document, run: &[Part], at: usize, settings: &Settings) -> Option<Whole> {
    let heading = list_of_questions(document, &run[at])?;
    let place = run[at].path.iter().position(|above| *above == heading)?;
    let path = run[at].path[..=place].to_vec();
    let below = run[at..].iter().take(MOST_SECTIONS).take_while(|part| part.path.starts_with(&path));
    let (count, words) = below.fold((0, 0), |(count, words), part| (count + 1, words + part.words));
    let short = words <= settings.most_words && words <= count * settings.least_words * 3 / 2;
    (count > 1 && count < MOST_SECTIONS && short).then_some(Whole { end: at + count, path })
}

/// The heading "Frequently asked questions" above or of a part.
fn list_of_questions(document: &Document, part: &Part) -> Option<usize> {
    part.path.iter().copied().find(|above| is_list_of_questions(&document.blocks[*above].text))
}

/// Whether a heading announces questions with their answers.
pub(crate) fn is_list_of_questions(heading: &str) -> bool {
    let key = words::key(headings::bare(heading));
    let tokens: Vec<&str> = key.split(' ').collect();
    let named = tokens.iter().any(|token| matches!(*token, "faq" | "faqs"));
    (named && tokens.len() <= 8)
        || key.contains("frequently asked")
        || matches!(
            key.as_str(),
            "questions" | "common questions" | "questions and answers" | "q a" | "q and a" | "your questions answered"
        )
}
