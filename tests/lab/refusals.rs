//! F12: a relay that refuses some people for good, and one that refuses who we are.

use std::time::Duration;

use super::Outcome;
use super::answers::retry;
use super::scene::{Scene, end_in_order, far_away};
use crate::support::relay::manners::{Tally, number};
use crate::support::relay::{Act, Point};
use crate::support::story::{WEEKLY, count};
use crate::support::until;

/// A refusal of who we are has to pause everything after so many mails.
const TRIED_AT_MOST: usize = 20;

/// F12: every tenth recipient is refused with 550.
pub(crate) async fn of_every_tenth(recipients: usize) -> Outcome {
    let mut scene = Scene::empty(far_away(2)).await;
    let tally = Tally::default();
    let counted = tally.clone();
    scene.relay.behave(move |seen| match (seen.point, number(seen.recipient) % 10) {
        (Point::Rcpt, 0) => counted.note("550 5.2.1 switched off".into()),
        _ => Act::Go,
    });
    scene.fill(recipients).await;
    scene.finish().await;
    let mut outcome = scene.outcome("F12", "550 for every tenth recipient".to_owned(), tally.count(), 0).await;
    outcome.claim((outcome.failed, tally.count()) == (recipients / 10, recipients / 10), format!("{} failed", outcome.failed));
    outcome
}

/// F12: everybody is refused because of who we are, until an operator has seen to it. Those who were tried wait for their retry,
/// which is waited for too if `to_the_end`.
pub(crate) async fn of_who_we_are(recipients: usize, to_the_end: bool) -> Outcome {
    let mut scene = Scene::empty(far_away(2)).await;
    scene.story.set("TIDINGS_DELIVERY__FIRST_RETRY", "1m");
    let tally = Tally::default();
    let counted = tally.clone();
    scene.relay.behave(move |seen| match seen.point {
        Point::Rcpt => counted.note("550 5.7.515 Access denied, sending domain does not meet the required authentication level".into()),
        _ => Act::Go,
    });
    scene.fill(recipients).await;
    let mut worker = scene.story.worker(&[]);
    let mut state = String::new();
    for _ in 0..600 {
        state = scene.story.campaign_state().await;
        if state == "paused" {
            break;
        }
    }
    until("it says so", || worker.said().contains("5.7.515")).await;
    end_in_order(&mut worker).await;
    let (tried, now) = (tally.count(), scene.story.report().await);
    scene.relay.behave_well();
    scene.story.tidings(&["campaign", "resume", WEEKLY]).await;
    scene.finish().await;
    if to_the_end {
        retry(&scene, Duration::from_secs(150)).await;
    }
    let mut outcome = scene.outcome("F12", "550 5.7.515 for all, then mended and resumed".to_owned(), tried, 0).await;
    outcome.claim(state == "paused" && count(&now, "failed") == 0, format!("the campaign was {state}: {now}"));
    outcome.claim(tried <= TRIED_AT_MOST, format!("{tried} were tried"));
    let waiting = if to_the_end { 0 } else { tried };
    outcome.claim((outcome.sent, outcome.to_do) == (recipients - waiting, waiting), format!("{} were sent in the end", outcome.sent));
    outcome.remark = format!("paused after {tried} mails, 0 failed");
    outcome
}
