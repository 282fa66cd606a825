//! The time zones as a form offers them: those that are named by a region and a city, in groups by region.
//!
//! The zones' other names (`EST5EDT`, `US/Pacific`, `Etc/GMT+5`) are still taken when somebody sends them; nobody looks for them in a menu.

use crate::base::zone;
use std::sync::LazyLock;

/// A group of the menu.
#[derive(Debug)]
pub(in crate::web) struct Region {
    /// Its name.
    pub(in crate::web) name: &'static str,
    /// Its zones: the name in the tz database, and what people read.
    pub(in crate::web) zones: Vec<(&'static str, String)>,
}

const REGIONS: [&str; 10] = ["Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"];

/// Every zone that the menu offers, region by region.
pub(in crate::web) fn regions() -> &'static [Region] {
    static ALL: LazyLock<Vec<Region>> = LazyLock::new(|| REGIONS.into_iter().map(region).collect());
    &ALL
}

/// Whether the menu has this zone.
pub(in crate::web) fn offers(zone: &str) -> bool {
    regions().iter().any(|region| region.zones.iter().any(|(name, _)| *name == zone))
}

fn region(name: &'static str) -> Region {
    let zones = zone::all().iter().filter_map(|(zone, _)| {
        let city = zone.strip_prefix(name)?.strip_prefix('/')?;
        Some((zone.as_str(), city.replace('_', " ").replace('/', " – ")))
    });
    Region { name, zones: zones.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_menu_has_every_zone_of_a_region_and_a_city() {
        let europe = regions().iter().find(|region| region.name == "Europe").unwrap();
        assert!(europe.zones.contains(&("Europe/London", "London".to_owned())));
        assert!(offers("America/Argentina/Buenos_Aires") && !offers("US/Pacific") && !offers("europe/london"));
        assert!(regions().iter().all(|region| !region.zones.is_empty()));
        assert!(regions().iter().map(|region| region.zones.len()).sum::<usize>() > 400);
    }
}
