//! The mail of a broadcast: words that an operator wrote once for all, to everyone of a topic or to those who wait for a program.
//!
//! It is made ready as a tip is, in the same safe Markdown, and shared; what is one person's own are her name and her links.

use super::{
    BROADCAST, Direction, ENTRY, Layout, PREFERENCES, ReadyTip, RenderError, Rendered, Templates, UNSUBSCRIBE, WeeklyTipContext,
    greeting_name, whole,
};

/// The HTML part, compiled for each direction of writing.
pub(super) const PARTS: [(Direction, &str); 2] =
    [(Direction::LeftToRight, "broadcast/body.mjml"), (Direction::RightToLeft, "broadcast/body.mjml (rtl)")];

/// One person's mail of a broadcast.
#[derive(Debug, Clone, Copy)]
pub struct Broadcast<'a> {
    /// What it says.
    pub text: &'a ReadyTip,
    /// Why she gets it, and her way out.
    pub because: Because<'a>,
    /// Her name, when she gave one; what is no name is left out.
    pub name: Option<&'a str>,
    /// Her preferences.
    pub preferences_url: &'a str,
}

/// Why somebody gets a broadcast.
#[derive(Debug, Clone, Copy)]
pub enum Because<'a> {
    /// She is subscribed to the topic.
    Topic {
        /// As people read it.
        name: &'a str,
        /// Her link out of it.
        unsubscribe_url: &'a str,
    },
    /// She waits for a seat in the program.
    Waitlist {
        /// As people read it.
        program: &'a str,
        /// Her place, which is the way out of the waitlist.
        entry_url: &'a str,
    },
}

impl Templates {
    /// The mail of one person with a broadcast.
    pub fn render_broadcast(&self, mail: &Broadcast<'_>) -> Result<Rendered, RenderError> {
        let template = BROADCAST.name;
        let publisher = &self.site.name;
        let (line, reason, unsubscribe, entry) = match mail.because {
            Because::Topic { name, unsubscribe_url } => {
                let reason = format!("You get this letter because you are subscribed to {name} from {publisher}.");
                (name, reason, Some(whole(template, UNSUBSCRIBE, Some(unsubscribe_url))?), None)
            }
            Because::Waitlist { program, entry_url } => {
                let reason = format!("You get this letter because you joined the waitlist of {program} at {publisher}.");
                (program, reason, None, Some(whole(template, ENTRY, Some(entry_url))?))
            }
        };
        let layout = Layout {
            site: &self.site,
            topic: Some(line),
            greeting: mail.name.and_then(greeting_name),
            disclaimer: None,
            reason,
            preferences_url: Some(whole(template, PREFERENCES, Some(mail.preferences_url))?),
            unsubscribe_url: unsubscribe,
            entry_url: entry,
        };
        let part = PARTS.iter().find(|(direction, _)| *direction == mail.text.direction).map(|(_, part)| *part);
        self.render(&BROADCAST, part.expect("both directions are compiled"), &WeeklyTipContext { layout, tip: mail.text })
    }
}
