//! Campaigns: what an operator schedules, its dated editions, and who gets what in each of them.
//!
//! `schedule` says when (pure), `campaign` is created, paused and resumed and by `cancel` ended, `due` opens its editions, `planning`
//! plans them slice by slice: for `weekly` each subscriber at her `own_time`, for a `broadcast` all `recipients` at once. `replan`
//! moves her when she changes her time, `outlook` tells her what comes next and `forecast` the operator what comes for all, `edition` is
//! the operator's word about one, `preflight` makes and looks at every mail before the first one goes, `test_mail` sends one to be
//! looked at, `report` counts what became of them, `retention` forgets all but the counts when their time has come.
//!
//! A weekly campaign is `scheduled` until its first edition opens and `running` from then on; it is never `finished`,
//! because its series may grow: it ends when it is cancelled. A broadcast goes out once, and is `finished` with its one edition.
//!
//! Locks are taken in one order everywhere: the campaign, its editions, their deliveries.

pub mod broadcast;
pub mod campaign;
mod cancel;
pub mod due;
pub mod edition;
mod error;
pub mod first_tip;
pub mod forecast;
pub mod outlook;
pub mod own_time;
pub mod planning;
pub mod preflight;
pub mod recipients;
pub mod replan;
pub mod report;
pub mod retention;
pub mod schedule;
pub mod states;
pub mod store;
pub mod test_mail;
mod weekly;

pub use error::CampaignError;
