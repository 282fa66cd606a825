//! Faults under the real binary, in small numbers: the scenes of the lab, each of which closes with its sums by name.

use std::time::Duration;

use crate::lab::outages::{self, Cut};
use crate::lab::{answers, imports, leaving, poison, refusals, times};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_postgres_is_cut_off_begins_nothing_more_and_goes_on_when_it_is_back() {
    let time = Duration::from_secs(4);
    let (one, other) = tokio::join!(outages::cut_off(Cut::Swallowed, time, 400), outages::cut_off(Cut::Frozen, time, 400));
    one.assert_holds();
    other.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_postgres_has_no_room_left_stops_says_so_and_goes_on() {
    let outcome = outages::disk_full(Duration::from_secs(1), 400).await;
    match outcome.skipped_run {
        true => println!("not run: {}", outcome.remark),
        false => outcome.assert_holds(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_was_taken_without_a_word_is_held_and_not_sent_again() {
    answers::takes_without_a_word(10, 200).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_fails_and_when_we_are_refused_everything_waits_and_nobody_fails() {
    refusals::of_every_tenth(300).await.assert_holds();
    refusals::of_who_we_are(300, false).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_year_with_all_changes_of_the_clocks_every_week_has_its_one_edition() {
    times::changes_of_the_clocks(52).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_schedulers_that_start_at_once_open_one_edition_of_each_campaign() {
    times::four_schedulers(3, 60).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_people_leave_while_their_edition_is_planned_and_sent() {
    leaving::in_the_middle(200, 2_000).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_with_every_kind_of_bad_row_that_is_killed_half_way_brings_in_all_good_ones_and_lists_the_others() {
    imports::killed_half_way(2_000_000, 1).await.assert_holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_and_a_tip_that_no_mail_can_be_made_of_are_recorded_and_everybody_else_is_mailed() {
    let (one, other) = tokio::join!(poison::subscribers(2, 200), poison::tip(100));
    one.assert_holds();
    other.assert_holds();
}
