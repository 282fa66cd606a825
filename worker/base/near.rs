//! Names that were meant: what is near to a name that nobody bears.
//!
//! Owns the edit distance and what counts as near. Zones and programs suggest by it.

/// The known name that was probably meant: one that `wanted` begins or that begins so, else the one with the fewest slips.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let limit = (wanted.chars().count() / 4).max(1);
    let begins = |name: &str| wanted.chars().count() >= 3 && !name.is_empty() && (name.starts_with(&wanted) || wanted.starts_with(name));
    let slips = |name: &&str| if begins(name) { 0 } else { distance(&wanted, name) };
    known.into_iter().map(|name| (slips(&name), name)).filter(|(slips, _)| *slips <= limit).min().map(|(_, name)| name)
}

/// How many letters must be changed, added or left out to make one name of the other.
pub fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_near_when_few_letters_or_an_end_are_wrong() {
        let known = ["autumn-course", "winter", "spring-course"];
        let meant = |wanted| nearest(wanted, known);
        assert_eq!(
            [meant("autumn-corse"), meant("autum"), meant("Winter"), meant("winter-course")],
            [Some("autumn-course"), Some("autumn-course"), Some("winter"), Some("winter")]
        );
        assert_eq!([meant("summer"), meant("a"), meant("")], [None; 3]);
    }
}
