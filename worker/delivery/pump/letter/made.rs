//! One person's mail: her links, what the template is filled with, and what the headers say.
//!
//! Pure: whatever the database says was read before. Called by `letter` alone, which guards against panics.

use super::{super::links, Draft, Letter, Letters, Shared, frozen, kept::ReadyBroadcast};
use crate::{
    base::address::EmailAddress,
    delivery::{
        ledger::{claim::Claimed, contents::Topic},
        message::{self, ListHeaders, Parts},
        message_id,
        render::{Because, Broadcast, Button, Entry, Foot, Links, Notice, ReadyTip, Rendered, WeeklyTip},
    },
};
use anyhow::Context;
use std::sync::Arc;

/// One person's own links.
#[derive(Debug)]
pub(super) struct OwnLinks {
    pub(super) preferences: String,
    pub(super) unsubscribe: Option<String>,
    pub(super) entry: Option<String>,
}

/// A rendered mail, and what its headers say.
pub(super) struct Made {
    rendered: Rendered,
    foot: Foot,
    links: OwnLinks,
    button: Option<String>,
    /// Whether it may name her.
    names: bool,
    /// The page of her place is where a letter to everybody who waits is left by one click.
    leaves_waitlist: bool,
    auto_submitted: bool,
}

/// A topic, and one person's link out of it.
struct WayOut {
    topic: Arc<Topic>,
    url: String,
}

impl Letters {
    pub(super) fn make_tip(&self, claimed: &Claimed, shared: &Shared, tip: &ReadyTip) -> anyhow::Result<Made> {
        let way_out = self.way_out(claimed, shared)?;
        let links = self.links(claimed, Some(&way_out), None);
        let mail = WeeklyTip {
            tip,
            topic: &way_out.topic.name,
            name: claimed.name.as_deref(),
            preferences_url: &links.preferences,
            unsubscribe_url: &way_out.url,
        };
        let rendered = shared.templates.render_weekly_tip(&mail)?;
        Ok(Made { rendered, foot: Foot::Topic, links, button: None, names: true, leaves_waitlist: false, auto_submitted: false })
    }

    pub(super) fn make_broadcast(&self, claimed: &Claimed, shared: &Shared, broadcast: &ReadyBroadcast) -> anyhow::Result<Made> {
        let way_out = match &broadcast.program {
            None => Some(self.way_out(claimed, shared)?),
            Some(_) => None,
        };
        let place = match (&broadcast.program, claimed.subscriber_id) {
            (Some(_), None) => Some(links::inert(&self.setup, claimed.key.id)),
            (Some((_, slug)), Some(_)) => Some(links::entry(&self.setup, slug, entry(claimed)?)),
            (None, _) => None,
        };
        let links = self.links(claimed, way_out.as_ref(), place);
        let because = match (&way_out, &broadcast.program, &links.entry) {
            (Some(way_out), ..) => Because::Topic { name: &way_out.topic.name, unsubscribe_url: &way_out.url },
            (None, Some((program, _)), Some(entry_url)) => Because::Waitlist { program, entry_url },
            _ => anyhow::bail!("this broadcast goes to nobody"),
        };
        let mail = Broadcast { text: &broadcast.text, because, name: claimed.name.as_deref(), preferences_url: &links.preferences };
        let rendered = shared.templates.render_broadcast(&mail)?;
        // Without a List-Id it would be answered by those who are out of their office.
        let to_waitlist = way_out.is_none();
        let foot = if to_waitlist { Foot::Waitlist } else { Foot::Topic };
        Ok(Made { rendered, foot, links, button: None, names: true, leaves_waitlist: to_waitlist, auto_submitted: to_waitlist })
    }

    pub(super) fn make_notice(&self, claimed: &Claimed, shared: &Shared) -> anyhow::Result<Made> {
        let frozen = claimed.context.as_ref().unwrap_or(&serde_json::Value::Null);
        let notice = Notice::read(&claimed.template, frozen)?;
        let way_out = match notice.foot() {
            Foot::Topic => Some(self.way_out(claimed, shared)?),
            Foot::Unproven | Foot::Person | Foot::Waitlist => None,
        };
        let entry_url = notice.entry().map(|Entry { slug, entry }| links::entry(&self.setup, slug, entry));
        let own = self.links(claimed, way_out.as_ref(), entry_url);
        let button = match notice.button() {
            Button::Confirm { signup } => links::confirm(&self.setup, signup),
            Button::Preferences => own.preferences.clone(),
            Button::Entry(Entry { slug, entry }) => links::entry(&self.setup, slug, entry),
            Button::Offer { offer } => links::offer(&self.setup, offer),
            Button::Program { slug } => links::program(&self.setup, slug),
        };
        // What a stranger may have caused greets nobody by name.
        let names = notice.foot() != Foot::Unproven;
        let name = claimed.name.as_deref().filter(|_| names);
        let preferences = Some(own.preferences.as_str());
        let links = Links { button: &button, preferences, unsubscribe: own.unsubscribe.as_deref(), entry: own.entry.as_deref() };
        // Its mark is still to come, unless there was one: what it promises ends no later than what the mark begins.
        let from = claimed.handed_over_at.unwrap_or(shared.at);
        let rendered = shared.templates.render_notice(&notice, name, &links, from)?;
        let foot = notice.foot();
        Ok(Made { rendered, foot, links: own, button: Some(button), names, leaves_waitlist: false, auto_submitted: true })
    }

    pub(super) fn build(&self, claimed: &Claimed, shared: &Shared, mut made: Made) -> anyhow::Result<Draft> {
        let setup = &*self.setup;
        if claimed.subscriber_id.is_none() {
            made.rendered.subject.insert_str(0, "[Test] ");
        }
        let to = EmailAddress::parse(&claimed.address).context("the address of this subscriber is none")?;
        let domain = setup.from.address.domain();
        let message_id = message_id(claimed.key, &setup.db.label, domain);
        let topic = shared.topic.as_ref().filter(|_| made.links.unsubscribe.is_some());
        let list_id = topic.map(|topic| format!("{}.{domain}", topic.list_label));
        let waitlist = made.links.entry.as_deref().filter(|_| made.leaves_waitlist);
        let unsubscribe = made.links.unsubscribe.as_deref().or(waitlist);
        let list = unsubscribe.map(|unsubscribe| ListHeaders { id: list_id.as_deref(), unsubscribe });
        let bytes = message::build(&Parts {
            message_id: &message_id,
            date: shared.at,
            from: &setup.from,
            to: &to,
            to_name: claimed.name.as_deref().filter(|_| made.names),
            subject: &made.rendered.subject,
            text: &made.rendered.text,
            html: &made.rendered.html,
            list,
            auto_submitted: made.auto_submitted,
            language: Some(&setup.templates.site().lang),
        })?;
        let letter = Letter { to, message_id, bytes };
        let postal_address = setup.templates.site().postal_address.clone();
        Ok(Draft { letter, rendered: made.rendered, foot: made.foot, button: made.button, links: made.links, postal_address })
    }

    fn links(&self, claimed: &Claimed, way_out: Option<&WayOut>, entry: Option<String>) -> OwnLinks {
        let preferences = match claimed.subscriber_id {
            Some(subscriber_id) => links::preferences(&self.setup, subscriber_id),
            None => links::inert(&self.setup, claimed.key.id),
        };
        OwnLinks { preferences, unsubscribe: way_out.map(|way_out| way_out.url.clone()), entry }
    }

    fn way_out(&self, claimed: &Claimed, shared: &Shared) -> anyhow::Result<WayOut> {
        let topic_id = claimed.topic_id.context("this delivery has no topic")?;
        let topic = shared.topic.clone().context("this delivery has no topic")?;
        let url = match claimed.subscriber_id {
            Some(subscriber_id) => links::unsubscribe(&self.setup, subscriber_id, topic_id),
            None => links::inert(&self.setup, claimed.key.id),
        };
        Ok(WayOut { url, topic })
    }
}

// The entry by which she waits is all that the delivery of a broadcast freezes.
fn entry(claimed: &Claimed) -> anyhow::Result<i64> {
    frozen(claimed, "entry").context("this delivery names no entry")
}
