//! Row 3, signed: processor time with an RSA-2048 signature on each mail.

use crate::{
    anchor::Sink,
    ground::Ground,
    row::{Row, median},
};
use anyhow::Context;

const CONNECTIONS: usize = 50;
const MAILS: i64 = 10_000;

/// Measures it with a key that is made for it.
pub(crate) async fn measure(ground: &Ground, rounds: usize) -> anyhow::Result<Row> {
    let sink = Sink::start().await?;
    let keys = tempfile::tempdir()?;
    let made = tokio::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["dkim", "new", "--domain", "example.org", "--selector", "bench", "--out"])
        .arg(keys.path())
        .output()
        .await?;
    anyhow::ensure!(made.status.success(), "no key was made: {}", String::from_utf8_lossy(&made.stderr));
    let key = keys.path().join("bench.example.org.pem");
    let key = key.to_str().context("a path in UTF-8")?;
    let settings = [("TIDINGS_DKIM__DOMAIN", "example.org"), ("TIDINGS_DKIM__SELECTOR", "bench"), ("TIDINGS_DKIM__KEY_FILE", key)];
    let (mut spent, mut rates) = (vec![], vec![]);
    for _ in 0..rounds.max(1) {
        let field = ground.field(MAILS).await?;
        field.plan().await?;
        let (sent, seen) = field.send(&sink.url(), CONNECTIONS, &settings).await?;
        ground.drop(field).await?;
        spent.push(seen.seconds_between(sent.from, sent.to) / sent.mails * 1000.0);
        rates.push(sent.rate());
    }
    let said = format!("{:.0}/s", median(&rates));
    Ok(Row::at_most(3, "processor seconds for 1,000 mails, DKIM RSA-2048", spent, " s", (0.45, "<= 0.45 s; 0.75 with ring"))
        .remarking(&said))
}
