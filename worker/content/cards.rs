//! Cards: what the cards of recipes show besides the recipe: servings, times, buttons that multiply, what it feeds.
//!
//! Owns their shapes. Called by `read`, which takes the buttons off, and by `signs` and `sift`, which leave the rest out.

use super::document::{Block, Kind};
use super::words;

/// "Ingredients 1x2x3x" without the buttons that multiply.
pub(crate) fn without_multipliers(heading: &str) -> &str {
    let bare = heading.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, 'x' | '/' | '½'));
    let buttons = &heading[bare.len()..];
    let kept = bare.trim_end();
    let multiply =
        buttons.matches('x').count() >= 2 && buttons.ends_with('x') && ["1x", "½x", "1/2x"].iter().any(|first| buttons.starts_with(first));
    if multiply && kept.len() < bare.len() && !kept.is_empty() { kept } else { heading }
}

/// "Calories: 291kcalCarbohydrates: 31gProtein: 5g": amounts glued to the next label.
pub(crate) fn is_nutrition(text: &str) -> bool {
    let glued = |unit: &str| {
        text.match_indices(unit)
            .filter(|(at, _)| {
                let before = text[..*at].trim_end().ends_with(|c: char| c.is_ascii_digit());
                before && text[at + unit.len()..].starts_with(char::is_uppercase)
            })
            .count()
    };
    text.contains(": ") && ["kcal", "mg", "g", "µg", "IU", "%"].iter().map(|unit| glued(unit)).sum::<usize>() >= 3
}

/// The fields of a card in a run of blocks: three or more lines of a few words, at least two of them labels of cards.
pub(crate) fn fields(blocks: &[Block]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut run: Vec<usize> = Vec::new();
    for (index, block) in blocks.iter().map(Some).chain([None]).enumerate() {
        match block.filter(|block| is_short(block)) {
            Some(_) => run.push(index),
            None => {
                let labels = run.iter().filter(|index| is_label(&blocks[**index].text)).count();
                if run.len() >= 3 && labels >= 2 {
                    found.append(&mut run);
                }
                run.clear();
            }
        }
    }
    found
}

fn is_short(block: &Block) -> bool {
    matches!(block.kind, Kind::Paragraph { .. }) && block.words <= 6 && !block.text.ends_with(['.', '!', '?'])
}

fn is_label(text: &str) -> bool {
    let key = words::key(text);
    let labels = [
        "prep time",
        "preparation time",
        "cook time",
        "cooking time",
        "total time",
        "resting time",
        "servings",
        "yield",
        "course",
        "cuisine",
        "calories",
        "difficulty",
        "keyword",
        "keywords",
        "equipment",
        "cost",
    ];
    labels.iter().any(|label| key.strip_prefix(label).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

#[cfg(test)]
mod tests {
    use super::{is_nutrition, without_multipliers};

    #[test]
    fn buttons_that_multiply_are_taken_off() {
        assert_eq!(without_multipliers("Ingredients 1x2x3x"), "Ingredients");
        assert_eq!(without_multipliers("For the sauce 1/2x1x2x"), "For the sauce");
        for kept in ["Turn it 2x", "1x2x3x", "The matrix", "Use a 2x4x", "Linux"] {
            assert_eq!(without_multipliers(kept), kept);
        }
    }

    #[test]
    fn amounts_without_spaces_between_them_are_a_card() {
        assert!(is_nutrition("Calories: 120kcalFat: 3gSugar: 4gSalt: 30mgIron: 1mg"));
        assert!(!is_nutrition("It has 120 kcal: 3 g of fat, 4 g of sugar, 30 mg of salt."));
    }
}
