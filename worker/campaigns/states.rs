//! The states of campaigns and editions, and what a campaign does when it is late, as the database spells them.
//!
//! `store`, `report` and the command line read them; the words are those of the schema.

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum CampaignState {
    /// Being written.
    Draft,
    /// Its first edition is to come.
    Scheduled,
    /// An edition has been opened.
    Running,
    /// Nothing of it is sent until it is resumed.
    Paused,
    /// All that goes out once was sent; never said of a weekly campaign.
    Finished,
    /// Over by an operator's word.
    Cancelled,
}

/// Where an edition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum EditionState {
    /// Its deliveries are being written, before it starts.
    Planning,
    /// Planned, and not yet due.
    Scheduled,
    /// Its deliveries may go.
    Running,
    /// Waiting for an operator's word.
    Held,
    /// Waiting for its campaign to be resumed.
    Paused,
    /// Nothing is left to do.
    Finished,
    /// Nothing of it was sent.
    Skipped,
    /// Over by an operator's word.
    Cancelled,
}

/// When somebody who has just confirmed gets her first tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FirstTip {
    /// With the welcome.
    AtOnce,
    /// On the next regular day.
    #[default]
    Next,
}

impl FirstTip {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AtOnce => "at_once",
            Self::Next => "next",
        }
    }
}

/// What an edition does with deliveries that are later than its tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Late {
    /// Send them all the same.
    Fire,
    /// Skip them.
    Skip,
    /// Hold the edition and ask an operator.
    #[default]
    Ask,
}

impl CampaignState {
    /// As the database spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            CampaignState::Draft => "draft",
            CampaignState::Scheduled => "scheduled",
            CampaignState::Running => "running",
            CampaignState::Paused => "paused",
            CampaignState::Finished => "finished",
            CampaignState::Cancelled => "cancelled",
        }
    }
}

impl EditionState {
    /// As the database spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            EditionState::Planning => "planning",
            EditionState::Scheduled => "scheduled",
            EditionState::Running => "running",
            EditionState::Held => "held",
            EditionState::Paused => "paused",
            EditionState::Finished => "finished",
            EditionState::Skipped => "skipped",
            EditionState::Cancelled => "cancelled",
        }
    }
}

impl Late {
    /// As the database spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Late::Fire => "fire",
            Late::Skip => "skip",
            Late::Ask => "ask",
        }
    }
}

impl std::fmt::Display for CampaignState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for EditionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
