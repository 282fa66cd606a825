//! Programs that fill up: openings with seats, the line of those who wait, and the offers that hold a seat for one of them.
//!
//! Owns the tables programs, openings, entries, offers, entry_events and line_counts. One function gives offers
//! ([`opening::advance`]) and one ends them (`close`); both, and every act on an entry or an offer, first lock the openings of
//! the program (`store::hold`) and then settle what time has ended (`settle`: of the whole program, or of her who acts), so that no
//! result depends on when a sweep ran.
//! An offer's clock starts when its mail is handed over and is read out of the view `offer_terms`, never written.
//! Pages, command line, jobs and `people` call it.

mod close;
pub mod entry;
mod error;
mod give;
pub mod joining;
pub mod line;
mod listing;
mod mail;
pub mod offer;
pub mod opening;
pub mod program;
pub mod report;
mod settle;
pub mod standing;
pub mod states;
mod store;

pub use error::WaitlistError;
