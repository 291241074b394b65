import { createInterface } from "node:readline";
import { openEmbeddedStore } from "../../src/store/embedded.ts";
import { leaseMs, snapshot } from "./fixtures.ts";

const store = await openEmbeddedStore({ path: String(process.argv[2]), operationTimeoutMs: 5_000 });
let term = 0;

const commands: Record<string, () => Promise<string>> = {
  async lead() {
    const outcome = await store.acquireLease("there", leaseMs);
    term = outcome.outcome === "acquired" ? outcome.term : 0;
    return String(term);
  },
  create: async () => (await store.create(term, snapshot("s"))).outcome,
  update: async () => await store.update(term, snapshot("s", { phase: "Cutting" })),
  publish: async () => await store.publish(term, snapshot("s", { phase: "Completed" })),
  shorten: async () => await store.renewLease(term, 1),
};

for await (const command of createInterface({ input: process.stdin })) {
  console.log(await commands[command]?.());
}
