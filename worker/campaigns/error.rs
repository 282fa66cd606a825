//! Why a campaign could not be made, found or moved: each a sentence that names it and says what to do.

use super::schedule::RuleError;
use super::states::CampaignState;
use crate::audience::topic::TopicError;
use crate::base::zone::ZoneError;
use crate::delivery::render::RenderError;

/// What went wrong with a campaign.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// No campaign bears the name.
    #[error(
        "there is no campaign `{name}`; {}",
        these(
            "campaign",
            existing,
            "make one with `tidings campaign create weekly NAME --series S --at \"Tue 09:00\" --zone Europe/London`"
        )
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names that there are.
        existing: Vec<String>,
    },
    /// The name cannot be used.
    #[error("`{0}` cannot name a campaign: expected 1 to 100 characters without line breaks, not beginning with `-`")]
    Name(String),
    /// The name is in use.
    #[error("there is a campaign `{0}` already: choose another name")]
    NameTaken(String),
    /// No series bears the name.
    #[error(
        "there is no series `{name}`; {}",
        these("series", existing, "import an article first: `tidings import article PATH --series NAME`")
    )]
    UnknownSeries {
        /// What was asked for.
        name: String,
        /// The names that there are.
        existing: Vec<String>,
    },
    /// Neither or both of the two kinds of rule were given.
    #[error("a weekly campaign needs one rule: `--at \"Tue 09:00\"` or `--cron \"0 9 * * 2\"`, and not both")]
    OneRule,
    /// The rule cannot be read.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The zone is none.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The rule never comes again.
    #[error("campaign `{0}` has no next edition: its rule never fires again")]
    NoNext(String),
    /// The campaign's state does not allow it.
    #[error("campaign `{name}` is {state}: {hint}")]
    State {
        /// Its name.
        name: String,
        /// Its state.
        state: CampaignState,
        /// What to do instead.
        hint: &'static str,
    },
    /// No edition waits for a word.
    #[error("campaign `{0}` has no edition on hold: `tidings campaign report` shows where its editions stand")]
    NothingHeld(String),
    /// No edition is held by what pre-flight found.
    #[error("campaign `{0}` has no edition that pre-flight holds: `tidings campaign report` shows where its editions stand")]
    NothingFound(String),
    /// The address said stop.
    #[error("{address} is not mailed, not even a test: {why}")]
    Stopped {
        /// The address.
        address: String,
        /// What stands against it.
        why: String,
    },
    /// There is nothing that a test of it could carry.
    #[error("campaign `{name}` has no tip for a test mail: {why}")]
    NoTestTip {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// What is held because of findings is not late.
    #[error(
        "campaign `{0}` is held by what pre-flight found, not for being late: correct it and `tidings campaign release` it, \
        `tidings campaign accept` it as it is, or cancel the campaign"
    )]
    HeldByFindings(String),
    /// An edition went out, or is about to, within the last six days, and nobody said yes.
    #[error("campaign `{name}` had its edition {edition} less than six days ago: say --yes to run another all the same")]
    RanLately {
        /// Its name.
        name: String,
        /// The edition's occurrence.
        edition: String,
    },
    /// No edition bears the occurrence.
    #[error(
        "campaign `{name}` has no edition `{edition}`; {}",
        these("edition", existing, "it has none yet: `tidings campaign next` shows when the first is due")
    )]
    UnknownEdition {
        /// The campaign's name.
        name: String,
        /// What was asked for.
        edition: String,
        /// The latest occurrences that there are.
        existing: Vec<String>,
    },
    /// It goes out once and has no rule.
    #[error("campaign `{0}` goes out once and has no rule: `tidings campaign create broadcast` makes another")]
    Once(String),
    /// No program bears the slug.
    #[error("there is no program `{slug}`; {}", these("program", existing, "make one with `tidings program create SLUG --name NAME`"))]
    UnknownProgram {
        /// What was asked for.
        slug: String,
        /// The slugs that there are.
        existing: Vec<String>,
    },
    /// The topic was not found.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// Its time is past.
    #[error("`{name}` cannot go out at {at}, which is past: give a later time, or leave --at out to send it at once")]
    Past {
        /// Its name.
        name: String,
        /// The time that was asked for.
        at: jiff::Timestamp,
    },
    /// It would go out at once and to nobody.
    #[error("nobody would get it: {0} has no recipients now; --dry-run says who is left out and why")]
    Nobody(String),
    /// The mail cannot be made of it.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

fn these(what: &str, names: &[String], otherwise: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => otherwise.to_owned(),
        [one] => format!("the only {what} is {one}"),
        [first @ .., last] => format!("there {} {} and {last}", if what == "series" { "are the series" } else { "are" }, first.join(", ")),
    }
}
