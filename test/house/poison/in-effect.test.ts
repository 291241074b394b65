import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Program } from "@cutline/e2e";
import { receive, returnSlab, takeSlab } from "@cutline/runtime";
import { poisonByte } from "@cutline/runtime/testing";

const text = "somebody's message";
const poisoned = Buffer.alloc(text.length, poisonByte);

describe("memory that will be used again", () => {
  it("is overwritten behind a receiver that keeps what was read", async () => {
    const server = createServer((socket) => socket.end(text));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    const kept: Buffer[] = [];
    let read = "";
    receive(socket, (bytes) => {
      read += bytes.toString();
      kept.push(bytes);
    });
    await once(socket, "end");
    server.close();
    assert.equal(read, text);
    assert.deepEqual(Buffer.concat(kept), poisoned);
  });

  it("is overwritten in a slab that is given back", () => {
    const slab = takeSlab();
    slab.write(text);
    const kept = slab.subarray(0, text.length);
    returnSlab(slab);
    assert.deepEqual(kept, poisoned);
  });

  it("is overwritten in programs that tests start", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cutline-poison."));
    const { program, serves } = await Program.start({
      name: "probe",
      program: "test/house/poison/probe.ts",
      environment: {},
      logFile: join(folder, "probe.log"),
      servesMessage: "probed",
    });
    try {
      assert.equal(serves.slab, poisoned.toString("hex"));
    } finally {
      await program.stop();
      await rm(folder, { recursive: true });
    }
  });
});
