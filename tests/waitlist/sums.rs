//! The report of an opening adds up, whatever happened in it and whether or not a sweep ran.

use tidings::waitlist::offer;
use tidings::waitlist::opening;
use tidings::waitlist::report::{self, Report};

use super::stage::{HOUR, SLUG, Stage};

#[tokio::test]
async fn the_report_of_an_opening_adds_up_after_every_step() {
    let (stage, entries) = Stage::with(9).await;
    stage.joins(20).await;
    stage.suppress(entries[8]).await;
    stage.open(4).await;
    assert_eq!(figures(&stage).await.free, 0);
    stage.accept(entries[0]).await;
    stage.decline(entries[1]).await;
    let report = figures(&stage).await;
    assert_eq!((report.free, report.conversion), (1, Some(0.5)), "freed, and not offered yet");
    stage.advance().await;
    offer::revoke(&mut *stage.conn().await, stage.offer_of(entries[2]).await, "a mistake", stage.now()).await.unwrap();
    stage.advance().await;
    stage.bounce(stage.offer_of(entries[3]).await).await;
    let report = figures(&stage).await;
    assert_eq!((report.revoked, report.open, report.free), (2, 2, 1), "what bounced counts so before anybody swept");
    assert!(report.open_offers.iter().all(|open| open.seconds_left == Some(48 * 3_600)));
    stage.app.wait(HOUR * 48);
    assert_eq!(figures(&stage).await.expired, 2);
    stage.advance().await;
    stage.withdraw(entries[0]).await;
    opening::change_seats(&mut *stage.conn().await, SLUG, None, -3, stage.now()).await.unwrap();
    let report = figures(&stage).await;
    assert_eq!((report.given_back, report.seats(), report.excess), (1, 1, report.open - 1));
    while let Some(entry_id) = stage.offered().await.first() {
        stage.accept(*entry_id).await;
        figures(&stage).await;
    }
    let report = figures(&stage).await;
    assert_eq!(report.seconds_to_fill, Some(48 * 3_600));
    assert!(report.accepted >= report.seats());
}

trait Seats {
    fn seats(&self) -> i64;
}

impl Seats for Report {
    fn seats(&self) -> i64 {
        self.opening.seats.into()
    }
}

async fn figures(stage: &Stage) -> Report {
    let report = report::report(&mut *stage.conn().await, SLUG, None, stage.now()).await.expect("a report");
    let by_state = report.open + report.accepted + report.given_back + report.declined + report.expired + report.revoked;
    assert_eq!(report.offers, by_state, "{report:?}");
    assert_eq!(report.offers, stage.number("SELECT count(*) FROM offers").await);
    assert_eq!(report.seats(), report.accepted + report.held + report.free - report.excess, "{report:?}");
    assert_eq!(report.open as usize, report.open_offers.len());
    let line = report.waiting + report.passed_over + report.unconfirmed;
    // Whose offer is over stands in the line again, swept or not.
    let over = format!("SELECT count(*) FROM offer_terms WHERE state = 'open' AND over_at <= '{}'", stage.now());
    assert_eq!(
        line,
        stage.number("SELECT count(*) FROM entries WHERE state IN ('waiting', 'unconfirmed')").await + stage.number(&over).await
    );
    report
}
