//! Subjects: what a tip is called in an inbox, for someone who never saw the article.
//!
//! Owns the rule by which a heading gets the article's subject when it says too little alone: "The cause: Gallstones"
//! becomes "Gallstones as a cause of back pain". No language model: words are counted. Called by `compose`.

use super::document::Document;
use super::{dates, headings, vocabulary, words};
use std::collections::{HashMap, HashSet};

/// The longest subject.
pub(crate) const LONGEST: usize = 78;

/// What is known about an article's words when its tips are named.
#[derive(Debug)]
pub(crate) struct Naming {
    title: String,
    topic: Option<String>,
    topic_words: Vec<String>,
    forms: HashSet<String>,
    used: HashMap<String, usize>,
}

impl Naming {
    /// Learns the words of an article.
    pub(crate) fn of(document: &Document, title: &str) -> Naming {
        let forms = forms(document);
        let topic = topic(title, document, &forms);
        let topic_words = topic.as_deref().map(words::tokens).unwrap_or_default();
        Naming { title: title.to_owned(), topic, topic_words, forms, used: HashMap::new() }
    }

    /// The subject of a segment with this heading path, or made of sections with these `names`; `piece` tells apart what
    /// an over-long section was cut into.
    pub(crate) fn subject(&mut self, path: &[String], names: &[String], piece: Option<(usize, usize)>) -> String {
        let named = match path.split_last() {
            Some((_, above)) if names.len() > 1 => self.together(names, above).unwrap_or_else(|| self.name(&path[path.len() - 1], above)),
            Some((heading, above)) => self.name(heading, above),
            None => shorten(&self.calm(&self.title), LONGEST),
        };
        let named = self.unless_used(named, path, names);
        let ending = piece.map(|(number, of)| format!(" (part {number} of {of})")).unwrap_or_default();
        let subject = shorten(&named, LONGEST - ending.chars().count()) + &ending;
        self.unlike_others(subject, path)
    }

    /// What stands above several short sections names only the first group of them; the others bear their first section's name.
    fn unless_used(&self, named: String, path: &[String], names: &[String]) -> String {
        match (names, path.split_last()) {
            ([first, _, ..], Some((_, above))) if self.used.contains_key(&words::key(&named)) => self.name(first, above),
            _ => named,
        }
    }

    fn name(&self, heading: &str, above: &[String]) -> String {
        // An address says nothing to a reader.
        let heading = if is_address(heading) { String::new() } else { self.calm(headings::bare(heading)) };
        if let Some(subject) = self.pair(&heading) {
            return subject;
        }
        if !self.says_too_little(&heading) {
            return heading;
        }
        let parent = above.iter().rev().find_map(|above| self.as_context(above).filter(|context| !repeats(context, &heading)));
        let context = parent
            .or_else(|| self.topic_beside(&heading))
            .or_else(|| Some(self.title_as_context(&heading)).filter(|title| !repeats(title, &heading)));
        if words::count(&heading) == 0 {
            return context.unwrap_or_default();
        }
        match context.filter(|context| !says(&heading, context) && !context.is_empty()) {
            Some(context) => {
                let beside = |heading: &str| match context.ends_with('?') {
                    true => format!("{context} {}", upper_first(heading)),
                    false => format!("{}: {}", upper_first(&context), self.lower_first(heading)),
                };
                first_that_fits(&[beside(&heading), beside(&without_brackets(&heading))])
            }
            None => heading,
        }
    }

    /// What the article is about, unless the heading says it already.
    fn topic_beside(&self, heading: &str) -> Option<String> {
        self.topic.as_deref().map(upper_first).filter(|topic| !repeats(topic, heading))
    }

    /// Two short sections in one: "Heat and cold"; of more than two, what stands above them.
    fn together(&self, names: &[String], above: &[String]) -> Option<String> {
        let parent = above.last().and_then(|above| self.as_context(above)).filter(|parent| !self.says_too_little(parent));
        let clauses: Vec<String> = names.iter().map(|name| self.calm(clause(headings::bare(name)))).collect();
        let telling = clauses.iter().all(|name| !self.says_too_little(name) && !name.ends_with(['?', '!', '.']) && !name.contains(" and "));
        let listed = match &clauses[..] {
            [first, second] => format!("{first} and {}", self.lower_first(second)),
            [first, second, third] => format!("{first}, {} and {}", self.lower_first(second), self.lower_first(third)),
            _ => return parent,
        };
        let alone = Some(listed.clone()).filter(|listed| telling && fits(listed));
        let context = above.iter().rev().find_map(|above| self.as_context(above)).or_else(|| self.topic.as_deref().map(upper_first));
        let context = context.or_else(|| Some(self.title_as_context(&listed)));
        let context = context.filter(|context| !context.ends_with('?') && !repeats(context, &listed));
        let told =
            || context.filter(|context| !says(&listed, context)).map(|context| format!("{context}: {listed}")).filter(|told| fits(told));
        alone.or(parent).or_else(told)
    }

    /// A heading above as what another one is about: its first clause, when that says something.
    fn as_context(&self, heading: &str) -> Option<String> {
        let whole = self.calm(headings::bare(heading));
        let short = clause(&whole).to_owned();
        let either = if whole.contains(": ") { [short, whole] } else { [whole, short] };
        either.into_iter().find(|heading| can_be_context(heading))
    }

    /// The whole title where there is room for it, else its beginning.
    fn title_as_context(&self, heading: &str) -> String {
        let title = self.calm(&self.title);
        // "Knots: How to tie them: Tools" would have one colon too many.
        let first = clause(&title);
        let title = if words::count(first) >= 2 { first } else { title.as_str() };
        let whole = title.trim_end_matches(['?', '!', '.']);
        if fits(&format!("{whole}: {heading}")) { whole.to_owned() } else { shorten(title, 45) }
    }

    /// "The cause: Gallstones": the label says how the rest stands to the article's subject.
    fn pair(&self, heading: &str) -> Option<String> {
        let (label, rest) = headings::label(heading).filter(|(_, rest)| !rest.is_empty())?;
        let rest = upper_first(rest);
        if matches!(label.as_str(), "question" | "q") {
            return Some(rest);
        }
        let join = match label.as_str() {
            "cause" | "reason" | "culprit" | "trigger" => "as a cause of",
            "symptom" | "sign" | "warning sign" => "as a sign of",
            "remedy" | "treatment" | "solution" | "fix" | "cure" | "relief" => "for",
            _ => return None,
        };
        let topic = self.topic.as_ref().filter(|topic| !says(&rest, topic))?;
        let bare = without_brackets(&rest);
        let whole = upper_first(topic);
        Some(first_that_fits(&[
            format!("{rest} {join} {topic}"),
            format!("{bare} {join} {topic}"),
            format!("{whole}: {}", self.lower_first(&rest)),
            format!("{whole}: {}", self.lower_first(&bare)),
            rest,
        ]))
    }

    /// A heading with one telling word or none, unless that word is the article's subject.
    fn says_too_little(&self, heading: &str) -> bool {
        let tokens = words::tokens(heading);
        let telling: Vec<&String> = tokens.iter().filter(|t| !words::is_empty_word(t) && !vocabulary::is_general(t)).collect();
        let on_topic = telling.iter().any(|t| self.topic_words.contains(t));
        headings::is_dependent(heading)
            || headings::role(heading) != headings::Role::Body
            || (telling.len() <= 1 && tokens.len() <= 3 && !(on_topic && tokens.len() > 1))
    }

    /// A heading in capitals becomes one in lower case; words that the text has in capitals keep them.
    fn calm(&self, heading: &str) -> String {
        let letters = heading.chars().filter(|c| c.is_alphabetic()).count();
        let shouted = letters > 5 && !heading.chars().any(char::is_lowercase) && heading.chars().any(char::is_uppercase);
        if !shouted {
            return heading.to_owned();
        }
        let calmed = heading.split(' ').map(|word| {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            if self.forms.contains(bare) { word.to_owned() } else { word.to_lowercase() }
        });
        upper_first(&calmed.collect::<Vec<_>>().join(" "))
    }

    /// A lower-case first letter, where the article itself writes the word so and the rest is no title with capitals.
    fn lower_first(&self, text: &str) -> String {
        let mut others = text.split_whitespace().skip(1).filter(|word| word.starts_with(char::is_alphabetic)).peekable();
        if others.peek().is_none() || others.any(|word| word.starts_with(char::is_uppercase) && word.chars().count() > 3) {
            return text.to_owned();
        }
        let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '-' || *c == '\'').collect();
        let lower = word.to_lowercase();
        let common =
            self.forms.contains(&lower) || !self.forms.contains(&word) || words::is_empty_word(&lower) || vocabulary::is_general(&lower);
        if common && word.chars().skip(1).all(|c| !c.is_uppercase()) && word != "I" { lower + &text[word.len()..] } else { text.to_owned() }
    }

    fn unlike_others(&mut self, subject: String, path: &[String]) -> String {
        let times = self.used.entry(words::key(&subject)).or_insert(0);
        *times += 1;
        if *times == 1 {
            return subject;
        }
        let number = *times;
        let parent = path
            .len()
            .checked_sub(2)
            .map(|at| headings::bare(&path[at]).to_owned())
            .filter(|parent| number == 2 && !says(&subject, parent));
        let other = parent.map(|parent| format!("{parent}: {}", self.lower_first(&subject))).filter(|other| fits(other));
        let other = other.filter(|other| !self.used.contains_key(&words::key(other)));
        let ending = format!(" ({number})");
        let other = other.unwrap_or_else(|| shorten(&subject, LONGEST - ending.chars().count()) + &ending);
        self.used.insert(words::key(&other), 1);
        other
    }
}

/// Words as the running text writes them, case included; its opening is enough.
fn forms(document: &Document) -> HashSet<String> {
    let mut forms = HashSet::new();
    let mut seen = 0;
    for block in document.blocks.iter().filter(|block| block.level().is_none()) {
        if seen > 200_000 {
            break;
        }
        seen += block.text.len();
        let written = block.text.split_whitespace().filter(|word| !word.contains("://") && !word.contains('@') && !word.contains("www."));
        let words = written.flat_map(|word| word.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '\'')));
        forms.extend(words.take(20_000).filter(|word| !word.is_empty()).map(str::to_owned));
    }
    forms
}

/// What the article is about: the longest run of telling words of its title that the text itself repeats.
fn topic(title: &str, document: &Document, forms: &HashSet<String>) -> Option<String> {
    // A short title without a general word in it is what the article is about.
    let whole: Vec<&str> = title.split_whitespace().collect();
    if let Some(phrase) = phrase(&whole, forms).filter(|_| whole.len() <= 3 && !title.contains([':', '|', '?', '!', '('])) {
        return Some(phrase);
    }
    let corpus = corpus(document);
    let mut best: Option<(usize, usize, String)> = None;
    for run in title.split([':', '|', ',', '–', '—', '?', '(', ')', '.', '!']) {
        let tokens: Vec<&str> = run.split_whitespace().collect();
        // "A guide (knots, hitches, bends)": one of several is not what all of it is about.
        let one_of_several = title[..run.as_ptr() as usize - title.as_ptr() as usize].ends_with([',', '(']);
        for from in 0..tokens.len() {
            for to in (from + 1)..=tokens.len().min(from + 5) {
                let Some(phrase) = phrase(&tokens[from..to], forms) else { continue };
                let times = corpus.matches(&format!(" {} ", words::key(&phrase))).take(1000).count();
                let length = to - from;
                let better = best.as_ref().is_none_or(|(longest, most, _)| (length, times) > (*longest, *most));
                // "Level 3" is another thing than "Level".
                let numbered = tokens.get(to).is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit()));
                let noun = || !one_of_several && !numbered && leads_to_noun(&tokens[..from]);
                let enough = if length > 1 { times >= 2 } else { times >= 3 && noun() };
                if enough && better {
                    best = Some((length, times, phrase));
                }
            }
        }
    }
    best.map(|(_, _, phrase)| phrase)
}

/// A single word is only taken where a noun is likely: at the start, or after "of", "with", "is", a number.
fn leads_to_noun(before: &[&str]) -> bool {
    let Some(last) = before.last().map(|word| words::key(word)) else { return true };
    matches!(last.as_str(), "of" | "with" | "is" | "about" | "for" | "from" | "to" | "on" | "the" | "a" | "an" | "your" | "and")
        || vocabulary::is_general(&last)
}

/// A run of words that can be a subject: no empty word in it, no general word at its ends.
fn phrase(tokens: &[&str], forms: &HashSet<String>) -> Option<String> {
    let keys: Vec<String> = tokens.iter().map(|token| words::key(token)).collect();
    let empty = keys.iter().any(|key| key.is_empty() || words::is_empty_word(key) || key.bytes().all(|b| b.is_ascii_digit()));
    let weak = keys.len() == 1 && (keys[0].starts_with("non-") || dates::is_month(&keys[0]));
    let edges = [keys.first()?, keys.last()?].iter().any(|key| vocabulary::is_general(key));
    if empty || edges || weak {
        return None;
    }
    let written = tokens.iter().zip(&keys).map(|(token, key)| {
        let bare = token.trim_matches(|c: char| !c.is_alphanumeric());
        if forms.contains(key) { key.clone() } else { bare.to_owned() }
    });
    Some(written.collect::<Vec<_>>().join(" "))
}

/// The running text's words between single spaces, to look phrases up in; its opening is enough.
fn corpus(document: &Document) -> String {
    let mut corpus = String::from(" ");
    for block in document.blocks.iter().filter(|block| block.level().is_none() && block.words > 5) {
        if corpus.len() > 200_000 {
            break;
        }
        for token in words::tokens(&block.text).into_iter().take(20_000) {
            corpus.push_str(&token);
            corpus.push(' ');
        }
    }
    corpus
}

/// A heading that says something by itself and leaves room for another.
fn can_be_context(heading: &str) -> bool {
    // "Calling" says that something is called, and not what.
    let doing = words::count(heading) == 1 && heading.ends_with("ing");
    !doing
        && !is_address(heading)
        && !headings::is_dependent(heading)
        && headings::role(heading) == headings::Role::Body
        && heading.chars().count() <= 45
}

/// Whether a heading is the address of a page.
fn is_address(heading: &str) -> bool {
    let heading = heading.trim();
    (heading.contains("://") || heading.starts_with("www.")) && !heading.contains(char::is_whitespace)
}

/// Whether all that a heading tells stands in what would stand before it: "Costs and access: Cost of a visit" says it twice.
fn repeats(context: &str, heading: &str) -> bool {
    let stems = |text: &str, general: bool| -> HashSet<String> {
        let tokens = words::tokens(text);
        let parts = tokens.iter().flat_map(|token| token.split('-')).filter(|part| part.len() > 1 && !words::is_empty_word(part));
        parts.filter(|part| general || !vocabulary::is_general(part)).map(|part| part.trim_end_matches('s').to_owned()).collect()
    };
    let general = stems(heading, false).is_empty();
    let told = stems(heading, general);
    !told.is_empty() && told.is_subset(&stems(context, general))
}

/// "Savings: Where they go" gives "Savings".
fn clause(heading: &str) -> &str {
    let end = [": ", " – ", " — ", " - ", " ("].iter().filter_map(|mark| heading.find(mark)).min();
    end.filter(|at| *at >= 4).map_or(heading, |at| heading[..at].trim())
}

/// Whether the words of a phrase stand in a text, side by side.
fn says(text: &str, phrase: &str) -> bool {
    format!(" {} ", words::key(text)).contains(&format!(" {} ", words::key(phrase)))
}

fn fits(text: &str) -> bool {
    text.chars().count() <= LONGEST
}

fn first_that_fits(candidates: &[String]) -> String {
    candidates.iter().find(|candidate| fits(candidate)).or(candidates.last()).cloned().unwrap_or_default()
}

fn upper_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// "Osteoporosis (PLO)" gives "Osteoporosis".
fn without_brackets(text: &str) -> String {
    let Some((before, rest)) = text.split_once(" (") else { return text.to_owned() };
    match rest.split_once(')') {
        Some((_, after)) if words::count(before) > 0 => format!("{before}{after}"),
        _ => text.to_owned(),
    }
}

/// Shortens a subject at the end of a clause, else between words with "…".
pub(crate) fn shorten(text: &str, most: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most {
        return text;
    }
    let bare = without_brackets(&text);
    if bare.chars().count() <= most && bare != text {
        return bare;
    }
    let end = text.char_indices().nth(most.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    let head = &text[..end];
    let clause =
        [": ", " – ", " — ", "; ", ", "].iter().filter_map(|mark| head.rfind(mark)).max().filter(|at| head[..*at].chars().count() >= 30);
    match clause {
        Some(at) => head[..at].to_owned(),
        None => format!("{}…", head[..head.rfind(' ').unwrap_or(end)].trim_end_matches([',', ';', ':', '-', ' '])),
    }
}
