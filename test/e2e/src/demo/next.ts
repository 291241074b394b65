import type { System } from "../system/system.ts";

const serverDefault = "http://127.0.0.1:7400";

/** What a person can try while the system runs; every line works as it stands. */
export function whatToTryNext(system: System, snapshotId: string): string[] {
  const { httpAddress } = system;
  const [branch] = system.branches;
  const status = `http://127.0.0.1:${branch?.plan.statusPort}`;
  return [
    ...(httpAddress === serverDefault ? [] : [`export CUTLINE_SERVER=${httpAddress}`]),
    "npm run --silent cutline -- topology",
    "npm run --silent cutline -- snapshot create",
    "npm run --silent cutline -- snapshot list",
    `npm run --silent cutline -- snapshot describe ${snapshotId}`,
    `npm run --silent cutline -- state ${snapshotId} --file state.json --force`,
    "npm run --silent cutline -- verify state.json",
    "",
    `curl -s -X POST -H 'content-type: application/json' -d '{"timeoutMs":10000}' ${httpAddress}/v1/snapshots`,
    `curl -s ${httpAddress}/v1/snapshots/${snapshotId}`,
    `curl -s ${httpAddress}/v1/snapshots/${snapshotId}/state`,
    "",
    `curl -s ${status}/status              # ${branch?.name}, live`,
    `curl -s -X POST ${status}/pause       # it sends no more money; /resume lets it go on`,
  ];
}
