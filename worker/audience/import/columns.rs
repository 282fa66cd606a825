//! Which column of a file says what: by the operator's word, else by the names that columns commonly have.
//!
//! Names are compared by their letters and digits alone, in any case: `E-Mail` is `email`. A name that may mean one thing or another
//! (a date of birth, a title) is read only when the operator says so. Called by `file` and `detect`.

use crate::audience::{csv::restored, subscriber::NewSubscriber};
use std::str::FromStr;

/// What a column can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Email,
    Name,
    FirstName,
    LastName,
    Zone,
    StageDate,
}

const FIELDS: [(Field, &str, &[&str]); 6] = [
    (
        Field::Email,
        "email",
        &[
            "email",
            "mail",
            "emailaddress",
            "mailaddress",
            "emailadresse",
            "mailadresse",
            "adresseemail",
            "adressemail",
            "correoelectronico",
        ],
    ),
    (Field::Name, "name", &["name", "fullname", "displayname", "vollername", "nomcomplet", "nombrecompleto"]),
    (Field::FirstName, "first_name", &["firstname", "givenname", "forename", "vorname", "prenom", "prénom"]),
    (Field::LastName, "last_name", &["lastname", "surname", "familyname", "nachname", "familienname", "nomdefamille"]),
    (Field::Zone, "zone", &["zone", "timezone", "tz", "zeitzone", "fuseauhoraire"]),
    (Field::StageDate, "stage_date", &["stagedate"]),
];

/// Which columns the operator names, by `email=E-mail,name="Full name"`.
#[derive(Debug, Clone, Default)]
pub struct Map(Vec<(Field, String)>);

/// Why a mapping cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// Not of the form.
    #[error("`{0}` says nothing: FIELD=COLUMN was expected, e.g. email=E-mail; a column can be named by its number, email=#2")]
    Form(String),
    /// No such field.
    #[error("`{0}` is nothing that is read: email, name, first_name, last_name, zone and stage_date are")]
    Field(String),
    /// Said twice.
    #[error("`{0}` is mapped twice")]
    Twice(String),
}

impl Map {
    /// Reads `FIELD=COLUMN`, each in a text of its own.
    pub fn read<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, MapError> {
        let mut map = Vec::new();
        for entry in entries {
            let (name, column) = entry.split_once('=').ok_or_else(|| MapError::Form(entry.to_owned()))?;
            let (name, column) = (name.trim(), unquoted(column.trim()));
            if column.is_empty() {
                return Err(MapError::Form(entry.to_owned()));
            }
            let field = Field::from_str(name).map_err(|()| MapError::Field(name.to_owned()))?;
            if map.iter().any(|(mapped, _)| *mapped == field) {
                return Err(MapError::Twice(name.to_owned()));
            }
            map.push((field, column.to_owned()));
        }
        Ok(Self(map))
    }

    fn column(&self, field: Field) -> Option<&str> {
        self.0.iter().find(|(mapped, _)| *mapped == field).map(|(_, column)| column.as_str())
    }

    /// As text, for the identity of an import.
    pub(super) fn identity(&self) -> String {
        self.0.iter().map(|(field, column)| format!("{field:?}={column}\n")).collect()
    }
}

impl FromStr for Field {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        FIELDS.iter().find(|(_, known, _)| *known == name).map(|(field, ..)| *field).ok_or(())
    }
}

/// Where in a row each column stands.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    at: [Option<usize>; FIELDS.len()],
    count: usize,
    unread: Vec<String>,
}

impl Columns {
    /// Reads a header, or says what is wrong with it.
    pub(super) fn read(header: &[String], map: &Map) -> Result<Self, String> {
        let mut at = [None; FIELDS.len()];
        for (index, (field, name, _)) in FIELDS.iter().enumerate() {
            at[index] = find(header, map, *field, name)?;
        }
        // First and last name are read only where no column has the whole, and the last only with the first.
        if at[Field::Name as usize].is_some() {
            at[Field::FirstName as usize] = None;
        }
        if at[Field::FirstName as usize].is_none() {
            at[Field::LastName as usize] = None;
        }
        if at[Field::Email as usize].is_none() {
            return Err(no_addresses(header));
        }
        let unread = header.iter().enumerate().filter(|(index, _)| !at.contains(&Some(*index)));
        let unread = unread.map(|(_, name)| short(name)).collect();
        Ok(Self { at, count: header.len(), unread })
    }

    /// Whether a header has a column of addresses.
    pub(super) fn names_addresses(header: &[String], map: &Map) -> bool {
        matches!(find(header, map, Field::Email, "email"), Ok(Some(_))) || matched(header, Field::Email).len() > 1
    }

    /// The names of the columns that are not read.
    pub(super) fn unread(&self) -> &[String] {
        &self.unread
    }

    /// The person in a row, or why there is none.
    pub(super) fn person(&self, fields: &[String]) -> Result<NewSubscriber, String> {
        if fields.len() != self.count {
            return Err(format!("it has {} fields where the header has {}", fields.len(), self.count));
        }
        let field = |field: Field| self.at[field as usize].map_or("", |at| restored(&fields[at]));
        let whole = format!("{} {}", field(Field::FirstName).trim(), field(Field::LastName).trim());
        let name = if self.at[Field::FirstName as usize].is_some() { whole.as_str() } else { field(Field::Name) };
        NewSubscriber::read(field(Field::Email), name, field(Field::Zone), field(Field::StageDate)).map_err(|e| e.to_string())
    }
}

fn find(header: &[String], map: &Map, field: Field, name: &str) -> Result<Option<usize>, String> {
    if let Some(column) = map.column(field) {
        return mapped(header, column).map(Some).ok_or_else(|| format!("`{column}`, mapped to {name}, is not among {}", listed(header)));
    }
    match matched(header, field).as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        [one, other, ..] => {
            let (one, other) = (short(&header[*one]), short(&header[*other]));
            Err(format!("`{one}` and `{other}` may both be the {name}: say which with --map {name}=COLUMN"))
        }
    }
}

fn mapped(header: &[String], column: &str) -> Option<usize> {
    let same = |name: &&String| name.trim() == column;
    let alike = |name: &&String| plain(name) == plain(column);
    let exact = header.iter().position(|name| same(&name)).or_else(|| header.iter().position(|name| alike(&name)));
    let number = || column.strip_prefix('#')?.parse::<usize>().ok()?.checked_sub(1).filter(|at| *at < header.len());
    exact.or_else(number)
}

fn matched(header: &[String], field: Field) -> Vec<usize> {
    let (_, _, names) = FIELDS[field as usize];
    let columns = header.iter().enumerate().filter(|(_, name)| names.contains(&plain(name).as_str()));
    columns.map(|(index, _)| index).collect()
}

fn no_addresses(header: &[String]) -> String {
    if header.iter().any(|name| name.contains('@')) {
        return "it is a row of people".to_owned();
    }
    format!("none of {} is known to hold addresses: say which does with --map email=COLUMN", listed(header))
}

fn listed(header: &[String]) -> String {
    header.iter().map(|name| format!("`{}`", short(name))).collect::<Vec<_>>().join(", ")
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn short(name: &str) -> String {
    name.trim().chars().take(60).collect()
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn read(names: &[&str], map: &[&str]) -> Result<Vec<Option<usize>>, String> {
        Columns::read(&header(names), &Map::read(map.iter().copied()).unwrap()).map(|columns| columns.at.to_vec())
    }

    #[test]
    fn columns_are_known_by_their_common_names() {
        for name in ["email", "E-Mail", "Email address", "MAIL", "e_mail_address", "E-Mail-Adresse"] {
            assert_eq!(read(&["id", name], &[]).unwrap()[0], Some(1), "{name}");
        }
        let all = read(&["Vorname", "Nachname", "Time zone", "Mail", "stage-date"], &[]).unwrap();
        assert_eq!(all, [Some(3), None, Some(0), Some(1), Some(2), Some(4)]);
        let whole = read(&["First name", "Name", "Last name", "email"], &[]).unwrap();
        assert_eq!(whole[1..4], [Some(1), None, None], "the whole name goes before its parts");
        assert_eq!(read(&["Last name", "email"], &[]).unwrap()[3], None, "a last name alone is no name");
    }

    #[test]
    fn a_person_bears_both_her_names() {
        let columns = Columns::read(&header(&["First name", "Last name", "email"]), &Map::default()).unwrap();
        let named = |first: &str, last: &str| columns.person(&header(&[first, last, "'+a@example.org"])).unwrap();
        assert_eq!(named("Ana", "Lind").name.as_deref(), Some("Ana Lind"));
        assert_eq!(named("", "Lind").name.as_deref(), Some("Lind"));
        assert_eq!(named(" ", "").name, None);
        assert_eq!(named("Ana", "").address.as_given(), "+a@example.org", "the apostrophe of an export is taken off");
    }

    #[test]
    fn the_operators_word_goes_before_a_name() {
        assert_eq!(read(&["email", "Work mail", "n"], &["email=Work mail", "name=\"n\""]).unwrap()[..2], [Some(1), Some(2)]);
        assert_eq!(read(&["a", "b"], &["email=#2"]).unwrap()[0], Some(1));
    }

    #[test]
    fn what_cannot_be_told_is_asked() {
        insta::assert_snapshot!([
            read(&["Email", "E-mail"], &[]).unwrap_err(),
            read(&["address", "name"], &[]).unwrap_err(),
            read(&["email"], &["name=Full name"]).unwrap_err(),
            read(&["a"], &["email=#2"]).unwrap_err(),
            Map::read(["email"]).unwrap_err().to_string(),
            Map::read(["mail=E-mail"]).unwrap_err().to_string(),
            Map::read(["email=a", "email=b"]).unwrap_err().to_string(),
        ].join("\n"), @r"
        `Email` and `E-mail` may both be the email: say which with --map email=COLUMN
        none of `address`, `name` is known to hold addresses: say which does with --map email=COLUMN
        `Full name`, mapped to name, is not among `email`
        `#2`, mapped to email, is not among `a`
        `email` says nothing: FIELD=COLUMN was expected, e.g. email=E-mail; a column can be named by its number, email=#2
        `mail` is nothing that is read: email, name, first_name, last_name, zone and stage_date are
        `email` is mapped twice
        ");
    }
}
