//! What an erased person is known by in texts that people and relays wrote, and the texts without it.
//!
//! Pure. Her address is taken out wherever it stands, and so is a name of several words. A single word of it, and the part before
//! the @, only out of texts that are about her: elsewhere they are words like any other.

use crate::base::address::EmailAddress;

const ADDRESS: &str = "<address>";
const NAME: &str = "<name>";
/// A name or a local part that stands alone is taken out from this length on; shorter ones are words like `no`.
const LONE: usize = 3;

/// What she is known by.
#[derive(Debug)]
pub(super) struct Words {
    everywhere: Vec<Word>,
    about_her: Vec<Word>,
}

#[derive(Debug)]
struct Word {
    folded: Vec<char>,
    blank: &'static str,
    /// Only where it is not part of a longer word.
    alone: bool,
}

impl Words {
    /// Those of a person with this address and name.
    pub(super) fn of(address: &EmailAddress, name: Option<&str>) -> Self {
        let addresses = spellings(address).into_iter().map(|text| Word::new(&text, ADDRESS, false));
        let local = address.local_part().trim_matches('"');
        let mailbox = local.split_once('+').map_or(local, |(mailbox, _)| mailbox);
        let locals = [local, mailbox].map(|text| Word::new(text, ADDRESS, true));
        let name = name.unwrap_or_default().trim();
        let whole_name = name.contains(char::is_whitespace).then(|| Word::new(name, NAME, true));
        let names = name.split_whitespace().map(|text| Word::new(text, NAME, true));
        let about_her = locals.into_iter().chain(names).filter(|word| word.folded.len() >= LONE).collect();
        Self { everywhere: longest_first(addresses.chain(whole_name).collect()), about_her: longest_first(about_her) }
    }

    /// A text about anybody without her address and her whole name; none when neither is there.
    pub(super) fn without_whole(&self, text: &str) -> Option<String> {
        without(text, &self.everywhere.iter().collect::<Vec<_>>())
    }

    /// A text about her without her address and her name; none when neither is there.
    pub(super) fn without_her(&self, text: &str) -> Option<String> {
        without(text, &self.everywhere.iter().chain(&self.about_her).collect::<Vec<_>>())
    }
}

impl Word {
    fn new(text: &str, blank: &'static str, alone: bool) -> Self {
        Self { folded: text.chars().map(fold).collect(), blank, alone }
    }

    fn stands_at(&self, text: &[char], at: usize) -> bool {
        let end = at + self.folded.len();
        let free = |c: Option<&char>| c.is_none_or(|c| !c.is_alphanumeric());
        text.get(at..end) == Some(&self.folded[..])
            && (!self.alone || (free(at.checked_sub(1).and_then(|i| text.get(i))) && free(text.get(end))))
    }
}

// As given, as a key, as an envelope; with the @ as links and return paths have it.
fn spellings(address: &EmailAddress) -> Vec<String> {
    let envelope = address.envelope();
    let whole = [address.as_given(), address.key(), &envelope];
    whole.iter().flat_map(|text| ["@", "%40", "=", "(at)"].map(|at| text.replace('@', at))).collect()
}

fn longest_first(mut words: Vec<Word>) -> Vec<Word> {
    words.sort_by_key(|word| std::cmp::Reverse(word.folded.len()));
    words
}

fn without(text: &str, words: &[&Word]) -> Option<String> {
    let plain: Vec<char> = text.chars().collect();
    let folded: Vec<char> = plain.iter().copied().map(fold).collect();
    let (mut result, mut at, mut found) = (String::with_capacity(text.len()), 0, false);
    while at < plain.len() {
        match words.iter().find(|word| word.stands_at(&folded, at)) {
            Some(word) => {
                result.push_str(word.blank);
                at += word.folded.len();
                found = true;
            }
            None => {
                result.push(plain[at]);
                at += 1;
            }
        }
    }
    found.then_some(result)
}

// One character for one, so that places in the folded text are places in the text.
fn fold(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ana() -> Words {
        Words::of(&EmailAddress::parse("Ana.Lind+tips@Bücher.example").unwrap(), Some("Ana Lind"))
    }

    #[test]
    fn an_address_and_a_whole_name_are_taken_out_wherever_they_stand() {
        let text = "ana.lind+TIPS@bücher.example, ANA.LIND+tips@xn--bcher-kva.example; ana.lind+tips=xn--bcher-kva.example";
        assert_eq!(ana().without_whole(text).unwrap(), "<address>, <address>; <address>");
        assert_eq!(ana().without_whole("ana lind said so").unwrap(), "<name> said so");
        assert_eq!(ana().without_whole("Ana, or ana.lind, is somebody else here"), None);
    }

    #[test]
    fn a_text_about_her_loses_her_name_and_her_mailbox_but_no_longer_word_that_holds_them() {
        assert_eq!(
            ana().without_her("Ana Lind wrote from ana.lind: LIND is her mother's name").unwrap(),
            "<name> wrote from <address>: <name> is her mother's name"
        );
        assert_eq!(ana().without_her("bananas from Lindau"), None);
        assert_eq!(Words::of(&EmailAddress::parse("no@example.org").unwrap(), Some("Bo")).without_her("no, Bo said"), None);
    }
}
