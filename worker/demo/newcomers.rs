//! People who come by themselves: they fill in the form of the sign-up page, and what comes of it is caught in the inbox.
//!
//! One confirms, is welcomed and gets her first tip; another never looks and is reminded once; one joins a waitlist. Each goes the
//! way a browser goes, over HTTP; only the time that people take is turned on the clock. Called by `weeks` in the first week of every
//! run, and by `waitlist`.

use super::{
    catcher::{Entry, Query},
    http,
    screen::Screen,
    stage::Stage,
    weeks::settle,
};
use crate::waitlist::entry::place;
use anyhow::{Context, ensure};
use jiff::SignedDuration;

/// Where newcomers live, as their browsers say.
const ZONE: &str = "Europe/Lisbon";
/// It takes a person so long to fill in the form.
const FILLING: SignedDuration = SignedDuration::from_secs(40);
/// So much later she looks into her inbox.
const LOOKING: SignedDuration = SignedDuration::from_mins(4);

/// Two sign up: of one the whole way is gone, the other is left alone but for one reminder.
pub(super) async fn sign_up(stage: &Stage, screen: &Screen) -> anyhow::Result<()> {
    let number = 1 + signups(stage).await?;
    confirm(stage, &format!("newcomer.{number}@example.org"), screen).await?;
    forget(stage, &format!("newcomer.{}@example.com", number + 1), screen).await
}

/// How many sign-ups there were.
pub(super) async fn signups(stage: &Stage) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM signups"#).fetch_one(&stage.db().pool).await?)
}

/// Somebody joins a waitlist by the form of its page and confirms her address; her place.
pub(super) async fn join(stage: &Stage, program: &str) -> anyhow::Result<i64> {
    let address = &format!("newcomer.{}@example.org", 1 + signups(stage).await?);
    press_confirm(stage, &ask(stage, &format!("waitlist/{program}"), address).await?).await?;
    let mails = mails_to(stage, address);
    ensure!(mails.len() == 2, "a confirmation and her place were expected in the inbox of {address}: {} mails came", mails.len());
    let mut conn = stage.db().pool.acquire().await?;
    let entry =
        sqlx::query_scalar!("SELECT e.id FROM entries e JOIN subscribers s ON s.id = e.subscriber_id WHERE s.address = $1", address)
            .fetch_one(&mut *conn)
            .await?;
    place(&mut conn, entry).await?.with_context(|| format!("{address} confirmed and does not wait"))
}

async fn press_confirm(stage: &Stage, link: &str) -> anyhow::Result<()> {
    stage.clock.advance(LOOKING);
    let page = http::open(link).await.context("the link of the confirmation")?;
    let seen = http::hidden(&page, "seen").context("the page behind the link does not say what it shows")?;
    http::send(link, &[("act", "confirm"), ("seen", seen)]).await.context("the button of the confirmation")?;
    settle(stage).await
}

async fn confirm(stage: &Stage, address: &str, screen: &Screen) -> anyhow::Result<()> {
    press_confirm(stage, &ask(stage, "subscribe", address).await?).await?;
    let mails = mails_to(stage, address);
    ensure!(
        mails.len() == 3,
        "a confirmation, a welcome and a first tip were expected in the inbox of {address}: {} mails came",
        mails.len()
    );
    let tip = first_tip(stage, address, &mails).await?;
    screen.line(format_args!(
        "          one signs up on {}/subscribe: the confirmation is caught, its link opened, its button pressed",
        stage.pages
    ));
    screen.line(format_args!("          then come the welcome and her first tip, “{}”", tip.subject));
    Ok(())
}

async fn forget(stage: &Stage, address: &str, screen: &Screen) -> anyhow::Result<()> {
    ask(stage, "subscribe", address).await?;
    let wait = SignedDuration::try_from(stage.app.config.signup.remind_after).context("signup.remind_after")?;
    stage.clock.advance(wait + LOOKING);
    settle(stage).await?;
    let mails = mails_to(stage, address);
    ensure!(mails.len() == 2, "a confirmation and a reminder were expected in the inbox of {address}: {} mails came", mails.len());
    screen.line("          another signs up and never looks into her inbox: she is reminded once, and gets nothing else");
    Ok(())
}

/// Fills in the form of a page and looks into the inbox; the link of the confirmation.
async fn ask(stage: &Stage, page: &str, address: &str) -> anyhow::Result<String> {
    let at = format!("{}/{page}", stage.pages);
    let page = http::open(&at).await.context("the sign-up page")?;
    let stamp = http::hidden(&page, "stamp").context("the sign-up page has no stamp")?;
    stage.clock.advance(FILLING);
    let fields = [("stamp", stamp), ("email", address), ("name", "Newcomer"), ("zone", ZONE)];
    http::send(&at, &fields).await.context("the sign-up form")?;
    settle(stage).await?;
    let mail = mails_to(stage, address).into_iter().next().with_context(|| format!("no confirmation came to {address}"))?;
    link(&stage.catcher.mailbox.text(mail.id)?, &format!("{}/confirm/", stage.pages))
        .with_context(|| format!("the mail “{}” has no link to confirm with", mail.subject))
}

/// Which of these mails is the tip, by the ledger: a Message-ID carries the delivery's id.
async fn first_tip<'a>(stage: &Stage, address: &str, mails: &'a [Entry]) -> anyhow::Result<&'a Entry> {
    let id = sqlx::query_scalar!(
        "SELECT d.id FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
         WHERE s.address = $1 AND d.edition_id IS NULL AND d.template = 'weekly_tip' AND d.state = 'sent'",
        address
    )
    .fetch_one(&stage.db().pool)
    .await
    .with_context(|| format!("the ledger knows of no first tip for {address}"))?;
    let tip = mails.iter().find(|mail| mail.message_id.split('.').nth(1) == Some(&id.to_string()));
    tip.with_context(|| format!("the first tip for {address} is not in the inbox"))
}

/// The mails to an address, the newest first.
pub(super) fn mails_to(stage: &Stage, address: &str) -> Vec<Entry> {
    let found = stage.catcher.mailbox.search(&Query { to: address.to_owned(), ..Query::default() });
    found.into_iter().filter(|mail| mail.to.iter().any(|to| to == address)).collect()
}

/// The first link of a text that begins so.
pub(super) fn link(text: &str, begins: &str) -> Option<String> {
    let start = text.find(begins)?;
    Some(text[start..].chars().take_while(|c| !c.is_whitespace() && !"<>\"".contains(*c)).collect())
}
