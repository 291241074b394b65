import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const biome = join(repository, "node_modules/.bin/biome");

/** A line, the file it stands in, and whether the linter lets it pass there. */
const lines: readonly (readonly [path: string, line: string, verdict: "passes" | "bites"])[] = [
  ["packages/protocol/src/cut/x.ts", 'export * from "./step.ts";', "passes"],
  ["packages/protocol/src/cut/x.ts", 'export * from "../numbers.ts";', "passes"],
  ["packages/protocol/src/cut/x.ts", 'export * from "node:fs";', "bites"],
  ["packages/protocol/src/cut/x.ts", 'export type { Stats } from "node:fs";', "bites"],
  ["packages/protocol/src/cut/x.ts", 'void import("node:os");', "bites"],
  ["packages/protocol/src/cut/x.ts", 'export * from "pino";', "bites"],
  ["packages/protocol/src/cut/x.ts", 'export * from "@cutline/runtime";', "bites"],
  ["packages/protocol/src/cut/x.ts", 'export * from "../../../runtime/src/index.ts";', "bites"],
  ["packages/protocol/src/cut/x.ts", "void Date.now();", "bites"],
  ["packages/protocol/src/cut/x.ts", "void new Date();", "bites"],
  ["packages/protocol/src/cut/x.ts", "void Math.random();", "bites"],
  ["packages/protocol/src/cut/x.ts", "void Math.max(1, 2);", "passes"],
  ["packages/protocol/src/cut/x.ts", "void performance.now();", "bites"],
  ["packages/protocol/src/cut/x.ts", "void setTimeout(() => undefined, 1);", "bites"],
  ["packages/protocol/src/cut/x.ts", "void setInterval(() => undefined, 1);", "bites"],
  ["packages/protocol/src/cut/x.ts", "queueMicrotask(() => undefined);", "bites"],
  ["packages/protocol/src/cut/x.ts", "void crypto.randomUUID();", "bites"],
  ["packages/protocol/src/cut/x.ts", "void globalThis.crypto;", "bites"],
  ["packages/protocol/src/cut/x.ts", "void process.env;", "bites"],
  ["packages/protocol/src/cut/x.ts", 'console.log("x");', "bites"],
  ["packages/protocol/src/cut/x.ts", 'void fetch("http://localhost");', "bites"],
  ["packages/protocol/src/cut/x.ts", "void Buffer.alloc(1);", "bites"],
  ["packages/protocol/test/x.ts", 'export * from "node:fs";', "passes"],

  ["packages/simulator/src/x.ts", 'export * from "@cutline/protocol";', "passes"],
  ["packages/simulator/src/x.ts", 'export * from "@cutline/runtime";', "bites"],
  ["packages/simulator/src/x.ts", 'export * from "node:fs";', "bites"],
  ["packages/simulator/src/x.ts", "void Math.random();", "bites"],
  ["packages/simulator/src/x.ts", "void Date.now();", "bites"],

  ["packages/runtime/src/x.ts", 'export * from "pino";', "passes"],
  ["packages/runtime/src/x.ts", 'export * from "@opentelemetry/api";', "passes"],
  ["packages/runtime/src/x.ts", 'export * from "@cutline/protocol";', "bites"],
  ["packages/runtime/src/x.ts", 'export * from "fastify";', "bites"],
  ["packages/runtime/src/x.ts", "process.exit(1);", "bites"],
  ["packages/runtime/src/x.ts", 'export * from "node:process";', "bites"],

  ["packages/participant/src/x.ts", 'export * from "@grpc/grpc-js";', "passes"],
  ["packages/participant/src/x.ts", 'export * from "@cutline/proto/participant";', "passes"],
  ["packages/participant/src/x.ts", 'export * from "@cutline/protocol";', "bites"],
  ["packages/participant/src/x.ts", 'export * from "pino";', "bites"],

  ["packages/certificates/src/x.ts", 'export * from "@peculiar/asn1-x509";', "passes"],
  ["packages/certificates/src/x.ts", 'export * from "node:fs";', "bites"],
  ["packages/certificates/src/x.ts", 'export * from "@cutline/runtime";', "bites"],

  ["packages/injection/src/x.ts", 'export * from "./pod.ts";', "passes"],
  ["packages/injection/src/x.ts", 'export * from "node:crypto";', "passes"],
  ["packages/injection/src/x.ts", 'export * from "node:fs";', "bites"],
  ["packages/injection/src/x.ts", 'export * from "yaml";', "bites"],
  ["packages/injection/src/x.ts", 'export * from "@cutline/runtime";', "bites"],
  ["services/coordinator/src/kubernetes/identity/x.ts", 'export * from "@cutline/certificates";', "passes"],
  ["services/coordinator/src/kubernetes/access/x.ts", 'export * from "@cutline/certificates";', "bites"],
  ["services/agent/src/control/identity.ts", 'export * from "@cutline/certificates";', "passes"],
  ["services/agent/src/control/attachment.ts", 'export * from "@cutline/certificates";', "bites"],
  ["services/coordinator/src/kubernetes/webhook/x.ts", 'export * from "@cutline/injection";', "passes"],
  ["services/coordinator/src/kubernetes/webhook/x.ts", 'export * from "fastify";', "passes"],
  ["services/coordinator/src/kubernetes/webhook/x.ts", 'export * from "ioredis";', "bites"],
  ["services/coordinator/src/driver/x.ts", 'export * from "@cutline/injection";', "bites"],

  ["packages/cli/src/x.ts", 'export * from "@cutline/injection";', "passes"],
  ["packages/cli/src/x.ts", 'export * from "commander";', "passes"],
  ["packages/cli/src/x.ts", 'export * from "@cutline/certificates";', "passes"],
  ["packages/cli/src/x.ts", 'export * from "@peculiar/asn1-x509";', "bites"],
  ["packages/cli/src/x.ts", 'export * from "@cutline/coordinator";', "bites"],
  ["packages/cli/src/x.ts", "process.exit(1);", "bites"],
  ["packages/cli/src/main.ts", "process.exit(1);", "passes"],
  ["packages/cli/bin/cutline.js", "process.exit(1);", "passes"],

  ["services/agent/src/x.ts", 'export * from "@cutline/protocol";', "passes"],
  ["services/agent/src/x.ts", 'export * from "node:fs/promises";', "passes"],
  ["services/agent/src/x.ts", 'export * from "@cutline/coordinator";', "bites"],
  ["services/agent/src/x.ts", 'export * from "../../coordinator/src/snapshots.ts";', "bites"],
  ["services/agent/src/x.ts", 'export * from "pino";', "bites"],
  ["services/agent/src/x.ts", 'export * from "@grpc/grpc-js";', "bites"],
  ["services/agent/src/x.ts", 'export * from "node:http2";', "bites"],
  ["services/agent/src/x.ts", "process.exit(1);", "bites"],
  ["services/agent/src/main.ts", "process.exit(1);", "passes"],
  ["services/agent/src/main.ts", 'export * from "node:http2";', "bites"],
  ["services/agent/src/control/x.ts", 'export * from "@grpc/grpc-js";', "passes"],
  ["services/agent/src/control/x.ts", 'export * from "ioredis";', "bites"],
  ["services/agent/src/x.ts", 'export * from "@cutline/h2";', "passes"],
  ["packages/h2/src/node/server.ts", 'export * from "node:http2";', "passes"],
  ["packages/h2/src/lean/server.ts", 'export * from "node:http2";', "bites"],
  ["packages/h2/src/lean/server.ts", 'export * from "@cutline/protocol";', "bites"],

  ["services/coordinator/src/x.ts", 'export * from "@cutline/agent";', "bites"],
  ["services/coordinator/src/x.ts", 'export * from "ioredis";', "bites"],
  ["services/coordinator/src/x.ts", 'export * from "fastify";', "bites"],
  ["services/coordinator/src/x.ts", 'export * from "node:sqlite";', "bites"],
  ["services/coordinator/src/agents/x.ts", 'export * from "@grpc/grpc-js";', "passes"],
  ["services/coordinator/src/http/x.ts", 'export * from "fastify";', "passes"],
  ["services/coordinator/src/http/x.ts", 'export * from "ioredis";', "bites"],
  ["services/coordinator/src/store/redis.ts", 'export * from "ioredis";', "passes"],
  ["services/coordinator/src/store/redis/x.ts", 'export * from "ioredis";', "passes"],
  ["services/coordinator/src/store/redis.ts", 'export * from "node:sqlite";', "bites"],
  ["services/coordinator/src/store/embedded.ts", 'export * from "node:sqlite";', "passes"],
  ["services/coordinator/src/store/embedded/x.ts", 'export * from "node:sqlite";', "passes"],
  ["services/coordinator/src/store/embedded.ts", 'export * from "ioredis";', "bites"],
  ["services/coordinator/src/store/port.ts", 'export * from "ioredis";', "bites"],
  ["services/coordinator/src/kubernetes/x.ts", 'export * from "@kubernetes/client-node";', "bites"],
  ["services/coordinator/src/kubernetes/x.ts", 'export * from "@sinclair/typebox";', "bites"],
  ["packages/cli/src/cluster/api/x.ts", 'export * from "@kubernetes/client-node";', "passes"],
  ["packages/cli/src/cluster/api/x.ts", 'export * from "commander";', "bites"],
  ["packages/cli/src/cluster/x.ts", 'export * from "@kubernetes/client-node";', "bites"],
  ["services/coordinator/src/kubernetes/api/x.ts", 'export * from "@kubernetes/client-node";', "passes"],
  ["services/coordinator/src/kubernetes/api/x.ts", 'export * from "@sinclair/typebox";', "bites"],
  ["services/coordinator/src/kubernetes/resources/x.ts", 'export * from "@sinclair/typebox";', "passes"],
  ["services/coordinator/src/kubernetes/resources/x.ts", 'export * from "@kubernetes/client-node";', "bites"],
  ["services/coordinator/src/schedule/cron.ts", 'export * from "croner";', "passes"],
  ["services/coordinator/src/schedule/x.ts", 'export * from "croner";', "bites"],

  ["examples/bank/src/x.ts", 'export * from "@cutline/participant";', "passes"],
  ["examples/bank/src/x.ts", 'export * from "@cutline/agent";', "bites"],
];

/** Only these rules say that an import or a global is in the wrong place. */
const ruleNames = [
  "lint/style/noRestrictedImports",
  "lint/style/noRestrictedGlobals",
  "lint/suspicious/noConsole",
  "plugin",
];

describe("the linter keeps imports and globals where they belong", () => {
  let folder: string;
  const linesOf = new Map<string, string[]>();
  const bitten = new Set<string>();

  before(async () => {
    folder = await mkdtemp(join(await realpath(tmpdir()), "house-"));
    for (const [path, line] of lines) {
      linesOf.set(path, [...(linesOf.get(path) ?? []), line]);
    }
    for (const [path, content] of linesOf) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content.join("\n"));
    }
    await cp(join(repository, "biome.json"), join(folder, "biome.json"));
    await cp(join(repository, "lint"), join(folder, "lint"), { recursive: true });
    for (const { rule, file, line } of await lint(folder)) {
      if (ruleNames.includes(rule)) {
        bitten.add(`${relative(folder, file)}:${line}`);
      }
    }
  });

  after(() => rm(folder, { recursive: true }));

  for (const [path, line, verdict] of lines) {
    it(`${verdict}: ${line} in ${path}`, () => {
      const lineNumber = (linesOf.get(path) ?? []).indexOf(line) + 1;
      assert.equal(bitten.has(`${path}:${lineNumber}`) ? "bites" : "passes", verdict);
    });
  }
});

async function lint(folder: string): Promise<{ rule: string; file: string; line: string }[]> {
  const options = ["lint", "--vcs-enabled=false", "--max-diagnostics=none", "--reporter=github", "."];
  const output = await new Promise<string>((resolve, reject) => {
    execFile(biome, options, { cwd: folder }, (error, stdout, stderr) => {
      // It ends with 1 because it found what it was to find; anything else is a failure of its own.
      if (error !== null && error.code !== 1) {
        reject(new Error(`biome failed: ${stderr}`, { cause: error }));
      } else {
        resolve(stdout);
      }
    });
  });
  const found = output.matchAll(/title=(?<rule>[^,]*),file=(?<file>[^,]*),line=(?<line>\d+),/g);
  return [...found].map(({ groups }) => ({
    rule: groups?.rule ?? "",
    file: groups?.file ?? "",
    line: groups?.line ?? "",
  }));
}
