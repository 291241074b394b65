import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SectionLock } from "../src/lock.ts";

const act = fc.oneof(
  fc.record({ what: fc.constant("enter" as const) }),
  fc.record({ what: fc.constant("leave" as const), which: fc.nat(5) }),
  fc.record({ what: fc.constant("join" as const), which: fc.nat(5) }),
  fc.record({ what: fc.constant("capture" as const) }),
  fc.record({ what: fc.constant("withdraw" as const), which: fc.nat(5) }),
  fc.record({ what: fc.constant("turn" as const) }),
);

test("no capture runs beside a section, none is forgotten, and those that waited go before the next one", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      let deferred: (() => void)[] = [];
      const lock = new SectionLock<number>((run) => deferred.push(run));
      const inside = new Set<number>();
      const waiting = new Set<number>();
      const pending: { withdraw: () => void; id: number }[] = [];
      let next = 0;
      const turn = async (): Promise<void> => {
        const runs = deferred;
        deferred = [];
        for (const run of runs) run();
        await null;
      };
      const enter = (): void => {
        const id = next++;
        let granted: "now" | "later" | undefined;
        const mustWait = pending.length > 0;
        if (mustWait) waiting.add(id);
        lock.enter(id, () => {
          granted ??= "now";
          waiting.delete(id);
          inside.add(id);
        });
        assert.equal(granted, mustWait ? undefined : "now", "it waits exactly while a capture is pending");
      };
      for (const each of acts) {
        if (each.what === "enter") enter();
        else if (each.what === "leave") {
          const id = [...inside][each.which];
          if (id === undefined) continue;
          inside.delete(id);
          lock.leave(id);
        } else if (each.what === "join") {
          const within = [...inside][each.which];
          if (within === undefined) continue;
          const id = next++;
          lock.join(id, within);
          inside.add(id);
        } else if (each.what === "capture") {
          const id = next++;
          const withdraw = lock.capture(() => {
            assert.equal(inside.size, 0, "nothing runs at the instant of a capture");
            assert.equal(pending[0]?.id, id, "captures run in the order they were asked for");
            pending.shift();
          });
          pending.push({ id, withdraw });
        } else if (each.what === "withdraw") {
          const [one] = pending.splice(Math.min(each.which, Math.max(0, pending.length - 1)), 1);
          one?.withdraw();
          await null;
        } else await turn();
      }
      for (let rounds = 0; pending.length > 0 || waiting.size > 0 || inside.size > 0; rounds += 1) {
        assert.ok(rounds < 1_000, "everything comes to its end when the sections leave");
        for (const id of inside) lock.leave(id);
        inside.clear();
        await turn();
      }
    }),
    { numRuns: 300 },
  );
});

test("sections that waited for one capture go before the next one", async () => {
  const order: string[] = [];
  const lock = new SectionLock<string>();
  const done = Promise.withResolvers<void>();
  lock.capture(() => order.push("first capture"));
  lock.enter("section", () => {
    order.push("section");
    lock.leave("section");
  });
  lock.capture(() => {
    order.push("second capture");
    done.resolve();
  });
  await done.promise;
  assert.deepEqual(order, ["first capture", "section", "second capture"]);
});
