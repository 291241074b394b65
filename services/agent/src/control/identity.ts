import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { createRequest } from "@cutline/certificates";
import {
  describeError,
  identityUri,
  type Logger,
  type MeshName,
  reasonOf,
  type TlsSource,
  timeText,
} from "@cutline/runtime";
import { Backoff } from "./backoff.ts";
import { IdentityFolder, type Term } from "./identity-folder.ts";
import { IdentityError, requestCertificate, trustDomainOf } from "./identity-request.ts";

export interface AgentIdentityOptions {
  readonly url: URL;
  /** The pod's token; read anew for each request, for it is renewed. */
  readonly tokenFile: string;
  readonly folder: string;
  /** PEM: whom to believe until the first bundle has come. */
  readonly firstAuthorities: string | undefined;
  readonly processId: string;
  /** How long a start waits for the first certificate. */
  readonly waitMs: number;
  readonly limits?: Partial<AgentIdentityLimits>;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface AgentIdentityLimits {
  /** One request. Default 10000 ms. */
  readonly requestTimeoutMs: number;
  /** Between tries while the agent waits to start. Defaults 500 and 10000 ms. */
  readonly startRetryMinMs: number;
  readonly startRetryMaxMs: number;
  /** Between tries of a renewal. Defaults 1000 and 300000 ms. */
  readonly renewRetryMinMs: number;
  readonly renewRetryMaxMs: number;
}

const defaultAgentIdentityLimits: AgentIdentityLimits = {
  requestTimeoutMs: 10_000,
  startRetryMinMs: 500,
  startRetryMaxMs: 10_000,
  renewRetryMinMs: 1_000,
  renewRetryMaxMs: 300_000,
};

/** A certificate is renewed at this share of its life, and up to so much of it earlier: not all agents at once. */
const renewalShare = 2 / 3;
const jitterShare = 0.1;
/** A certificate from before a restart is renewed soon: how old it was when it came nobody remembers. */
const inheritedMsMax = 60_000;
const tokenBytesMax = 16 * 1024;

/** Has the coordinator issue this agent's certificate, keeps it in files, and renews it. */
export class AgentIdentity {
  readonly source: TlsSource;
  readonly #options: AgentIdentityOptions;
  readonly #limits: AgentIdentityLimits;
  readonly #folder: IdentityFolder;
  readonly #self: MeshName;
  readonly #stopping = new AbortController();
  #believed = "";
  #renewAtMs = 0;
  #failure: string | undefined;
  #running: Promise<void> | undefined;

  constructor(options: AgentIdentityOptions) {
    this.#options = options;
    this.#limits = { ...defaultAgentIdentityLimits, ...options.limits };
    this.#folder = new IdentityFolder(options.folder);
    this.#self = { kind: "process", processId: options.processId };
    this.source = { files: this.#folder.files };
  }

  /** Why there is no certificate yet, or no new one. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /**
   * Resolves when the files can be used: those that are there already, or new ones. Rejects with an `IdentityError` when
   * `waitMs` are over, or with the reason of `signal`.
   */
  async open(signal: AbortSignal): Promise<void> {
    const { logger, waitMs, nowMs, random, firstAuthorities } = this.#options;
    const believed = (await this.#folder.authorities()) ?? firstAuthorities;
    if (believed === undefined) {
      const message = "CUTLINE_IDENTITY_AUTHORITIES is not set: the coordinator could not be told from anybody else";
      throw new IdentityError("IdentityInvalid", message);
    }
    trustDomainOf(believed);
    this.#believed = believed;
    const stored = await this.#folder.stored(this.#self, nowMs());
    if (stored.outcome === "usable") {
      const leftMs = stored.term.untilMs - nowMs();
      this.#renewAtMs = nowMs() + Math.min(inheritedMsMax, leftMs / 3) * random();
      logger.info({ expiresAt: timeText(stored.term.untilMs) }, "the certificate of the last start is used");
      return;
    }
    logger.debug({ reason: stored.reason }, "there is no certificate of an earlier start");
    const endMs = nowMs() + waitMs;
    const backoff = new Backoff({ retryMinMs: this.#limits.startRetryMinMs, retryMaxMs: this.#limits.startRetryMaxMs });
    for (;;) {
      const error = await this.#obtain();
      if (error === undefined) return;
      signal.throwIfAborted();
      if (nowMs() >= endMs) {
        const message = `no certificate within ${waitMs} ms; the last try: ${this.#failure}`;
        throw new IdentityError("IdentityUnavailable", message);
      }
      await pause(error, backoff, signal, endMs - nowMs());
      signal.throwIfAborted();
    }
  }

  /** Renews from now on. `onRenewed`: the files are new. */
  start(onRenewed: () => void): void {
    this.#running ??= this.#run(onRenewed);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(onRenewed: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const backoff = new Backoff({ retryMinMs: this.#limits.renewRetryMinMs, retryMaxMs: this.#limits.renewRetryMaxMs });
    while (!signal.aborted) {
      // It rejects only because `signal` aborted, which the loop looks at.
      await delay(Math.max(0, this.#renewAtMs - this.#options.nowMs()), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const error = await this.#obtain();
      if (error === undefined) {
        backoff.reset();
        onRenewed();
      } else {
        await pause(error, backoff, signal, this.#limits.renewRetryMaxMs);
      }
    }
  }

  /** `undefined`: the files are new. */
  async #obtain(): Promise<unknown> {
    const { url, tokenFile, nowMs, logger, processId } = this.#options;
    try {
      const token = await readToken(tokenFile);
      const { request, key } = createRequest();
      const { requestTimeoutMs: timeoutMs } = this.#limits;
      const answer = await requestCertificate({ url, token, csr: request, authorities: this.#believed, timeoutMs });
      const trustDomain = trustDomainOf(answer.authorities);
      if (trustDomain !== trustDomainOf(this.#believed)) {
        throw new IdentityError("IdentityInvalid", "the coordinator sent the authorities of another mesh");
      }
      const term = await this.#folder.replace({ ...answer, key }, this.#self, nowMs());
      this.#believed = answer.authorities;
      this.#plan(term);
      this.#failure = undefined;
      const identity = identityUri({ kind: "process", processId, trustDomain });
      logger.info({ identity, expiresAt: timeText(term.untilMs) }, "certificate obtained");
      return undefined;
    } catch (error) {
      const { code, message } = reasonOf(error, "IdentityUnavailable");
      this.#failure = message;
      logger.warn({ url: url.origin, code, reason: message }, "no certificate obtained; it is tried again");
      return error;
    }
  }

  #plan({ untilMs }: Term): void {
    const { nowMs, random } = this.#options;
    const leftMs = untilMs - nowMs();
    this.#renewAtMs = nowMs() + leftMs * (renewalShare - jitterShare * random());
  }
}

async function pause(error: unknown, backoff: Backoff, signal: AbortSignal, msMax: number): Promise<void> {
  if (error instanceof IdentityError && error.retryAfterMs !== undefined) {
    // It rejects only because `signal` aborted, which the caller looks at.
    await delay(Math.min(error.retryAfterMs, msMax), undefined, { signal }).catch(() => undefined);
  }
  await backoff.pause(signal);
}

async function readToken(file: string): Promise<string> {
  let token: string;
  try {
    token = (await readFile(file, "utf8")).trim();
  } catch (error) {
    const message = `the pod's token cannot be read: ${describeError(error)}`;
    throw new IdentityError("IdentityInvalid", message, { cause: error });
  }
  if (token !== "" && token.length <= tokenBytesMax) return token;
  throw new IdentityError("IdentityInvalid", `${file} holds no token`);
}
