import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  checkContents,
  contentsOf,
  describeError,
  type MeshName,
  readContents,
  splitPem,
  type TlsContents,
  type TlsFiles,
  validity,
} from "@cutline/runtime";
import { trustDomainOf } from "./identity-request.ts";

/** The term of a certificate. */
export interface Term {
  readonly fromMs: number;
  readonly untilMs: number;
}

export type StoredOutcome =
  | { readonly outcome: "usable"; readonly term: Term }
  | { readonly outcome: "unusable"; readonly reason: string };

/** Nobody but this program reads its key. */
const mode = 0o600;

/** The three files in the folder that only this agent writes. */
export class IdentityFolder {
  readonly files: TlsFiles;

  constructor(folder: string) {
    this.files = {
      certificateFile: join(folder, "certificate.pem"),
      keyFile: join(folder, "key.pem"),
      authoritiesFile: join(folder, "authorities.pem"),
    };
  }

  /** What an agent that ran here before has left: a container is restarted, its pod is not. */
  async stored(self: MeshName, nowMs: number): Promise<StoredOutcome> {
    try {
      return { outcome: "usable", term: this.#check(await readContents(this.files), self, nowMs) };
    } catch (error) {
      return { outcome: "unusable", reason: describeError(error) };
    }
  }

  /** Of the newest bundle; `undefined`: there is none that can be read. */
  async authorities(): Promise<string | undefined> {
    try {
      const text = await readFile(this.files.authoritiesFile, "utf8");
      if (splitPem(text).length === 0) return undefined;
      trustDomainOf(text);
      return text;
    } catch {
      // It is not there yet, or half written by one who was killed: then the first authorities hold.
      return undefined;
    }
  }

  /** Writes what can be used, and else nothing. Rejects with a `TlsError` that says what is wrong, or as the disk does. */
  async replace(contents: Omit<TlsContents, "digest">, self: MeshName, nowMs: number): Promise<Term> {
    const term = this.#check(contentsOf(contents), self, nowMs);
    const { certificateFile, keyFile, authoritiesFile } = this.files;
    const texts: readonly [file: string, text: string][] = [
      [authoritiesFile, contents.authorities],
      [keyFile, contents.key],
      [certificateFile, contents.certificate],
    ];
    for (const [file, text] of texts) await writeFile(`${file}.new`, text, { mode });
    // Who reads between two of these finds a key that does not fit, keeps what it has, and looks again.
    for (const [file] of texts) await rename(`${file}.new`, file);
    return term;
  }

  #check(contents: TlsContents, self: MeshName, nowMs: number): Term {
    return validity(checkContents(this.files, contents, self, nowMs).certificate);
  }
}
