//! What is broken on purpose, each with its number in the table of faults, and the story that tells it in small numbers.
//! `cargo bench --bench faults` runs the same scenes in full and prints the table.
//!
//! | # | fault | story |
//! | --- | --- | --- |
//! | F1 | SIGKILL at random moments | `crash`; `broadcast::fire` and `waitlist::fire` for their own work |
//! | F2 | one of four workers killed again and again | `crash` |
//! | F3 | SIGTERM in the middle | `crash` |
//! | F4 | SIGSTOP for longer than the lease | `crash` |
//! | F5 | Postgres killed | `crash` |
//! | F6 | Postgres cut off | `faults::processes`; `doubt` for what a lost answer leaves |
//! | F7 | the disk of Postgres full | `faults::processes` |
//! | F8 | the relay breaks off | `faults::relays` for the pump, `relay` for each point of a session |
//! | F9 | taken, and its 250 not read | `faults::processes`, `sending` |
//! | F10 | tarpit, no answer after the dot | `faults::relays`, `relay` |
//! | F11 | greylisting, 451, 452 | `sending` |
//! | F12 | 550 for some, 5.7.515 for all | `faults::processes`, `sending` |
//! | F13 | changes of the clocks, a wrong clock | `faults::processes`, `schedule`, `sending`, `downtime` |
//! | F14 | four schedulers at once | `faults::processes`, `campaigns::steering` |
//! | F15 | people leave in the middle | `faults::processes`, `stop::moments` |
//! | F16 | a large file with bad rows, killed half-way | `faults::processes`, `import::killed` |
//! | F17 | poison in subscribers, tips and templates | `faults::processes`, `sending`; `delivery::render` for hostile templates |
//! | F18 | random bytes | `seeds` |

mod processes;
mod relays;
mod usual;
