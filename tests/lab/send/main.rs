//! `cargo bench --bench send`: how fast mails leave, in ratios to what this machine can do in the same minutes.
//!
//! Every figure comes from the real binary as processes, a Postgres of its own with fsync, and mails with a tip of some 90 words: a clean relay is Postfix's
//! smtp-sink, a far or a bad one is ours. Rounds are interleaved and the median counts. `-- 1 4` measures these rows alone,
//! `-- --json` prints JSON, `-- --rounds 3` measures with fewer rounds, `-- ten 200000` sends ten editions to so many people one after the other and compares the tenth with the first (not among the rest).

mod anchor;
mod ground;
mod large;
mod machine;
mod null;
mod process;
mod rates;
mod row;
mod signed;
mod slow;
#[path = "../../support/mod.rs"]
mod support;
mod ten;

use ground::Ground;
use row::Row;

/// What was asked for.
struct Asked {
    rows: Vec<u8>,
    rounds: usize,
    json: bool,
    /// People of the ten editions.
    ten: Option<i64>,
}

impl Asked {
    fn wants(&self, rows: &[u8]) -> bool {
        self.ten.is_none() && (self.rows.is_empty() || rows.iter().any(|row| self.rows.contains(row)))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    if let Some(order) = null::Order::among(std::env::args()) {
        return null::run(&order).await;
    }
    let mut asked = Asked { rows: Vec::new(), rounds: 5, json: false, ten: None };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What cargo itself says to every bench.
            "--bench" => {}
            "--json" => asked.json = true,
            "ten" => asked.ten = Some(arguments.next().map_or(Ok(1_000_000), |people| people.parse())?),
            "--rounds" => asked.rounds = arguments.next().unwrap_or_default().parse()?,
            row => asked.rows.push(row.parse().map_err(|_| anyhow::anyhow!("`{row}` is no row of the table: 1 to 11, or `ten`"))?),
        }
    }
    let ground = Ground::start().await?;
    let rows = measure(&ground, &asked).await;
    // Also after a failure: its folder is on the disk.
    ground.end().await?;
    let rows = rows?;
    match asked.json {
        true => println!("{}", serde_json::json!({ "machine": machine::describe(), "rows": rows })),
        false => println!("{}\n\n{}", machine::describe(), row::table(&rows)),
    }
    Ok(())
}

async fn measure(ground: &Ground, asked: &Asked) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    if asked.wants(&[1, 2, 3]) {
        rows.extend(rates::measure(ground, asked.rounds).await?);
    }
    if asked.wants(&[3]) {
        rows.push(signed::measure(ground, asked.rounds).await?);
    }
    if asked.wants(&[4, 5]) {
        rows.extend(slow::far(ground, asked.rounds).await?);
    }
    if asked.wants(&[10]) {
        rows.push(slow::refusing(ground, asked.rounds).await?);
    }
    if asked.wants(&[11]) {
        rows.push(slow::tarpit(ground, asked.rounds).await?);
    }
    if asked.wants(&[6, 7, 8, 9]) {
        rows.extend(large::measure(ground, asked.rounds).await?);
    }
    if let Some(people) = asked.ten {
        rows.extend(ten::measure(ground, people).await?);
    }
    Ok(rows)
}
