import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type MeshFolder, makeMesh, type System, startSystem, until } from "../src/index.ts";
import { assertHarmless, exactProcesses, takeAudited } from "./support.ts";

const branches = ["east", "north", "west"];

describe("a whole system with mutual TLS", () => {
  let folder: string;
  let mesh: MeshFolder;
  let system: System;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cutline-mesh-"));
    mesh = await makeMesh(
      folder,
      branches.map((name) => `bank/${name}`),
    );
    system = await startSystem({
      coordinatorEnvironment: mesh.environmentOf("coordinator"),
      branches: branches.map((name) => ({ name, agentEnvironment: mesh.environmentOf(`bank/${name}`) })),
    });
  });
  after(async () => {
    const ends = Object.entries((await system?.stop()) ?? {});
    await rm(folder, { recursive: true, force: true });
    assert.deepEqual(
      ends.filter(([, how]) => how !== "exit code 0"),
      [],
    );
  });

  const logOf = (file: string) => readFile(join(system.folder, file), "utf8");

  const files = ["coordinator.log", ...branches.map((branch) => `agent-${branch}.log`)];

  it("takes exact snapshots of the bank, to the cent", async () => {
    for (let count = 0; count < 3; count += 1) {
      const taken = await takeAudited(system);
      assert.deepEqual(
        exactProcesses(taken),
        branches.map((name) => `bank/${name}`),
      );
      assert.equal(taken.snapshot.exact, true);
    }
    await assertHarmless(system);
  });

  it("every program says that it uses TLS, and nobody was refused", async () => {
    for (const file of files) {
      const log = await logOf(file);
      assert.match(log, /"tls":"mutual"/, file);
      assert.match(log, /"identity":"spiffe:\/\/cutline\//, file);
      assert.doesNotMatch(log, /no TLS:|a peer was refused/, file);
    }
  });

  it("changes its authority while money moves: no call fails, and new connections are of the new one", async () => {
    const replacedEverywhere = async () => {
      for (const file of files) {
        await until(`new files of ${file}`, async () => {
          const last = (await logOf(file)).split("\n").findLast((line) => line.includes('"certificate replaced"'));
          return last !== undefined && isNext(JSON.parse(last)) ? "replaced" : undefined;
        });
      }
    };
    let isNext = ({ authorities }: { authorities: string[] }) => authorities.length === 2;
    await mesh.trustNext();
    await replacedEverywhere();
    const serials = new Set(
      (await Promise.all(files.map(logOf))).map((log) => /"serialNumber":"(\w+)"/.exec(log)?.[1]),
    );
    isNext = (line: { authorities: string[]; serialNumber?: string }) => !serials.has(line.serialNumber);
    await mesh.issueNext();
    await replacedEverywhere();
    // Whoever attaches now does it with new certificates on both sides.
    await system.coordinator.restart();
    await system.ready();
    const taken = await takeAudited(system, 3);
    assert.equal(taken.snapshot.exact, true);
    await assertHarmless(system);
    for (const file of files) assert.doesNotMatch(await logOf(file), /a peer was refused|a link was refused/, file);
  });
});
