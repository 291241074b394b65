import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { CutlineError, describeError, type Logger } from "@cutline/runtime";
import type { Access, AccessOutcome, Permission } from "../../http/access.ts";

export interface TokenFileOptions {
  readonly file: string;
  /** How often the file is looked at. */
  readonly rereadMs: number;
  readonly logger: Logger;
}

/** Each may what those before it may. */
const roles = ["read", "operate", "admin"] as const;
type Role = (typeof roles)[number];

interface Entry {
  readonly role: Role;
  readonly name: string;
  /** SHA-256 of the token. */
  readonly digest: Buffer;
}

const fileBytesMax = 1024 * 1024;
const entriesMax = 1_000;
/** 128 bits take 22 characters of base64. */
const tokenCharsMin = 22;
const nameForm = /^[\w.@:/-]{1,128}$/;
const tokenForm = /^[!-~]+$/;
const hashForm = /^sha256:([0-9a-f]{64})$/i;

/** Callers are known by the tokens of a file, outside of a cluster. */
export class TokenFileAccess implements Access {
  readonly isOpen = false;
  readonly #options: TokenFileOptions;
  #text: string;
  #entries: readonly Entry[];
  #timer: NodeJS.Timeout | undefined;
  #said = "";

  /** Rejects with `TokenFileInvalid`. */
  static async open(options: TokenFileOptions): Promise<TokenFileAccess> {
    const text = await read(options.file);
    return new TokenFileAccess(options, text, parseTokens(options.file, text));
  }

  private constructor(options: TokenFileOptions, text: string, entries: readonly Entry[]) {
    this.#options = options;
    this.#text = text;
    this.#entries = entries;
  }

  /** Begins to look at the file. */
  watch(): void {
    this.#timer ??= setInterval(() => void this.look(), this.#options.rereadMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Never rejects: a file that cannot be used is logged, and what it said before holds. */
  async look(): Promise<void> {
    const { file, logger } = this.#options;
    try {
      const text = await read(file);
      if (text !== this.#text) {
        this.#entries = parseTokens(file, text);
        this.#text = text;
        logger.info({ file, tokens: this.#entries.length }, "tokens replaced");
      }
      this.#said = "";
    } catch (error) {
      const said = describeError(error);
      if (said === this.#said) return;
      this.#said = said;
      logger.error({ file, error }, "new tokens not used");
    }
  }

  async check(token: string | undefined, permission: Permission): Promise<AccessOutcome> {
    if (token === undefined) {
      return { outcome: "unauthenticated", message: "Show a token: Authorization: Bearer TOKEN." };
    }
    const digest = createHash("sha256").update(token).digest();
    // All are compared, each in the same time: how long it takes says nothing of how near a guess is.
    let found: Entry | undefined;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, digest)) found = entry;
    if (found === undefined) return { outcome: "unauthenticated", message: "The token is not known." };
    const needed = roleFor(permission);
    const caller = found.name;
    if (roles.indexOf(found.role) >= roles.indexOf(needed)) return { outcome: "allowed", caller };
    const message = `${caller} has the role ${found.role}, and this takes ${needed}.`;
    return { outcome: "forbidden", caller, message };
  }
}

function roleFor(permission: Permission): Role {
  if (permission.on === "state") return "operate";
  if (permission.on === "path") return permission.path === "/metrics" ? "read" : "admin";
  switch (permission.verb) {
    case "get":
    case "list":
      return "read";
    case "create":
    case "update":
      return "operate";
    case "delete":
      return "admin";
  }
}

async function read(file: string): Promise<string> {
  try {
    const text = await readFile(file, "utf8");
    if (text.length <= fileBytesMax) return text;
  } catch (error) {
    throw invalid(file, `cannot be read: ${describeError(error)}`, error);
  }
  throw invalid(file, `has more than ${fileBytesMax} bytes`);
}

/** Throws `TokenFileInvalid`, which names the line and never quotes it. */
export function parseTokens(file: string, text: string): readonly Entry[] {
  const entries: Entry[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === "" || words[0]?.startsWith("#")) continue;
    const [roleWord, name = "", token = ""] = words;
    const role = roles.find((each) => each === roleWord);
    const where = `line ${index + 1}`;
    if (words.length !== 3) throw invalid(file, `${where} is not ROLE NAME TOKEN`);
    if (role === undefined) throw invalid(file, `${where} has a role that is none of ${roles.join(", ")}`);
    if (!nameForm.test(name)) throw invalid(file, `${where} has a name that is not made of letters, digits and .@:/-_`);
    const digest = digestOf(token);
    if (digest === undefined) {
      throw invalid(
        file,
        `${where} has a token of less than ${tokenCharsMin} visible characters; take openssl rand -hex 32`,
      );
    }
    if (entries.some((entry) => entry.digest.equals(digest))) throw invalid(file, `${where} repeats a token`);
    entries.push({ role, name, digest });
    if (entries.length > entriesMax) throw invalid(file, `has more than ${entriesMax} tokens`);
  }
  return entries;
}

function digestOf(token: string): Buffer | undefined {
  const hash = hashForm.exec(token)?.[1];
  if (hash !== undefined) return Buffer.from(hash, "hex");
  if (token.length < tokenCharsMin || !tokenForm.test(token)) return undefined;
  return createHash("sha256").update(token).digest();
}

function invalid(file: string, message: string, cause?: unknown): CutlineError {
  return new CutlineError("TokenFileInvalid", `${file} ${message}`, cause === undefined ? {} : { cause });
}
