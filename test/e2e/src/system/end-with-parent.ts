/**
 * Loaded into every program that is started here: when the one that started it is gone without a word (SIGKILL), it
 * ends, too, instead of running for ever.
 */
import process from "node:process";

const lookEveryMs = 1_000;
const parent = process.ppid;

setInterval(() => {
  if (process.ppid !== parent) process.exit(1);
}, lookEveryMs).unref();
