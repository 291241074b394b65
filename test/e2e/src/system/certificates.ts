import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { runCli, type Terminal } from "@cutline/cli";
import { SystemError } from "./errors.ts";
import type { Environment } from "./program.ts";

/** The certificates of a whole system, made by `cutline certs`. */
export interface MeshFolder {
  /** CUTLINE_TLS_* settings of the coordinator (`coordinator`), or of the agent of a process. */
  environmentOf(name: string): Environment;
  /** First step of a change of authority: everybody trusts the new one too. */
  trustNext(): Promise<void>;
  /** Second step, when everybody does: certificates of the new one for all. */
  issueNext(): Promise<void>;
}

export async function makeMesh(folder: string, processIds: readonly string[]): Promise<MeshFolder> {
  const names = ["coordinator", ...processIds];
  const outOf = (name: string) => join(folder, name.replace("/", "-"));
  const issue = async (authority: string, ...more: readonly string[]) => {
    for (const name of names) {
      const who = name === "coordinator" ? [name] : ["process", name];
      await certs(...who, "--authority", join(folder, authority), "--out", outOf(name), ...more);
    }
  };
  await certs("authority", "--out", join(folder, "authority"));
  await issue("authority");
  return {
    environmentOf: (name) => ({
      CUTLINE_TLS_MODE: "mutual",
      CUTLINE_TLS_CERTIFICATE_FILE: join(outOf(name), "certificate.pem"),
      CUTLINE_TLS_KEY_FILE: join(outOf(name), "key.pem"),
      CUTLINE_TLS_AUTHORITIES_FILE: join(outOf(name), "authorities.pem"),
      CUTLINE_TLS_RELOAD_INTERVAL_MS: "200",
    }),
    async trustNext() {
      await certs("authority", "--out", join(folder, "next"));
      const next = await readFile(join(folder, "next", "authority.pem"), "utf8");
      for (const name of names) {
        const file = join(outOf(name), "authorities.pem");
        await writeFile(`${file}.new`, `${await readFile(file, "utf8")}${next}`);
        await rename(`${file}.new`, file);
      }
    },
    issueNext: () => issue("next", "--force"),
  };
}

/** Within this process: a program of its own for each certificate takes longer than the whole rest. */
async function certs(...args: readonly string[]): Promise<void> {
  let said = "";
  const terminal: Terminal = {
    stream: new Writable({
      write(chunk, _encoding, done) {
        said += chunk;
        done();
      },
    }),
    isTTY: false,
    columns: 120,
  };
  const exitCode = await runCli(["certs", ...args], {
    stdin: { stream: Readable.from([]), isTTY: false },
    stdout: terminal,
    stderr: terminal,
    env: {},
    now: Date.now,
    fetch: globalThis.fetch,
    sleep: (ms) => sleep(ms),
    newKey: () => "",
    signal: new AbortController().signal,
  });
  if (exitCode !== 0) throw new SystemError("CertificateNotMade", `cutline certs ${args.join(" ")}: ${said}`);
}
