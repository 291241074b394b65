import assert from "node:assert/strict";
import { it } from "node:test";
import type { PartKind } from "../../src/store/port.ts";
import {
  bytesOf,
  chunkBytes,
  infoOf,
  part,
  put,
  readAll,
  rejects,
  type StartStorage,
  snapshot,
  withLeader,
} from "./fixtures.ts";
import { LiveMemory } from "./live-memory.ts";

const mebibyte = 1024 * 1024;

/** Which writer's parts count. */
export function partOrder(start: StartStorage): void {
  it("writes each chunk and commits twice to the same effect", () =>
    withLeader(start, async ({ store, term }) => {
      await store.create(term, snapshot("s"));
      const chunk = bytesOf(500, 1);
      const writer = await store.writePart(term, part("s"));
      await writer.write(chunk);
      await writer.commit(infoOf([chunk]));
      await writer.commit(infoOf([chunk]));
      await writer.abort();
      assert.deepEqual(await readAll(store, part("s")), Buffer.from(chunk));
      assert.equal(await store.removeParts(term, "s", 1), "removed");
      assert.equal(await store.removeParts(term, "s", 1), "removed");
    }));

  it("shows nothing that is not committed", () =>
    withLeader(start, async ({ store, term, storage }) => {
      await store.create(term, snapshot("s"));
      const reader = await storage.open();
      const writer = await store.writePart(term, part("s"));
      await writer.write(bytesOf(500, 1));
      assert.equal(await reader.statPart(part("s")), undefined);
      await rejects(readAll(reader, part("s")), "StorePartMissing", /bank\/branch-0/);
      await writer.abort();
      await writer.abort();
      assert.equal(await reader.statPart(part("s")), undefined);
      await rejects(writer.write(bytesOf(1, 1)), "StorePartCorrupt");
    }));

  it("lets a new writer begin anew, and turns the earlier one away", () =>
    withLeader(start, async ({ store, term }) => {
      await store.create(term, snapshot("s"));
      const [first, second] = [bytesOf(900, 1), bytesOf(700, 2)];
      const earlier = await store.writePart(term, part("s"));
      await earlier.write(first);
      const later = await store.writePart(term, part("s"));
      await later.write(second);
      await rejects(earlier.write(first), "StorePartCorrupt");
      await rejects(earlier.commit(infoOf([first])), "StorePartCorrupt");
      await earlier.abort();
      await later.commit(infoOf([second]));
      assert.deepEqual(await readAll(store, part("s")), Buffer.from(second));
    }));

  it("takes parts of a snapshot that is there and not published", () =>
    withLeader(start, async ({ store, term }) => {
      await rejects(store.writePart(term, part("s")), "StorePartMissing");
      await store.create(term, snapshot("s"));
      const late = await store.writePart(term, part("s"));
      await store.publish(term, snapshot("s", { phase: "Completed" }));
      await rejects(store.writePart(term, part("s")), "StoreReadOnly");
      await rejects(late.commit(infoOf([])), "StoreReadOnly");
      await assert.rejects(store.statPart(part("s", { attempt: -1 })), RangeError);
    }));

  it("keeps attempts, kinds, owners and snapshots apart, whatever their characters", () =>
    withLeader(start, async ({ store, term }) => {
      const owners = [
        "a",
        "a/b",
        "a\0b",
        "a\0",
        "{a}",
        "__proto__",
        "ü",
        "u\u0308",
        "*",
        "%",
        "",
        "1/local/a",
        "\ud800",
        "\ufffd",
      ];
      const kinds: PartKind[] = ["local", "calls", "channel", "outbox"];
      const keys = ["s", "t"].flatMap((id) =>
        [1, 2].flatMap((attempt) => kinds.flatMap((kind) => owners.map((owner) => part(id, { attempt, kind, owner })))),
      );
      await store.create(term, snapshot("s"));
      await store.create(term, snapshot("t"));
      for (const [n, key] of keys.entries()) {
        await put(store, term, key, [bytesOf(20, n)]);
      }
      for (const [n, key] of keys.entries()) {
        assert.deepEqual(await readAll(store, key), Buffer.from(bytesOf(20, n)), JSON.stringify(key));
      }
    }));

  it("removes the parts of the attempts asked for, and keeps the rest", () =>
    withLeader(start, async ({ store, term }) => {
      await store.create(term, snapshot("s"));
      for (const attempt of [1, 2, 9, 10, 11]) {
        await put(store, term, part("s", { attempt }), [bytesOf(10, attempt)]);
      }
      assert.equal(await store.removeParts(term, "s", 9), "removed");
      for (const attempt of [1, 2, 9]) {
        assert.equal(await store.statPart(part("s", { attempt })), undefined);
      }
      for (const attempt of [10, 11]) {
        assert.equal((await readAll(store, part("s", { attempt }))).byteLength, 10);
      }
      assert.deepEqual(await store.get("s"), snapshot("s"));
    }));
}

export function partCompliance(start: StartStorage): void {
  it("keeps bytes, hash and content type", () =>
    withLeader(start, async ({ store, term }) => {
      await store.create(term, snapshot("s"));
      const chunks = [bytesOf(chunkBytes, 1), bytesOf(1, 2), new Uint8Array(0), bytesOf(chunkBytes, 3), bytesOf(77, 4)];
      const info = await put(store, term, part("s"), chunks);
      assert.deepEqual(await store.statPart(part("s")), info);
      assert.deepEqual(await readAll(store, part("s")), Buffer.concat(chunks));
      const empty = await put(store, term, part("s", { owner: "empty" }), []);
      assert.deepEqual(await store.statPart(part("s", { owner: "empty" })), empty);
      assert.equal((await readAll(store, part("s", { owner: "empty" }))).byteLength, 0);
    }));

  it("keeps what was committed until the new commit, and drops it then", () =>
    withLeader(start, async ({ store, term, storage }) => {
      await store.create(term, snapshot("s"));
      await put(store, term, part("s"), [bytesOf(900, 1)]);
      const stored = (await storage.leftovers()).length;
      const writer = await store.writePart(term, part("s"));
      await writer.write(bytesOf(700, 2));
      assert.deepEqual(await readAll(store, part("s")), Buffer.from(bytesOf(900, 1)));
      await writer.commit(infoOf([bytesOf(700, 2)]));
      assert.deepEqual(await readAll(store, part("s")), Buffer.from(bytesOf(700, 2)));
      await put(store, term, part("s"), [bytesOf(700, 2)]);
      await store.acquireLease("a", 60_000);
      assert.equal((await storage.leftovers()).length, stored);
    }));

  it("refuses to commit what is not what was written", () =>
    withLeader(start, async ({ store, term }) => {
      await store.create(term, snapshot("s"));
      const writer = await store.writePart(term, part("s"));
      await writer.write(bytesOf(500, 1));
      await rejects(writer.commit(infoOf([bytesOf(500, 2)])), "StorePartCorrupt", /hash/);
      await rejects(writer.commit({ ...infoOf([bytesOf(500, 1)]), sizeBytes: 501 }), "StorePartCorrupt");
      await assert.rejects(writer.write(new Uint8Array(chunkBytes + 1)), RangeError);
      assert.equal(await store.statPart(part("s")), undefined);
    }));

  it("detects a flipped byte and a chunk that is gone", () =>
    withLeader(start, async ({ store, term, storage }) => {
      await store.create(term, snapshot("s"));
      const chunks = [bytesOf(1000, 1), bytesOf(1000, 2), bytesOf(1000, 3)];
      for (const [chunk, owner] of ["first", "middle", "last"].entries()) {
        await put(store, term, part("s", { owner }), chunks);
        await storage.flipByte(part("s", { owner }), chunk);
        await rejects(readAll(store, part("s", { owner })), "StorePartCorrupt", new RegExp(owner));
        await put(store, term, part("s", { owner }), chunks);
        await storage.dropChunk(part("s", { owner }), chunk);
        await rejects(readAll(store, part("s", { owner })), "StorePartCorrupt", new RegExp(owner));
      }
    }));

  it("needs memory that does not grow with the part", () =>
    withLeader(start, async ({ store, term }) => {
      await store.create(term, snapshot("s"));
      const chunk = bytesOf(chunkBytes, 5);
      const count = (64 * mebibyte) / chunkBytes;
      const info = infoOf(Array.from({ length: count }, () => chunk));
      const memory = new LiveMemory();
      const writer = await store.writePart(term, part("s"));
      for (let n = 0; n < count; n += 1) {
        await writer.write(chunk);
        memory.sample(n);
      }
      await writer.commit(info);
      let read = 0;
      for await (const piece of store.readPart(part("s"))) {
        memory.sample(read / chunkBytes);
        read += piece.byteLength;
      }
      assert.equal(read, info.sizeBytes);
      assert.ok(memory.grownBytesMax < 8 * mebibyte, `grew by ${memory.grownBytesMax} bytes`);
    }));
}
