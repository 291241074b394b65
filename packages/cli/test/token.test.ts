import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "./support/run.ts";

describe("the token of a caller", () => {
  let folder: string;
  let file: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cutline-token-"));
    file = join(folder, "token");
    await writeFile(file, "of-the-file\n");
  });
  after(() => rm(folder, { recursive: true }));

  async function shown(args: readonly string[], env: Record<string, string> = {}) {
    let authorization: string | null | undefined;
    const fetch: typeof globalThis.fetch = async (_url, init) => {
      authorization = new Headers(init?.headers).get("authorization");
      return Response.json({ snapshots: [] });
    };
    const ran = await run(["snapshot", "list", ...args], { env, fetch });
    return { ...ran, authorization };
  }

  it("is that of the option, else of the environment, else there is none", async () => {
    const both = { CUTLINE_TOKEN: "of-the-environment" };
    assert.equal((await shown(["--token-file", file], both)).authorization, "Bearer of-the-file");
    assert.equal((await shown([], both)).authorization, "Bearer of-the-environment");
    assert.equal((await shown([], { CUTLINE_TOKEN_FILE: file })).authorization, "Bearer of-the-file");
    assert.equal((await shown([])).authorization, null);
  });

  it("that cannot be used ends the command before anything is sent, and is not quoted", async () => {
    const wrong = join(folder, "wrong");
    await writeFile(wrong, "two words\n");
    for (const [args, env, message] of [
      [["--token-file", join(folder, "nowhere")], {}, /the token cannot be read: ENOENT/],
      [["--token-file", wrong], {}, /wrong holds no token: it is one word/],
      [[], { CUTLINE_TOKEN: "x", CUTLINE_TOKEN_FILE: file }, /CUTLINE_TOKEN_FILE and CUTLINE_TOKEN are both set/],
    ] as const) {
      const { exitCode, stderr, authorization } = await shown(args, { ...env });
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, message);
      assert.ok(!stderr.includes("two words"));
      assert.equal(authorization, undefined);
    }
  });

  it("that the coordinator refuses is a refusal, with what it says", async () => {
    const detail = "The token is not known.";
    const fetch: typeof globalThis.fetch = async () =>
      Response.json({ detail, code: "Unauthenticated" }, { status: 401, statusText: "Unauthorized" });
    const { exitCode, stderr } = await run(["snapshot", "list"], { env: { CUTLINE_TOKEN: "x" }, fetch });
    assert.equal(exitCode, 5);
    assert.match(stderr, /cannot list the snapshots: The token is not known/);
  });
});
