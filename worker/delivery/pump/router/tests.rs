use super::*;
use crate::base::config::Config;
use crate::delivery::{
    Key,
    pump::health::Trouble,
    relay::{MemoryBox, Relay},
};
use proptest::prelude::*;

const NEWS: i64 = 7;

fn outlet(name: &str) -> Outlet {
    Outlet::new(name, Relay::memory(&MemoryBox::default()), 2)
}

fn router(outlets: Vec<Outlet>, size: u16) -> Router {
    let outlets: Vec<_> = outlets.into_iter().map(Arc::new).collect();
    let mut router = Router::new(&outlets, size, &Arc::default());
    router.know_topics([(NEWS, "news".to_owned())]);
    router
}

fn pace() -> Pace {
    Pace::new(&Config::load(None, &HashMap::new()).unwrap())
}

fn held(edition_id: Option<i64>, topic_id: Option<i64>) -> Held {
    let claimed = Claimed {
        key: Key { period: jiff::civil::date(2026, 1, 1), id: 1 },
        fence: 1,
        attempts: 0,
        breaks: 0,
        edition_id,
        subscriber_id: Some(1),
        topic_id,
        tip_revision_id: None,
        template: "weekly_tip".to_owned(),
        context: None,
        address: "ana@example.org".to_owned(),
        name: None,
        handed_over_at: None,
        due_at: Timestamp::UNIX_EPOCH,
        deadline: Timestamp::MAX,
        template_version: None,
    };
    Held { claimed: Box::new(claimed), since: Instant::now(), pass: Pass::default() }
}

fn goes_down(router: &Router, name: &str) {
    let lane = router.lanes().iter().find(|lane| lane.outlet.name == name).expect("a lane");
    lane.cannot_connect(Trouble { why: "cannot be reached".to_owned(), refused_us: name == "strict" });
}

/// Which lanes mail of a kind may go to.
fn names(router: &Router, kind: Kind) -> Vec<&str> {
    router.tier(kind).up.iter().map(|&i| router.lanes()[i].outlet.name.as_str()).collect()
}

/// How many wait in each lane for a router that is given one mail of an edition after the other.
fn waiting(router: &mut Router, mails: usize) -> Vec<usize> {
    for _ in 0..mails {
        assert!(router.route(held(Some(1), None), &pace(), Timestamp::UNIX_EPOCH).is_ok(), "there is room");
    }
    router.lanes().iter().map(|lane| lane.whole() - lane.room().others).collect()
}

#[tokio::test]
async fn of_the_relays_that_are_up_those_of_the_lowest_priority_are_used() {
    let router = router(vec![outlet("one"), outlet("two"), Outlet { priority: 5, ..outlet("stands by") }], 100);
    let any = Kind::of_topic(None);
    assert_eq!(names(&router, any), ["one", "two"]);
    goes_down(&router, "one");
    assert_eq!(names(&router, any), ["two"]);
    goes_down(&router, "two");
    assert_eq!(names(&router, any), ["stands by"]);
    goes_down(&router, "stands by");
    assert!(router.tier(any).is_out() && router.trouble(any).is_some());
}

#[tokio::test]
async fn pinned_mail_goes_to_its_relay_alone_and_falls_back_only_where_it_may() {
    for fall_back in [false, true] {
        let news = Outlet { topics: vec!["news".to_owned()], only: true, fall_back, ..outlet("news") };
        let quick = Outlet { transactional: true, ..outlet("quick") };
        let router = router(vec![outlet("main"), news, quick], 100);
        assert_eq!(names(&router, Kind::of_topic(Some(NEWS))), ["news"]);
        assert_eq!(names(&router, Kind::TRANSACTIONAL), ["quick"]);
        assert_eq!(names(&router, Kind::of_topic(Some(NEWS + 1))), ["main", "quick"]);
        goes_down(&router, "news");
        let expected: &[&str] = if fall_back { &["main", "quick"] } else { &[] };
        assert_eq!(names(&router, Kind::of_topic(Some(NEWS))), expected);
    }
}

#[tokio::test]
async fn a_refused_login_is_the_trouble_that_is_told() {
    let router = router(vec![outlet("main"), outlet("strict")], 100);
    goes_down(&router, "strict");
    goes_down(&router, "main");
    let (name, trouble) = router.trouble(Kind::of_topic(None)).expect("trouble");
    assert_eq!((name, trouble.refused_us), ("strict", true));
}

#[tokio::test]
async fn what_waits_for_a_relay_that_goes_down_comes_back_to_be_routed_anew() {
    let mut router = router(vec![outlet("one"), outlet("two")], 40);
    assert_eq!(waiting(&mut router, 20), [10, 10]);
    assert!(router.route(held(None, None), &pace(), Timestamp::UNIX_EPOCH).is_ok());
    goes_down(&router, "one");
    let back: Vec<Held> = router.lanes()[0].came_back();
    assert_eq!(back.len(), 11, "the transactional one too");
    assert_eq!(back[0].claimed.edition_id, None, "which is first");
    for held in back {
        assert!(router.route(held, &pace(), Timestamp::UNIX_EPOCH).is_ok());
    }
    goes_down(&router, "two");
    assert!(matches!(router.route(held(Some(1), None), &pace(), Timestamp::UNIX_EPOCH), Err((_, Way::Back))));
    assert!(matches!(router.route(held(None, None), &pace(), Timestamp::UNIX_EPOCH), Err((_, Way::Later(..)))));
}

#[tokio::test]
async fn a_full_relay_keeps_claims_to_its_share_and_one_that_is_behind_does_not() {
    let mut router = router(vec![Outlet { weight: 3, ..outlet("heavy") }, outlet("light")], 80);
    let tier = router.tier(Kind::of_topic(None));
    assert_eq!(router.room(&tier).others, 80);
    assert_eq!(waiting(&mut router, 60), [45, 15]);
    // The light one is done with all of its own: still a quarter of what is claimed is for it.
    for _ in 0..15 {
        assert!(matches!(router.lanes()[1].turn(0).await, super::super::lane::Turn::Serve(_)));
    }
    let room = router.room(&tier);
    assert_eq!(room.others, 20);
    assert!(!router.is_worth(&tier, room));
    router.behind[0] = true;
    let room = router.room(&tier);
    assert_eq!(room.others, 15 + 20);
    assert!(router.is_worth(&tier, room));
}

proptest! {
    #[test]
    fn mails_go_by_the_weights_to_within_one_of_each(weights in prop::collection::vec(1u16..20, 1..5), rounds in 1usize..8) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let outlets = weights.iter().map(|&weight| Outlet { weight, ..outlet("some") }).collect();
            let total: usize = weights.iter().map(|w| usize::from(*w)).sum();
            let mut router = router(outlets, 1_000);
            let expected: Vec<usize> = weights.iter().map(|w| usize::from(*w) * rounds).collect();
            let found = waiting(&mut router, total * rounds);
            let near = found.iter().zip(&expected).all(|(found, expected)| found.abs_diff(*expected) <= 1);
            assert!(near, "{found:?} for {expected:?}");
        });
    }
}
