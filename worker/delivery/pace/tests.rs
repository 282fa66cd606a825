use super::{
    reserve::{Limits, Row, Wish, reserve},
    terms::{Terms, WarmUp, allowed, between, day_of, opening, window_of, window_start},
    trouble::{Answers, HALVED_FOR, LastMinute, Trouble},
    *,
};
use crate::delivery::pace::local::Local;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BEGINNING: i64 = 1_790_000_000;

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(BEGINNING * 1_000 + milliseconds).unwrap()
}

fn config(variables: &[(&str, &str)]) -> Config {
    Config::load(None, &variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()).unwrap()
}

proptest! {
    #[test]
    fn the_windows_of_a_rate_add_up_to_it_and_never_to_more(mails in 1_u64..5_000, unit in prop::sample::select(vec![1_u64, 60, 3_600, 86_400]), from in 0_i64..200_000) {
        let per_day = mails * (86_400 / unit);
        let seconds = window_of(per_day);
        let first = window_start(at(from * 1_000), 86_400);
        let step = i64::try_from(seconds).unwrap();
        let windows = 86_400 / step;
        let mut sum = 0;
        for n in 0..windows.min(5_000) {
            let start = Timestamp::from_second(first.as_second() + n * step).unwrap();
            let allowed = allowed(per_day, start, seconds);
            prop_assert!(allowed <= per_day.div_ceil(86_400 / seconds));
            sum += allowed;
        }
        if windows <= 5_000 {
            prop_assert_eq!(sum, per_day);
        }
    }

    #[test]
    fn a_slot_lies_in_a_window_that_has_room_and_no_earlier_one_from_then_on_has(per_day in 1_u64..2_000_000, seconds in prop::sample::select(vec![1_u64, 10, 60]), after in 0_i64..1_000_000) {
        let from = at(after);
        let slot = opening(per_day, seconds, from);
        prop_assert!(slot >= from);
        prop_assert!(allowed(per_day, window_start(slot, seconds), seconds) > 0);
        let between_them = slot.duration_since(from);
        prop_assert!(between_them <= between(per_day) + jiff::SignedDuration::from_secs(2 * seconds as i64), "{between_them:?}");
    }

    // Workers ask, use and keep permits as they like, one after the other in any order: of no window and of no day more is used than there is.
    #[test]
    fn whatever_workers_do_no_window_and_no_day_gives_more_than_its_limit(
        mails in 1_u64..40,
        seconds in prop::sample::select(vec![1_u64, 60]),
        plan in prop::collection::vec(1_u32..400, 1..4),
        planned in any::<bool>(),
        acts in prop::collection::vec((0_usize..4, 0_u64..30, 0_u64..30, 0_i64..1_500), 1..300),
    ) {
        let per_day = mails * (86_400 / seconds);
        // So that the second day begins in the middle.
        let start = 86_400_000 - (BEGINNING * 1_000) % 86_400_000 - 60_000;
        let plan = WarmUp { from: day_of(at(start)), days: plan };
        let warm_up = planned.then_some(&plan);
        let limits = Limits { per_day: Some(per_day), seconds: window_of(per_day), warm_up, flow: 1_000 };
        let mut row = Row::default();
        let mut workers: Vec<Local> = (0..4).map(|_| Local::default()).collect();
        let mut used: BTreeMap<Timestamp, u64> = BTreeMap::new();
        let mut days: BTreeMap<jiff::civil::Date, u64> = BTreeMap::new();
        let mut now = start;
        for (who, asks, uses, passes) in acts {
            now += passes;
            let worker = &mut workers[who];
            let wish = worker.wish(asks, at(now));
            if wish != Wish::default() {
                let grant = reserve(&mut row, &limits, &wish, at(now));
                prop_assert_eq!(grant.mails + grant.slots.len() as u64, wish.mails);
                prop_assert!(grant.slots.is_sorted());
                worker.note(grant, at(now), at(now));
            }
            now += passes / 3;
            for _ in 0..uses {
                if worker.has_room(true, false, at(now)) {
                    worker.take(at(now));
                    *used.entry(window_start(at(now), limits.seconds)).or_default() += 1;
                    *days.entry(day_of(at(now))).or_default() += 1;
                }
            }
        }
        for (window, used) in used {
            prop_assert!(used <= allowed(per_day, window, limits.seconds), "{} in the window of {}", used, window);
        }
        for (day, used) in days.into_iter().filter(|_| planned) {
            prop_assert!(plan.on(day).is_none_or(|limit| used <= u64::from(limit)), "{} on {}", used, day);
        }
    }

    #[test]
    fn what_backs_off_is_never_faster_than_before_and_comes_back_by_itself(whole in 2_u64..10_000_000, alarms in prop::collection::vec(0_i64..400, 0..30)) {
        let mut now = at(0);
        let mut trouble = Trouble::new(whole, "451".to_owned(), now);
        prop_assert!(trouble.per_day(now).is_some_and(|rate| rate <= whole / 2));
        for pause in alarms {
            let (before, passed) = (trouble.per_day(now), jiff::SignedDuration::from_secs(pause));
            now += passed;
            let due = trouble.per_day(now);
            if trouble.again("421".to_owned(), now) {
                prop_assert!(trouble.per_day(now).unwrap() <= due.unwrap_or(whole).div_ceil(2));
            } else {
                prop_assert!(passed < HALVED_FOR || before.is_some());
            }
            prop_assert!(trouble.per_day(now).is_none_or(|rate| (1..whole).contains(&rate)));
        }
        let quiet = now + jiff::SignedDuration::from_mins(11);
        prop_assert_eq!(trouble.per_day(quiet), None, "ten tenths are enough");
    }
}

#[test]
fn a_window_is_as_short_as_ten_mails_and_the_slots_of_a_slow_rate_are_where_it_has_room() {
    let windows = ["20/s", "5/s", "1/s", "1000/h", "100/h", "10/d"].map(|rate| {
        let terms = Terms::of_group(&config(&[("TIDINGS_PACE__GMAIL__RATE", rate)]).pace["gmail"]);
        window_of(terms.per_day().unwrap())
    });
    assert_eq!(windows, [1, 10, 10, 60, 600, 86_400]);
}

#[test]
fn five_hundred_wait_in_a_row_behind_fifty_a_second() {
    let limits = Limits { per_day: Some(50 * 86_400), seconds: 1, warm_up: None, flow: 1 };
    let mut row = Row::default();
    let grant = reserve(&mut row, &limits, &Wish { mails: 200, ..Wish::default() }, at(300));
    assert_eq!((grant.mails, grant.until, grant.slots.len()), (50, at(1_000), 150));
    assert_eq!((grant.slots[0], grant.slots[50], grant.slots[149]), (at(1_000), at(2_000), at(3_980)));
    let more = reserve(&mut row, &limits, &Wish { mails: 100, ..Wish::default() }, at(400));
    assert_eq!((more.mails, more.slots[0], more.slots[99]), (0, at(4_000), at(5_980)), "another worker goes on behind them");
    // Nobody comes in the next two seconds: what waited was cancelled.
    let later = reserve(&mut row, &limits, &Wish { mails: 60, ..Wish::default() }, at(3_500));
    assert_eq!((later.mails, later.slots[0]), (50, at(4_000)));
}

#[test]
fn a_plan_by_day_lets_its_mails_go_and_spreads_the_others_over_the_days_that_come() {
    let start = -(BEGINNING * 1_000 % 86_400_000);
    let plan = WarmUp { from: day_of(at(start)), days: vec![10, 20] };
    let limits = Limits { per_day: None, seconds: 1, warm_up: Some(&plan), flow: 86_400 };
    let mut row = Row::default();
    let nine = at(start + 9 * 3_600_000);
    let grant = reserve(&mut row, &limits, &Wish { mails: 31, ..Wish::default() }, nine);
    let day = |n: i64| at(start + n * 86_400_000);
    assert_eq!((grant.mails, grant.until), (10, day(1)));
    assert_eq!((grant.slots[0], grant.slots[19], grant.slots[20]), (day(1), day(2) - between(20), day(2)));
    let back = Wish { back: Some((plan.from, 4)), mails: 5, ..Wish::default() };
    assert_eq!(reserve(&mut row, &limits, &back, nine).mails, 4, "what was not used is there for another");
    let gone = Wish { gone: 3, ..Wish::default() };
    reserve(&mut row, &limits, &gone, day(1));
    assert_eq!(reserve(&mut row, &limits, &Wish { mails: 20, ..Wish::default() }, day(1)).mails, 17, "confirmations are counted");
    assert_eq!(reserve(&mut row, &limits, &Wish { mails: 9_999, ..Wish::default() }, day(2)).mails, 9_999, "the plan is over");
}

#[test]
fn domains_are_found_in_their_groups_however_they_are_spelled() {
    let config = config(&[
        ("TIDINGS_PACE__SCHOOLS__DOMAINS", "*.edu.example, Bücher.example"),
        ("TIDINGS_PACE__ONE__DOMAINS", "a.edu.example"),
        ("TIDINGS_PACE__ONE__RATE", "1/s"),
    ]);
    let pace = Pace::new(&config);
    let of = |address: &str| pace.groups.of(address).map(|name| name.to_string());
    for (address, group) in [
        ("ana@gmail.com", Some("group:gmail")),
        ("Ana@GoogleMail.com", Some("group:gmail")),
        ("ana@b.edu.example", Some("group:schools")),
        ("ana@a.b.edu.example", Some("group:schools")),
        ("ana@a.edu.example", Some("group:one")),
        ("ana@edu.example", None),
        ("ana@tenant.onmicrosoft.com", Some("group:outlook")),
        ("ana@bücher.example", Some("group:schools")),
        ("ana@xn--bcher-kva.example", Some("group:schools")),
        ("ana@gmail.com.example", None),
    ] {
        assert_eq!(of(address).as_deref(), group, "{address}");
    }
}

#[test]
fn where_nothing_is_limited_everything_goes() {
    let pace = Pace::new(&config(&[]));
    assert!(!pace.is_on());
    let mail = Mail { address: "ana@gmail.com", urgent: false };
    assert!(matches!(pace.admit("main", mail, at(0)), Admission::Go(_)));
    assert!(pace.chores(true, at(0)).is_none(), "nothing is to be written");
}

#[test]
fn a_fifth_of_the_last_fifty_is_too_many_and_twenty_are_enough_to_tell() {
    let mut answers = Answers::default();
    let alarms: Vec<usize> = (1..=100).filter(|n| answers.take(if n % 6 == 0 { 451 } else { 250 }).is_some()).collect();
    assert!(alarms.is_empty(), "a sixth is borne: {alarms:?}");
    let mut answers = Answers::default();
    let first = (1..=100).find(|_| answers.take(421).is_some());
    assert_eq!(first, Some(20));
    assert!((0..100).all(|_| answers.take(550).is_none()), "a refusal for good says nothing about the pace");
}

#[test]
fn the_last_minute_forgets_what_is_older() {
    let mut minute = LastMinute::default();
    (0..30).for_each(|n| minute.count(at(n * 1_000)));
    assert_eq!(minute.per_day(at(30_000)) / 1_440, 30);
    assert_eq!(minute.per_day(at(200_000)), 0);
}

// Two workers claim by turns what is due, 200 at once, twenty times a second, once a second when there is nothing more.
#[test]
fn of_many_mails_to_a_slow_provider_each_is_touched_about_twice_and_no_time_is_lost() {
    let limits = Limits { per_day: Some(50 * 86_400), seconds: 1, warm_up: None, flow: 1 };
    let mails = 20_000;
    let mut row = Row::default();
    let mut waiting: std::collections::BTreeSet<(Timestamp, u64)> = (0..mails).map(|id| (at(0), id)).collect();
    let (mut touched, mut now, mut looks) = (0, 130, 0);
    while !waiting.is_empty() {
        let claimed: Vec<(Timestamp, u64)> = waiting.range(..=(at(now), u64::MAX)).take(200).copied().collect();
        claimed.iter().for_each(|one| assert!(waiting.remove(one)));
        touched += claimed.len();
        looks += 1;
        if !claimed.is_empty() {
            let grant = reserve(&mut row, &limits, &Wish { mails: claimed.len() as u64, ..Wish::default() }, at(now));
            let put_off = &claimed[usize::try_from(grant.mails).unwrap()..];
            waiting.extend(put_off.iter().zip(grant.slots).map(|((_, id), slot)| (slot.max(at(now + 200)), *id)));
        }
        now += if claimed.len() == 200 { 50 } else { 503 + looks % 7 };
    }
    let (claims, seconds) = (touched as f64 / mails as f64, now as f64 / 1_000.0);
    assert!(claims < 2.3, "{claims} claims for each mail");
    assert!(seconds < mails as f64 / 50.0 * 1.05, "{seconds} s");
}
