import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { ProxyReport } from "../src/proxy/report.ts";
import type { SnapshotReport } from "../src/proxy/snapshot-report.ts";

const main = fileURLToPath(new URL("../src/proxy/main.ts", import.meta.url));
const ordinaryPath = `${process.env.PATH}:/usr/sbin`;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], path = ordinaryPath): Promise<Ended> {
  return new Promise((resolve) => {
    const nodeArgs = ["--conditions=cutline-source", main, ...args];
    const options = { maxBuffer: 16 * 1024 * 1024, env: { PATH: path } };
    execFile(process.execPath, nodeArgs, options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1, stdout, stderr });
    });
  });
}

const quickly = ["--quick", "--seconds", "0.3", "--source", "-o", "json"];

describe("bench:proxy", () => {
  it("measures all ways side by side, and says where the time goes", async () => {
    const cases = ["unary-100@4", "flow-10k@8"];
    const { code, stdout, stderr } = await run([...quickly, "--cases", cases.join()]);
    assert.equal(code, 0, stderr);
    const { rows, ratios, versions } = JSON.parse(stdout) as ProxyReport;
    assert.deepEqual(
      rows.map((row) => `${row.case} ${row.way}`),
      cases.flatMap((name) => ["direct", "haproxy", "nginx", "agents"].map((way) => `${name} ${way}`)),
    );
    for (const row of rows) {
      const { way, callsPerSecond, p50Us, p99Us, cpuUs, hopsUs, hopsMib, coreShare, failures } = row;
      const shown = JSON.stringify(row);
      assert.ok(callsPerSecond > 0 && p50Us > 0 && p99Us >= p50Us && (cpuUs.echo ?? 0) > 0, shown);
      assert.equal(failures, 0, shown);
      // The clock ticks in which a load program's time is counted make it a little more than all.
      assert.ok(coreShare > 0.05 && coreShare < 1.2, shown);
      assert.deepEqual([cpuUs.hop1 === null, cpuUs.hop2 === null, hopsUs === null], Array(3).fill(way === "direct"));
      if (hopsUs === null) continue;
      assert.ok(Math.abs(hopsUs.median - (cpuUs.hop1 ?? 0) - (cpuUs.hop2 ?? 0)) < 1e-6 && hopsMib > 1, shown);
    }
    assert.deepEqual(
      ratios.map(({ case: name, peer }) => `${name} ${peer}`),
      cases.flatMap((name) => [`${name} haproxy`, `${name} nginx`]),
    );
    for (const program of ["haproxy", "nginx", "h2load"]) assert.match(versions[program] ?? "", /^\d+\.\d+/);
  });

  it("measures pairs with mutual TLS between the two of them", async () => {
    const { code, stdout, stderr } = await run([
      ...quickly,
      "--tls",
      "--cases",
      "unary-1k@4",
      "--only",
      "haproxy,nginx,agents",
    ]);
    assert.equal(code, 0, stderr);
    const { rows } = JSON.parse(stdout) as ProxyReport;
    assert.ok(rows.length === 3 && rows.every(({ callsPerSecond, failures }) => callsPerSecond > 0 && failures === 0));
  });

  it("measures agents with grpc-js at both ends and leaves their profiles", async () => {
    const args = [...quickly, "--cases", "grpcjs-100@4", "--only", "direct,agents", "--profile", "agents"];
    const { code, stdout, stderr } = await run(args);
    assert.equal(code, 0, stderr);
    const { rows } = JSON.parse(stdout) as ProxyReport;
    assert.ok(rows.length === 2 && rows.every(({ callsPerSecond, failures }) => callsPerSecond > 0 && failures === 0));
    const folder = /profiles of the agents: (.+)/.exec(stderr)?.[1] ?? "";
    const profiles = await readdir(folder);
    assert.deepEqual(profiles.map((name) => name.replace(/\d+/, "N")).sort(), [
      "agent-of-client-N.cpuprofile",
      "agent-of-echo-N.cpuprofile",
    ]);
    await rm(folder, { recursive: true });
  });

  it("measures what snapshots cost, and how long they hold traffic", async () => {
    const args = [
      "--quick",
      "--seconds",
      "1.2",
      "--source",
      "-o",
      "json",
      "--snapshots",
      "--cases",
      "unary-100@4,grpcjs-100@4",
    ];
    const { code, stdout, stderr } = await run(args);
    assert.equal(code, 0, stderr);
    const rows = (JSON.parse(stdout) as SnapshotReport).snapshotRows;
    assert.deepEqual(
      rows.map(({ captured, pauses }) => [captured, ...pauses.map(({ load }) => load)].join(" ")),
      ["opaque idle full", "object idle half full", "bytes idle half full", "view idle half full"],
    );
    for (const { captured, throughput, cpu, costMs, failures, pauses } of rows) {
      assert.equal(failures, 0);
      assert.ok(costMs > 0, stdout);
      for (const { ratio, from, to } of [throughput, cpu]) assert.ok(from > 0 && from <= ratio && ratio <= to, stdout);
      for (const row of pauses) {
        // On a busy machine a snapshot may fail, and is counted as that.
        const taken = row.snapshots - row.failed;
        assert.ok(taken > 0 && row.p99Us >= row.p50Us && row.p50Us > 0, JSON.stringify(row));
        assert.equal(row.pauses, 2 * taken, JSON.stringify(row));
        if (captured !== "opaque") assert.equal(row.exact, taken);
      }
    }
  });

  it("says which programs are missing, and how to get them", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cutline-bench-path-"));
    try {
      for (const name of ["taskset", "setpriv", "gcc"]) await symlink(`/usr/bin/${name}`, join(folder, name));
      const { code, stderr } = await run(["--quick"], folder);
      assert.equal(code, 1);
      assert.match(stderr, /not installed: haproxy, nginx, h2load; run scripts\/ensure-proxies\.sh/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("ends with 2 when its options are wrong", async () => {
    const { code, stderr } = await run(["--fast"]);
    assert.equal(code, 2);
    assert.match(stderr, /fast[\s\S]*usage: npm run bench:proxy/);
  });
});
