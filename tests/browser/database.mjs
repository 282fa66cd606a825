// A fingerprint of everything that the demo's database remembers, read beside the demo with psql.
// Left out: the queue's own tables and the workers' signs of life, which change while nobody does anything.

import { execFile } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const CHANGES_BY_ITSELF = "'workers'";
// One statement for each table, each run by psql's \gexec: its name, a tab, a hash of all its rows.
const FINGERPRINT = `
SELECT format('SELECT %L, md5(coalesce(string_agg(whole_row::text, chr(10) ORDER BY whole_row::text), '''')) FROM ONLY %s AS whole_row',
    c.oid::regclass, c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public' AND c.relname NOT IN (${CHANGES_BY_ITSELF}) ORDER BY 1 \\gexec
`;

const ON_ITS_WAY = `SELECT count(*) FROM deliveries
  WHERE state IN ('claimed', 'handing_over') OR (state IN ('queued', 'deferred') AND ready_at <= now())`;
const PATIENCE = 30_000;

/** The database of a running demo. */
export async function openDatabase(demo) {
  // Not always inside the demo's folder: root's Postgres runs as another account, which may not be able to go there.
  const server = demo.said.join("").match(/^postgres\s+its own, in (.+)$/m)[1];
  const port = (await readFile(join(server, "data", "postmaster.pid"), "utf8")).split("\n")[3].trim();
  const password = (await readFile(join(server, "password"), "utf8")).trim();
  const psql = await newestPsql();
  const env = { PATH: process.env.PATH, PGHOST: "127.0.0.1", PGPORT: port, PGUSER: "tidings", PGPASSWORD: password, PGDATABASE: "tidings" };
  const ask = async (script) => {
    const asked = run(psql, ["-X", "-q", "-t", "-A", "-F", "\t", "-v", "ON_ERROR_STOP=1"], { env, maxBuffer: 64 << 20 });
    asked.child.stdin.end(script);
    return (await asked).stdout.split("\n").filter((line) => line !== "").map((line) => line.split("\t"));
  };
  return {
    /** The rows that a script of SQL prints. */
    ask,
    /** Waits until no mail is on its way: one is in the inbox a moment before the ledger says so. */
    async rest() {
      for (const began = performance.now(); performance.now() - began < PATIENCE; await new Promise((again) => setTimeout(again, 50))) {
        const [[moving]] = await ask(ON_ITS_WAY);
        if (moving === "0") return;
      }
      throw new Error(`the demo is still sending after ${PATIENCE / 1000} s`);
    },
    /** Every table with a hash of its rows. */
    async fingerprint() {
      return new Map(await ask(FINGERPRINT));
    },
    /** The same inside a transaction in which `change` was made; it is rolled back. */
    async fingerprintAfter(change) {
      return new Map(await ask(`BEGIN;\n${change};\n${FINGERPRINT}\nROLLBACK;`));
    },
  };
}

/** The names of the tables whose rows differ. */
export function changedTables(before, after) {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name)).sort();
}

async function newestPsql() {
  const versions = await readdir("/usr/lib/postgresql").catch(() => []);
  const newest = versions.sort((one, other) => Number(other) - Number(one))[0];
  return newest ? `/usr/lib/postgresql/${newest}/bin/psql` : "psql";
}
