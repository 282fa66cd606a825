//! Faults that a review found, each as the story that showed it.

mod answers;
mod clock;
mod ends;
mod line;
mod post;
mod words;
