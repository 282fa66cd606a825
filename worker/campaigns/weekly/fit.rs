//! Which tips fit which stage, as strings of bits that the planning statement looks up by a subscriber's age in days.
//!
//! Pure. A bit stands for each approved tip in the order of the series; `weekly` passes the outcome to `plan.sql`.

/// An approved tip.
#[derive(Debug, Clone, Copy)]
pub(in crate::campaigns) struct Tip {
    pub(in crate::campaigns) segment_id: i64,
    pub(in crate::campaigns) revision_id: i64,
    /// From and to in whole weeks since the stage date, the end not included.
    pub(in crate::campaigns) window: Option<(i32, i32)>,
}

/// What fits at every age.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fits {
    /// The days since the stage date at which what fits may change, in order.
    pub(super) edges: Vec<i64>,
    /// What fits below the first edge or without a stage date, then from each edge on.
    pub(super) masks: Vec<String>,
}

/// What fits at every age, by the windows of `tips`.
pub(super) fn fits(tips: &[Tip]) -> Fits {
    let mut edges: Vec<i64> = tips.iter().filter_map(|tip| tip.window).flat_map(|(from, to)| [days(from), days(to)]).collect();
    edges.sort_unstable();
    edges.dedup();
    let ages = std::iter::once(None).chain(edges.iter().copied().map(Some));
    let masks = ages.map(|age| tips.iter().map(|tip| if tip.holds_at(age) { '1' } else { '0' }).collect()).collect();
    Fits { edges, masks }
}

impl Tip {
    /// Whether it fits at an age of so many days since the stage date, or without one.
    pub(in crate::campaigns) fn holds_at(&self, age: Option<i64>) -> bool {
        match (self.window, age) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((from, to)), Some(age)) => (days(from)..days(to)).contains(&age),
        }
    }
}

fn days(weeks: i32) -> i64 {
    i64::from(weeks) * 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tip(window: Option<(i32, i32)>) -> Tip {
        Tip { segment_id: 1, revision_id: 1, window }
    }

    #[test]
    fn tips_without_a_window_fit_everyone() {
        assert_eq!(fits(&[tip(None), tip(None)]), Fits { edges: vec![], masks: vec!["11".to_owned()] });
        assert_eq!(fits(&[]), Fits { edges: vec![], masks: vec![String::new()] });
    }

    #[test]
    fn a_window_holds_from_its_first_day_to_the_day_before_its_last_week_ends() {
        let Fits { edges, masks } = fits(&[tip(Some((6, 12))), tip(None)]);
        assert_eq!(edges, [42, 84]);
        assert_eq!(masks, ["01", "11", "01"]);
    }

    proptest! {
        #[test]
        fn looking_up_an_age_gives_what_each_window_says(
            windows in prop::collection::vec(prop::option::of((0i32..60, 1i32..20)), 0..30), age in prop::option::of(-50i64..700),
        ) {
            let tips: Vec<Tip> = windows.iter().map(|window| tip(window.map(|(from, weeks)| (from, from + weeks)))).collect();
            let Fits { edges, masks } = fits(&tips);
            let bucket = age.map_or(0, |age| edges.partition_point(|edge| *edge <= age));
            let wanted: String = tips.iter().map(|tip| match (tip.window, age) {
                (None, _) => '1',
                (Some((from, to)), Some(age)) if age >= 0 && from as i64 <= age / 7 && age / 7 < to as i64 => '1',
                _ => '0',
            }).collect();
            prop_assert_eq!(&masks[bucket], &wanted);
        }
    }
}
