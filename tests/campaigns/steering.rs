//! What the clock and the operator do: opening, downtime, pause, resume, cancel, run, release, skip.

use futures_util::future::join_all;
use jiff::SignedDuration;
use tidings::campaigns::states::{CampaignState, Late};
use tidings::campaigns::{CampaignError, campaign, due, edition, report, store};
use tidings::delivery::ledger::claim::{self, Claimed, Place};
use tidings::delivery::ledger::mark::Ending;

use super::story::{NAME, Story, at, new_weekly};

const FIRST: &str = "2026-01-13";
const SECOND: &str = "2026-01-20";

#[tokio::test]
async fn a_campaign_is_scheduled_with_its_first_edition_and_told_of_what_is_wrong() {
    let story = Story::new(1).await;
    let mut conn = story.conn().await;
    let made = story.schedule_with(|new| new.zone = "europe/london").await;
    assert_eq!((made.state, made.zone.as_str()), (CampaignState::Scheduled, "Europe/London"));
    let next = made.next.expect("a first edition");
    assert_eq!((next.occurrence.to_string(), next.run_at.to_string()), (FIRST.to_owned(), "2026-01-13T08:30:00Z".to_owned()));
    let mut sentence = async |change: fn(&mut tidings::campaigns::campaign::NewWeekly<'static>)| {
        let mut new = new_weekly();
        new.name = "other";
        change(&mut new);
        campaign::create(&mut conn, new, story.app.now()).await.expect_err("a refusal").to_string()
    };
    assert_eq!(sentence(|new| new.name = NAME).await, "there is a campaign `weekly tips` already: choose another name");
    assert_eq!(sentence(|new| new.series = "tip").await, "there is no series `tip`; the only series is `Tips`");
    assert!(sentence(|new| new.zone = "Europe/Londn").await.contains("did you mean `Europe/London`"));
    assert!(sentence(|new| new.at = Some("Tuesday")).await.contains("such as `Tue 09:00`"));
    assert!(sentence(|new| new.cron = Some("0 9 * * 2")).await.contains("not both"));
    assert!(sentence(|new| new.name = "").await.contains("cannot name a campaign"));
    assert_eq!(
        store::find(&mut conn, "x").await.expect_err("unknown").to_string(),
        "there is no campaign `x`; the only campaign is `weekly tips`"
    );
    assert_eq!(story.number("SELECT count(*) FROM campaigns").await, 1);
}

#[tokio::test]
async fn four_schedulers_at_once_open_one_edition_a_week() {
    let story = Story::new(3).await;
    story.add_people(5).await;
    story.schedule().await;
    for day in [FIRST, SECOND, "2026-01-27"] {
        story.app.clock.set(at(&format!("{day}T08:30:00Z")));
        let tick = async || {
            let mut conn = story.conn().await;
            due::open_due(&mut conn, story.app.now()).await.expect("open")
        };
        let opened: Vec<_> = join_all((0..4).map(|_| tick())).await;
        assert_eq!(opened.iter().map(Vec::len).sum::<usize>(), 1, "{day}");
        story.sweep_at(&format!("{day}T09:00:00Z")).await;
        story.send().await;
    }
    assert_eq!(
        story.texts("SELECT occurrence || ' ' || state FROM editions ORDER BY id").await,
        ["2026-01-13 finished", "2026-01-20 finished", "2026-01-27 finished"]
    );
}

#[tokio::test]
async fn after_a_downtime_only_the_newest_occurrence_is_taken_up_and_asks() {
    let story = Story::new(3).await;
    story.add_people(4).await;
    story.schedule().await;
    story.sweep_at("2026-02-04T12:00:00Z").await;
    let editions = story.texts("SELECT concat_ws(' ', occurrence, state, planned, reason) FROM editions ORDER BY starts_at").await;
    assert_eq!(
        editions,
        [
            "2026-01-13 skipped 0 missed while nothing was running",
            "2026-01-20 skipped 0 missed while nothing was running",
            "2026-01-27 skipped 0 missed while nothing was running",
            "2026-02-03 running 4",
        ]
    );
    assert!(story.claim(10).await.is_empty());
    assert_eq!(story.states().await["2026-02-03"], "held");
    let next = store::find(&mut *story.conn().await, NAME).await.expect("a campaign").next.expect("a next edition");
    assert_eq!(next.occurrence.to_string(), "2026-02-10");

    let released = edition::release(&mut *story.conn().await, NAME, story.app.now()).await.expect("released");
    assert_eq!(released, ["2026-02-03"]);
    story.send().await;
    let report = story.edition("2026-02-03").await;
    assert_eq!((report.counts.sent, report.state.as_str()), (4, "finished"));
}

#[tokio::test]
async fn skipping_a_held_edition_ends_what_is_late_and_the_rest_goes_on() {
    let story = Story::new(3).await;
    story.add_person("Auckland", "zone = 'Pacific/Auckland'").await;
    story.add_person("Honolulu", "zone = 'Pacific/Honolulu'").await;
    story.schedule_with(|new| new.subscriber_zone = true).await;
    story.sweep_at("2026-01-12T18:40:00Z").await;
    story.sweep_at("2026-01-13T12:00:00Z").await;
    assert!(story.claim(10).await.is_empty());
    assert_eq!(story.states().await[FIRST], "held");
    assert_eq!(edition::skip(&mut *story.conn().await, NAME, story.app.now()).await.expect("skipped"), [FIRST]);
    assert_eq!(story.outcome(FIRST).await, ["Auckland: skipped 1 too late", "Honolulu: queued 1"]);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 1, "what was not sent is free for the next edition");
    story.app.clock.set(at("2026-01-13T19:00:00Z"));
    story.send().await;
    assert_eq!(story.outcome(FIRST).await, ["Auckland: skipped 1 too late", "Honolulu: sent 1"]);
    assert_eq!(story.states().await[FIRST], "finished");
    let nothing = edition::release(&mut *story.conn().await, NAME, story.app.now()).await.expect_err("nothing held");
    assert!(matches!(nothing, CampaignError::NothingHeld(_)));
}

#[tokio::test]
async fn an_edition_that_is_late_as_a_whole_and_skipped_is_skipped() {
    let story = Story::new(3).await;
    story.add_people(3).await;
    story.schedule().await;
    story.sweep_at("2026-01-14T12:00:00Z").await;
    story.claim(10).await;
    edition::skip(&mut *story.conn().await, NAME, story.app.now()).await.expect("skipped");
    let report = story.edition(FIRST).await;
    assert_eq!((report.state.as_str(), report.reason.as_deref(), report.counts.skipped), ("skipped", Some("too late"), 3));
    story.sweep_at("2026-01-20T09:00:00Z").await;
    story.send().await;
    assert_eq!(story.edition(SECOND).await.counts.sent, 3);
}

#[tokio::test]
async fn a_campaign_that_says_fire_or_skip_asks_nobody() {
    for (late, sent, skipped) in [(Late::Fire, 3, 0), (Late::Skip, 0, 3)] {
        let story = Story::new(3).await;
        story.add_people(3).await;
        story.schedule_with(|new| new.late = late).await;
        story.sweep_at("2026-01-14T12:00:00Z").await;
        story.send().await;
        let report = story.edition(FIRST).await;
        assert_eq!((report.counts.sent, report.counts.skipped), (sent, skipped), "{late:?}");
    }
}

#[tokio::test]
async fn pausing_stops_everything_and_resuming_starts_its_time_anew() {
    let story = Story::new(3).await;
    story.add_people(40).await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    let in_flight = story.mark(story.claim(5).await).await;
    let claimed = story.claim(5).await;
    let mut conn = story.conn().await;
    campaign::pause(&mut conn, NAME, "a wrong word in the tip", story.app.now()).await.expect("paused");
    assert_eq!(story.states().await[FIRST], "paused");
    assert!(story.claim(10).await.is_empty());
    assert!(story.mark(claimed).await.is_empty(), "what was only claimed goes back");
    story.record(&in_flight, Ending::Sent).await;
    assert!(matches!(edition::run(&mut conn, NAME, true, story.app.now()).await, Err(CampaignError::State { .. })));

    story.sweep_at("2026-01-14T10:00:00Z").await;
    let resumed = campaign::resume(&mut conn, NAME, story.app.now()).await.expect("resumed");
    assert_eq!((resumed.state, resumed.reason), (CampaignState::Running, None));
    story.send().await;
    let report = story.edition(FIRST).await;
    assert_eq!((report.counts.sent, report.state.as_str()), (40, "finished"), "25 hours late, and neither too late nor expired");
    assert!(matches!(campaign::resume(&mut conn, NAME, story.app.now()).await, Err(CampaignError::State { .. })));
}

#[tokio::test]
async fn what_came_due_in_a_pause_is_taken_up_once_and_the_older_is_recorded_as_skipped() {
    let story = Story::new(9).await;
    story.add_people(2).await;
    story.schedule().await;
    let mut conn = story.conn().await;
    campaign::pause(&mut conn, NAME, "holiday", story.app.now()).await.expect("paused");
    story.sweep_at("2026-01-27T10:00:00Z").await;
    assert!(story.states().await.is_empty());
    assert_eq!(campaign::resume(&mut conn, NAME, story.app.now()).await.expect("resumed").state, CampaignState::Scheduled);
    story.sweep().await;
    story.send().await;
    let editions = story.texts("SELECT concat_ws(' ', occurrence, state, reason) FROM editions ORDER BY starts_at").await;
    assert_eq!(
        editions,
        [
            "2026-01-13 skipped missed while the campaign was paused",
            "2026-01-20 skipped missed while the campaign was paused",
            "2026-01-27 finished"
        ]
    );
}

#[tokio::test]
async fn a_pause_while_an_edition_is_planned_goes_on_where_it_was() {
    let story = Story::new(3).await;
    story.add_people(7_000).await;
    story.schedule().await;
    story.app.clock.set(at("2026-01-13T08:40:00Z"));
    let (mut conn, now) = (story.conn().await, story.app.now());
    let edition = due::open_due(&mut conn, now).await.expect("open")[0];
    assert!(!tidings::campaigns::planning::plan_slice(&mut conn, edition, now).await.expect("a slice").done);
    campaign::pause(&mut conn, NAME, "wait", now).await.expect("paused");
    assert!(tidings::campaigns::planning::plan_slice(&mut conn, edition, now).await.expect("nothing").done);
    let report = story.edition(FIRST).await;
    assert_eq!((report.counts.planned, report.counted, report.counts.to_do), (None, 5_000, 5_000));
    campaign::resume(&mut conn, NAME, now).await.expect("resumed");
    story.sweep().await;
    let report = story.edition(FIRST).await;
    assert_eq!((report.counts.planned, report.counts.to_do, report.state.as_str()), (Some(7_000), 7_000, "scheduled"));
}

#[tokio::test]
async fn cancelling_ends_what_was_not_handed_over_and_frees_its_tips() {
    let story = Story::new(3).await;
    story.add_people(30).await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    let sent = story.mark(story.claim(4).await).await;
    story.record(&sent, Ending::Sent).await;
    let in_flight = story.mark(story.claim(2).await).await;
    story.claim(3).await;
    let mut conn = story.conn().await;
    assert_eq!(campaign::cancel(&mut conn, NAME, story.app.now()).await.expect("cancelled"), 24);
    let report = story.edition(FIRST).await;
    assert_eq!((report.counts.sent, report.counts.cancelled, report.counts.to_do), (4, 24, 2));
    assert_eq!(report.counts.reasons["campaign cancelled"], 24);
    assert_eq!(story.number("SELECT count(*) FROM segments_given").await, 6);
    // One of those in flight is put off by the relay: it is not tried again.
    story.record(&in_flight[..1], Ending::Sent).await;
    story.record(&in_flight[1..], Ending::Deferred { until: story.app.now() + SignedDuration::from_mins(5), counted: true }).await;
    story.sweep_at("2026-01-20T09:00:00Z").await;
    let report = story.edition(FIRST).await;
    assert_eq!((report.counts.sent, report.counts.cancelled, report.counts.to_do, report.state.as_str()), (5, 25, 0, "cancelled"));
    assert_eq!(story.states().await.len(), 1, "no other edition opens");
    let again = campaign::cancel(&mut conn, NAME, story.app.now()).await.expect_err("cancelled already").to_string();
    assert!(again.contains("is cancelled: nothing of it is left to cancel"), "{again}");
}

#[tokio::test]
async fn an_edition_whose_row_another_sweep_holds_is_waited_for_and_finished() {
    let story = Story::new(3).await;
    story.add_people(1).await;
    story.schedule().await;
    story.app.clock.set(at("2026-01-13T09:00:00Z"));
    story.sweep().await;
    let marked = story.mark(story.claim(1).await).await;
    story.record(&marked, Ending::Sent).await;
    // Another sweep holds the edition: what it saw of it, and whether it will end well, nobody else knows.
    let mut other = story.app.db.pool.begin().await.expect("a transaction");
    let held: Vec<i64> = sqlx::query_scalar("SELECT id FROM editions WHERE state = 'running' FOR NO KEY UPDATE")
        .fetch_all(&mut *other)
        .await
        .expect("a row");
    assert_eq!((held.len(), marked.len()), (1, 1));
    let (mut conn, now) = (story.conn().await, story.app.now());
    let finishing = tokio::spawn(async move { due::finish(&mut conn, now).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while !finishing.is_finished() && story.number(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    other.commit().await.expect("the other lets go");
    assert_eq!(finishing.await.expect("no panic").expect("finished"), held);
    assert_eq!(story.edition(FIRST).await.state.as_str(), "finished");
}

#[tokio::test]
async fn a_run_within_six_days_wants_a_yes_and_the_rules_own_editions_stay() {
    let story = Story::new(9).await;
    story.add_people(2).await;
    story.schedule().await;
    let mut conn = story.conn().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    story.send().await;
    story.app.clock.set(at("2026-01-19T08:59:59Z"));
    let lately = edition::run(&mut conn, NAME, false, story.app.now()).await.expect_err("a question");
    assert!(matches!(lately, CampaignError::RanLately { ref edition, .. } if edition == FIRST), "{lately}");
    story.app.clock.set(at("2026-01-19T09:00:00Z"));
    edition::run(&mut conn, NAME, false, story.app.now()).await.expect("six days later");
    let second = edition::run(&mut conn, NAME, true, story.app.now()).await.expect("another in the same second");
    assert_eq!(second.to_string(), "2026-01-19T09:00:01Z");
    story.sweep().await;
    story.send().await;
    story.sweep_at("2026-01-20T09:00:00Z").await;
    assert_eq!(
        story.texts("SELECT occurrence || ' ' || by_operator FROM editions ORDER BY id").await,
        ["2026-01-13 false", "2026-01-19T09:00:00Z true", "2026-01-19T09:00:01Z true", "2026-01-20 false"]
    );
    let acts = story.texts("SELECT act || ' ' || detail FROM operator_acts WHERE act = 'run' ORDER BY id").await;
    assert_eq!(acts, ["run 2026-01-19T09:00:00Z", "run 2026-01-19T09:00:01Z"]);
    let one = report::report(&mut conn, NAME, Some("2026-01-19T10:00:00+01:00")).await.expect("the instant in any offset");
    assert_eq!(one.editions.len(), 1);
    let unknown = report::report(&mut conn, NAME, Some("2026-01-21")).await.expect_err("no such edition").to_string();
    assert_eq!(
        unknown,
        "campaign `weekly tips` has no edition `2026-01-21`; there are `2026-01-20`, `2026-01-19T09:00:01Z`, `2026-01-19T09:00:00Z` and `2026-01-13`"
    );
}

#[tokio::test]
async fn the_refusal_that_pauses_an_edition_pauses_its_campaign() {
    let story = Story::new(3).await;
    story.add_people(3).await;
    story.schedule().await;
    story.sweep_at("2026-01-13T09:00:00Z").await;
    story.run("UPDATE editions SET state = 'paused', resume_to = 'running', reason = '5.7.26'").await;
    story.sweep().await;
    let campaign = store::find(&mut *story.conn().await, NAME).await.expect("a campaign");
    assert_eq!((campaign.state, campaign.reason.as_deref()), (CampaignState::Paused, Some("5.7.26")));
    campaign::resume(&mut *story.conn().await, NAME, story.app.now()).await.expect("resumed");
    story.sweep().await;
    story.send().await;
    assert_eq!(story.edition(FIRST).await.counts.sent, 3);
}

#[tokio::test]
async fn a_claim_goes_on_where_the_last_one_ended_and_one_from_the_start_finds_what_came_back() {
    let story = Story::new(1).await;
    story.add_people(10).await;
    story.schedule().await;
    story.run_edition().await;
    let edition = story.number("SELECT id FROM editions WHERE state = 'running'").await;
    let claim = async |from: Place, limit: i64| {
        let conn = &mut *story.conn().await;
        claim::edition(conn, story.worker, (edition, from), story.app.now(), limit).await.expect("a claim")
    };
    let first = claim(Place::START, 3).await;
    let second = claim(first.reached.expect("three were picked"), 3).await;
    assert_eq!((first.taken.len(), second.taken.len()), (3, 3));
    let back: Vec<_> = first.taken.into_iter().map(|claimed| (claimed.clone(), claimed.fence)).collect();
    story.record(&back, Ending::NotBegun).await;
    let third = claim(second.reached.expect("three more"), 10).await;
    assert_eq!((third.taken.len(), claim(third.reached.expect("the rest"), 10).await.reached), (4, None));
    let again = claim(Place::START, 10).await;
    let ids = |claimed: &[Claimed]| claimed.iter().map(|claimed| claimed.key.id).collect::<Vec<_>>();
    assert_eq!(ids(&again.taken), back.iter().map(|(claimed, _)| claimed.key.id).collect::<Vec<_>>());
    for claimed in [second.taken, third.taken, again.taken] {
        story.record(&story.mark(claimed).await, Ending::Sent).await;
    }
}
