import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { type PartWriter, type Store, StoreError } from "../../src/store/port.ts";
import { describeOnEachStore } from "../support/each-store.ts";
import { storeOrder } from "./compliance.ts";
import { bytesOf, infoOf, leaseMs, part, readAll, snapshot } from "./fixtures.ts";
import { startSimulated } from "./simulated-store.ts";

storeOrder("the simulator's store", async () => startSimulated());

/** One operation; `term` and `writer` choose among those there are by then. */
type Operation =
  | { readonly type: "acquire"; readonly holder: string }
  | { readonly type: "renew" | "release"; readonly term: number }
  | { readonly type: "create" | "publish"; readonly term: number; readonly id: string }
  | { readonly type: "update"; readonly term: number; readonly id: string; readonly phase: string }
  | { readonly type: "look" }
  | {
      readonly type: "begin";
      readonly term: number;
      readonly id: string;
      readonly attempt: number;
      readonly writer: number;
    }
  | { readonly type: "write" | "commit" | "abort"; readonly writer: number }
  | { readonly type: "removeParts"; readonly term: number; readonly id: string; readonly attempt: number };

const ids = ["s", "t"];
const attempts = [1, 2];
const id = fc.constantFrom(...ids);
const attempt = fc.constantFrom(...attempts);
const term = fc.nat(5);
const writer = fc.nat(1);
const make = <T extends Operation["type"], F extends object>(type: T, fields: { [K in keyof F]: fc.Arbitrary<F[K]> }) =>
  fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<Operation>;

const operationsArbitrary = fc.array(
  fc.oneof(
    make("acquire", { holder: fc.constantFrom("a", "b") }),
    { arbitrary: make("release", { term }), weight: 1 },
    make("renew", { term }),
    { arbitrary: make("create", { term, id }), weight: 3 },
    { arbitrary: make("update", { term, id, phase: fc.constantFrom("Cutting", "Failed") }), weight: 3 },
    make("publish", { term, id }),
    { arbitrary: make("look", {}), weight: 2 },
    { arbitrary: make("begin", { term, id, attempt, writer }), weight: 4 },
    { arbitrary: make("write", { writer }), weight: 3 },
    { arbitrary: make("commit", { writer }), weight: 4 },
    make("abort", { writer }),
    make("removeParts", { term, id, attempt }),
  ),
  { minLength: 5, maxLength: 40 },
);

interface Writing {
  readonly writer: PartWriter;
  readonly chunks: Uint8Array[];
  committed: boolean;
}

/** Carries operations out on one store, and says what it answers in words that are the same for every store. */
class Client {
  readonly #store: Store;
  readonly #terms: number[] = [];
  readonly #writing = new Map<number, Writing>();
  #operations = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  async perform(operation: Operation): Promise<unknown> {
    this.#operations += 1;
    try {
      return await this.#perform(operation);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if ("writer" in operation) this.#writing.delete(operation.writer);
      return error.code;
    }
  }

  async #perform(operation: Operation): Promise<unknown> {
    const store = this.#store;
    switch (operation.type) {
      case "acquire": {
        const answer = await store.acquireLease(operation.holder, leaseMs);
        if (answer.outcome === "held") return answer.holder;
        assert.ok(answer.term > (this.#terms.at(-1) ?? 0));
        this.#terms.push(answer.term);
        return answer.succession;
      }
      case "look":
        return await this.#look();
      case "write":
      case "commit":
      case "abort":
        return await this.#goOn(operation.type, operation.writer);
      default:
    }
    const termNow = this.#terms.at(-1 - (operation.term % Math.max(1, this.#terms.length)));
    if (termNow === undefined) return "no term";
    switch (operation.type) {
      case "renew":
        return await store.renewLease(termNow, leaseMs);
      case "release":
        return await store.releaseLease(termNow);
      case "create":
        return (await store.create(termNow, snapshot(operation.id))).outcome;
      case "update":
        return await store.update(termNow, this.#document(operation.id, operation.phase));
      case "publish":
        return await store.publish(termNow, this.#document(operation.id, "Completed"));
      case "removeParts":
        return await store.removeParts(termNow, operation.id, operation.attempt);
      case "begin": {
        await this.#goOn("abort", operation.writer);
        const begun = await store.writePart(termNow, part(operation.id, { attempt: operation.attempt }));
        this.#writing.set(operation.writer, { writer: begun, chunks: [], committed: false });
        return "begun";
      }
    }
  }

  async #goOn(how: "write" | "commit" | "abort", which: number): Promise<string> {
    const writing = this.#writing.get(which);
    if (writing === undefined || (how === "write" && writing.committed)) return "no writer";
    if (how === "abort") {
      this.#writing.delete(which);
      await writing.writer.abort();
    } else if (how === "commit") {
      await writing.writer.commit(infoOf(writing.chunks));
      writing.committed = true;
    } else {
      const chunk = bytesOf(10, this.#operations);
      await writing.writer.write(chunk);
      writing.chunks.push(chunk);
    }
    return how;
  }

  #document(of: string, phase: string) {
    return snapshot(of, { phase, message: `by operation ${this.#operations}` });
  }

  /** All that can be seen. */
  async #look(): Promise<unknown> {
    const seen: unknown[] = [];
    for (const one of ids) {
      const document = await this.#store.get(one);
      seen.push(document?.phase, document?.message);
      for (const of of attempts) {
        const key = part(one, { attempt: of });
        const there = (await this.#store.statPart(key)) !== undefined;
        seen.push(there ? (await readAll(this.#store, key)).toString("hex") : undefined);
      }
    }
    const running = await this.#store.list({ limit: 10, phases: ["Pending", "Cutting"] });
    return [...seen, running.snapshots.map((one) => one.id).sort()];
  }
}

describeOnEachStore("the simulator's store answers as", (openStore) => {
  it("the real one does, whatever is asked in whatever order", () =>
    fc.assert(
      fc.asyncProperty(operationsArbitrary, async (operations) => {
        const real = await openStore();
        try {
          const [client, model] = [new Client(real), new Client(await startSimulated().open())];
          const led = [{ type: "acquire", holder: "a" }, ...operations, { type: "look" }] as const;
          for (const operation of led) {
            assert.deepEqual(
              await model.perform(operation),
              await client.perform(operation),
              JSON.stringify(operation),
            );
          }
        } finally {
          await real.close();
        }
      }),
      { numRuns: 150 },
    ));
});
