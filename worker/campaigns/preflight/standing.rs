//! What pre-flight found, as operators read it: kinds, counts, examples with masked addresses, and what to do.
//!
//! Reads only. The command line prints it, as tables or as JSON; `rehearse` gives its findings in the same form.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;

use super::inspect::Tally;
use super::kind::{Kind, Severity};
use super::store;
use crate::base::address::EmailAddress;

/// How the check of an edition stands, or came out.
#[derive(Debug, Clone, Serialize)]
pub struct Preflight {
    /// The campaign.
    pub campaign: String,
    /// The edition's occurrence.
    pub edition: String,
    /// Where the edition stands; none while it is only to come.
    pub state: Option<String>,
    /// When its first mail is due.
    pub starts_at: Timestamp,
    /// Its recipients, so far as they are planned.
    pub recipients: i64,
    /// The mails that were made and looked at; who is skipped gets none.
    pub checked: i64,
    /// Every mail was looked at.
    pub done: bool,
    /// An operator let it go whatever was found.
    pub accepted: bool,
    /// A mail of it was tried, so that correcting a template changes nothing of it.
    pub keeps_templates: bool,
    /// What was found, what blocks first.
    pub findings: Vec<Finding>,
}

/// What was found of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The kind.
    pub kind: Kind,
    /// Whether it blocks.
    pub severity: Severity,
    /// In how many recipients' mails; 0: it is about the edition as a whole.
    pub recipients: i64,
    /// What is wrong and what to do.
    pub says: &'static str,
    /// Up to three of the mails.
    pub examples: Vec<Example>,
}

/// One mail in which it was found.
#[derive(Debug, Clone, Serialize)]
pub struct Example {
    /// Her number.
    pub subscriber: Option<i64>,
    /// Her address, masked; none when she was erased.
    pub address: Option<String>,
    /// Her tip, where the mail carries one.
    pub tip: Option<i64>,
    /// The subject of the tip.
    pub subject: Option<String>,
    /// What is wrong in this mail.
    pub says: String,
}

impl Preflight {
    /// How many kinds of finding block.
    pub fn blocking(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Blocking).count()
    }
}

/// How the check of a campaign's latest edition stands; none when it has no edition.
pub async fn standing(conn: &mut PgConnection, name: &str, campaign_id: i64) -> sqlx::Result<Option<Preflight>> {
    let Some(edition) = store::latest(conn, campaign_id, false).await? else { return Ok(None) };
    let tally = store::findings(conn, edition.id).await?;
    Ok(Some(Preflight {
        campaign: name.to_owned(),
        state: Some(edition.state),
        edition: edition.occurrence,
        starts_at: edition.starts_at,
        recipients: edition.planned.unwrap_or(edition.counted),
        checked: edition.checked,
        done: edition.checked_at.is_some(),
        accepted: edition.accepted_at.is_some(),
        keeps_templates: store::tried(conn, edition.id).await?,
        findings: told(conn, tally).await?,
    }))
}

/// A tally with the addresses and tips of its examples, what blocks first.
pub(super) async fn told(conn: &mut PgConnection, tally: Tally) -> sqlx::Result<Vec<Finding>> {
    let examples = || tally.found.values().flat_map(|found| &found.examples);
    let people: Vec<i64> = examples().filter_map(|example| example.subscriber_id).collect();
    let revisions: Vec<i64> = examples().filter_map(|example| example.tip_revision_id).collect();
    let addresses: HashMap<i64, Option<String>> = store::addresses(conn, &people).await?.into_iter().collect();
    let tips: HashMap<i64, (i64, String)> =
        store::tips(conn, &revisions).await?.into_iter().map(|(id, tip, subject)| (id, (tip, subject))).collect();
    let mut findings: Vec<Finding> = tally
        .found
        .into_iter()
        .map(|(kind, found)| Finding {
            kind,
            severity: kind.severity(),
            recipients: found.recipients,
            says: kind.says(),
            examples: found
                .examples
                .into_iter()
                .map(|example| {
                    let tip = example.tip_revision_id.and_then(|id| tips.get(&id));
                    let address = example.subscriber_id.and_then(|id| addresses.get(&id)?.as_deref());
                    Example {
                        subscriber: example.subscriber_id,
                        address: address.map(masked),
                        tip: tip.map(|(id, _)| *id),
                        subject: tip.map(|(_, subject)| subject.clone()),
                        says: example.says,
                    }
                })
                .collect(),
        })
        .collect();
    findings.sort_by_key(|finding| (finding.severity, std::cmp::Reverse(finding.recipients)));
    Ok(findings)
}

// What is no address shows no more of itself than one would.
fn masked(address: &str) -> String {
    let first = address.chars().next().unwrap_or('*');
    EmailAddress::parse(address).map_or_else(|_| format!("{first}***"), |address| address.to_string())
}
