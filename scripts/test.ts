/** `node scripts/test.ts unit e2e`: runs the named groups one after another and ends with the totals of all of them. */
import { execFileSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

interface Group {
  readonly files: string;
  /** Of those, not these: they are another group's. */
  readonly exclude?: string;
  /** Runs beside a Kubernetes API: the one in KUBECONFIG, or one of its own that it ends. */
  readonly kubernetes?: true;
  /** Test files at a time. The end-to-end tests start whole systems, so they have the machine to themselves. */
  readonly concurrency: number;
  /** For each test. */
  readonly testMsMax: number;
  /** For the whole group: what still runs then is cancelled, and counts as failed. */
  readonly groupMsMax: number;
}

const groups: Readonly<Record<string, Group>> = {
  unit: {
    files: "{packages/*,services/*,examples/*,bench,test/house,test/chart,test/fuzz}/{test/**/,}*.test.ts",
    exclude: "**/test/kubernetes/api/**",
    concurrency: 2,
    testMsMax: 120_000,
    groupMsMax: 14 * 60_000,
  },
  /** By test/house/poisoned-memory.test.ts, which asks whether tests run as `poison.ts` wants it. */
  poison: {
    files: "test/house/poison/*.test.ts",
    concurrency: 1,
    testMsMax: 30_000,
    groupMsMax: 60_000,
  },
  kubernetes: {
    files: "{{packages/*,services/*,test/e2e}/test/kubernetes,test/chart}/api/*.test.ts",
    kubernetes: true,
    concurrency: 1,
    testMsMax: 120_000,
    groupMsMax: 12 * 60_000,
  },
  e2e: {
    files: "test/e2e/**/*.test.ts",
    exclude: "**/test/kubernetes/api/**",
    concurrency: 1,
    testMsMax: 120_000,
    groupMsMax: 9 * 60_000,
  },
  chaos: {
    files: "test/chaos/*.test.ts",
    concurrency: 1,
    testMsMax: 180_000,
    groupMsMax: 4 * 60_000,
  },
  "e2e-kubernetes": {
    files: "test/e2e-kubernetes/*.test.ts",
    concurrency: 1,
    testMsMax: 480_000,
    groupMsMax: 30 * 60_000,
  },
  interop: {
    files: "test/interop/**/*.test.ts",
    concurrency: 1,
    testMsMax: 120_000,
    groupMsMax: 4 * 60_000,
  },
};

const repository = fileURLToPath(new URL("..", import.meta.url));
const totals = { tests: 0, suites: 0, passed: 0, cancelled: 0, skipped: 0, todo: 0 };
let outcome: "passed" | "failed" = "passed";
const begun = performance.now();
/** Which one the group `kubernetes` ran against; `undefined`: it did not run. */
let kubernetesApi: string | undefined;

async function runGroup(name: string, group: Group): Promise<void> {
  const others = ["**/node_modules/**", "**/dist/**", ...(group.exclude === undefined ? [] : [group.exclude])];
  const files = globSync(group.files, { cwd: repository, exclude: others }).sort();
  if (files.length === 0) {
    throw new Error(`the group ${name} has no test files at ${group.files}`);
  }
  console.log(`\n${name}: ${files.length} test files`);
  const stream = run({
    files: files.map((file) => `${repository}${file}`),
    concurrency: group.concurrency,
    execArgv: [`--test-timeout=${group.testMsMax}`],
    signal: AbortSignal.timeout(group.groupMsMax),
  });
  stream.on("test:summary", ({ file, counts, success }) => {
    // Every file has a summary, and so has the whole run, which is the one without a file.
    if (file !== undefined) {
      return;
    }
    totals.tests += counts.tests;
    totals.suites += counts.suites;
    totals.passed += counts.passed;
    totals.cancelled += counts.cancelled;
    totals.skipped += counts.skipped;
    totals.todo += counts.todo;
    if (!success || counts.tests === 0) {
      outcome = "failed";
    }
  });
  for await (const text of stream.compose(new spec())) {
    process.stdout.write(text);
  }
}

/** The server is built when it is not in the cache yet, which takes minutes. */
async function withKubernetes(work: () => Promise<void>): Promise<void> {
  if (process.env.KUBECONFIG) {
    kubernetesApi = `the cluster in KUBECONFIG (${process.env.KUBECONFIG})`;
    console.log(`\nKubernetes API: ${kubernetesApi}`);
    await work();
    return;
  }
  const server = `${repository}scripts/kube-apiserver`;
  const folder = mkdtempSync(join(tmpdir(), "cutline-kube."));
  kubernetesApi = "a kube-apiserver 1.20 of its own (set KUBECONFIG for another)";
  console.log(`\nKubernetes API: ${kubernetesApi}`);
  try {
    execFileSync(`${server}/build`, { stdio: ["ignore", "ignore", "inherit"] });
    execFileSync(`${server}/up`, ["--dir", folder], { stdio: ["ignore", "ignore", "inherit"] });
    process.env.KUBECONFIG = join(folder, "kubeconfig");
    await work();
  } finally {
    delete process.env.KUBECONFIG;
    if (existsSync(join(folder, ".cutline-kube"))) execFileSync(`${server}/down`, [folder], { stdio: "inherit" });
    rmSync(folder, { recursive: true, force: true });
  }
}

// Test files are processes of their own, and so are the programs that some of them start.
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ""} --import=${new URL("poison.ts", import.meta.url)}`.trim();

const names = process.argv.slice(2);
for (const name of names) {
  const group = groups[name];
  if (group === undefined) {
    throw new Error(`there is no group ${name}; the groups are ${Object.keys(groups).join(", ")}`);
  }
  if (group.kubernetes) await withKubernetes(() => runGroup(name, group));
  else await runGroup(name, group);
}

const notAsked = (group: string) => `not run: the group ${group} was not asked for`;
console.log(`
Tests of Kubernetes, by depth:
  a  templates, schemas, patches, decisions   ${names.includes("unit") ? "run, in the group unit" : notAsked("unit")}
  b  against a Kubernetes API                 ${kubernetesApi === undefined ? notAsked("kubernetes") : `run, against ${kubernetesApi}`}
  c  on a whole cluster                       ${names.includes("e2e-kubernetes") ? `run, against ${process.env.KUBECONFIG}` : "not run here: it takes a cluster with nodes; make e2e-kubernetes"}

# groups ${names.join(", ")}
# tests ${totals.tests}
# suites ${totals.suites}
# pass ${totals.passed}
# fail ${totals.tests - totals.passed - totals.cancelled - totals.skipped - totals.todo}
# cancelled ${totals.cancelled}
# skipped ${totals.skipped}
# todo ${totals.todo}
# duration_ms ${Math.round(performance.now() - begun)}`);

process.exitCode = outcome === "passed" ? 0 : 1;
