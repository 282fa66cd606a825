// What was found: a sentence for each failure, and a line for each step that was done.
// Made once by run.mjs and handed to every part; the self-check makes one of its own for each planted fault.

/** A report that prints as it goes, or (`quiet`) only collects. */
export function newReport(quiet = false) {
  const failures = [];
  const began = performance.now();
  return {
    failures,
    /** A step that was done, with its figures. */
    step(text) {
      if (!quiet) console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
    },
    /** Something is not as it must be; said once, however often it is met. */
    fail(sentence) {
      if (failures.includes(sentence)) return;
      failures.push(sentence);
      if (!quiet) console.error(`  FAILED  ${sentence}`);
    },
    /** Fails unless `holds`. */
    expect(holds, sentence) {
      if (!holds) this.fail(sentence);
    },
  };
}
