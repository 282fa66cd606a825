//! The exact words that are agreed to: beside the button, in the mail, on the page behind its link, and in the consents.
//!
//! Pure. The topics come first, the waitlists after them; when she leaves some of it before she confirmed, what is left of the words
//! is still in hers. `subscribe` and `ask` write them into a sign-up, `leave` narrows them, the pages show them.

use super::store::Names;

/// The words for topics; none named: all letters.
pub fn wording(publisher: &str, topics: &[&str]) -> String {
    let what = listed(topics);
    format!("I want {publisher} to send me {what} by email. I can stop this at any time with the link in every mail.")
}

/// The words for the waitlist of a program, or of several.
pub fn waiting(publisher: &str, programs: &[&str]) -> String {
    let begin = begin(programs);
    format!(
        "{begin}, and {publisher} may write to me by email about my place and about a seat. I can leave at any time with the link in every \
         such mail."
    )
}

/// The words for all that a sign-up asks for.
pub(super) fn whole(publisher: &str, names: &Names) -> String {
    let (topics, programs) = (texts(&names.topics), texts(&names.programs));
    match (topics.is_empty(), programs.is_empty()) {
        (_, true) => wording(publisher, &topics),
        (true, false) => waiting(publisher, &programs),
        (false, false) => format!("{} {}", wording(publisher, &topics), waiting(publisher, &programs)),
    }
}

/// What is left of the words when she leaves some of what they name; none when they name it otherwise, because its name was changed.
pub(super) fn narrowed(words: &str, before: &Names, after: &Names) -> Option<String> {
    // The last place: a topic may be called whatever it likes, and stands before.
    let (letters, waitlists) = match before.programs.as_slice() {
        [] => (words, ""),
        programs => words.split_at(words.rfind(&begin(&texts(programs)))?),
    };
    let letters = renamed(letters, listed(&texts(&before.topics)), &after.topics, listed)?;
    let waitlists = renamed(waitlists, begin(&texts(&before.programs)), &after.programs, begin)?;
    let left: Vec<&str> = [letters.trim(), waitlists.trim()].into_iter().filter(|part| !part.is_empty()).collect();
    Some(left.join(" "))
}

fn renamed(words: &str, before: String, after: &[String], name: fn(&[&str]) -> String) -> Option<String> {
    match after {
        [] => Some(String::new()),
        after => words.contains(&before).then(|| words.replacen(&before, &name(&texts(after)), 1)),
    }
}

fn begin(programs: &[&str]) -> String {
    let waitlist = if programs.len() == 1 { "waitlist" } else { "waitlists" };
    format!("I want to be put on the {waitlist} of {}", listed(programs))
}

// “Back care”, “Sleep” and “Food”.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("“{name}”")).collect();
    match quoted.as_slice() {
        [] => "its letters".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(topics: &[&str], programs: &[&str]) -> Names {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Names { topics: owned(topics), programs: owned(programs) }
    }

    #[test]
    fn the_words_name_everything_that_is_asked_for() {
        let words = wording("Example Press", &["Back care", "Sleep", "Food"]);
        assert!(words.contains("“Back care”, “Sleep” and “Food”") && words.contains("Example Press"), "{words}");
        assert!(wording("Example Press", &["Sleep"]).contains("send me “Sleep” by email"));
        let words = whole("Example Press", &names(&[], &["Course"]));
        assert!(words.starts_with("I want to be put on the waitlist of “Course”, and Example Press may write to me"), "{words}");
        let both = whole("Example Press", &names(&["Sleep"], &["Course", "Camp"]));
        assert!(both.contains("send me “Sleep” by email") && both.contains("on the waitlists of “Course” and “Camp”, and"), "{both}");
    }

    #[test]
    fn what_is_left_of_the_words_is_what_she_would_have_agreed_to_without_the_rest() {
        // One that is called like the words themselves.
        let odd = "I want to be put on the waitlist of “Course”";
        let all = names(&["Back", odd], &["Course", "Camp"]);
        let words = whole("Example Press", &all);
        for rest in [
            names(&["Back"], &["Course", "Camp"]),
            names(&[odd], &["Course"]),
            names(&[], &["Camp"]),
            names(&["Back", odd], &[]),
            names(&["Back"], &["Camp"]),
        ] {
            assert_eq!(narrowed(&words, &all, &rest), Some(whole("Example Press", &rest)));
        }
        let topics = names(&["Back", "Sleep"], &[]);
        let words = whole("Example Press", &topics);
        assert_eq!(narrowed(&words, &topics, &names(&["Sleep"], &[])), Some(wording("Example Press", &["Sleep"])));
    }

    #[test]
    fn words_that_bear_other_names_are_not_narrowed() {
        let words = whole("Example Press", &names(&["Back", "Sleep"], &["Course"]));
        assert_eq!(narrowed(&words, &names(&["Spine", "Sleep"], &["Course"]), &names(&["Sleep"], &["Course"])), None);
        assert_eq!(narrowed(&words, &names(&["Back", "Sleep"], &["Camp"]), &names(&[], &["Camp"])), None);
    }
}
