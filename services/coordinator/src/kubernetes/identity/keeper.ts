import { setTimeout as delay } from "node:timers/promises";
import type { Issuer } from "@cutline/certificates";
import { describeError, type Logger } from "@cutline/runtime";
import { isKubeError } from "../api/errors.ts";
import { backOff } from "../back-off.ts";
import { IdentityError } from "./errors.ts";
import type { IdentityLimits } from "./limits.ts";
import {
  type AuthorityState,
  activeOf,
  bundleOf,
  type RotationInputs,
  type RotationPolicy,
  rotate,
  upcomingOf,
} from "./rotation.ts";
import type { AuthoritySecret } from "./secret.ts";

export interface KeeperOptions {
  readonly secret: AuthoritySecret;
  /** What it is the Secret of, for the log. */
  readonly name: string;
  readonly policy: RotationPolicy;
  readonly limits: IdentityLimits;
  mint: RotationInputs["mint"];
  /** Sees to it that those believe the bundle who are not told otherwise. Rejects when that cannot be said. */
  readonly publish?: (bundle: string) => Promise<void>;
  /** How far others' clocks are ahead of `nowMs`, as known after a read of the Secret. Absent: it is not asked. */
  readonly clockOffsetMs?: () => number | undefined;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly logger: Logger;
}

/** A reading of another's clock is to the second, and as late as an answer may be. */
const clockReadingMs = 10_000;

/** Who issues now. */
export interface Issuing {
  readonly issuer: Issuer;
  /** When its own certificate ends. */
  readonly untilMs: number;
  /** How long what it issues may live. */
  readonly lifeMs: number;
}

/** Holds what a Secret says of authorities, keeps it fresh, and writes the next step of a rotation into it. */
export class AuthorityKeeper {
  readonly #options: KeeperOptions;
  readonly #listeners = new Set<() => void>();
  readonly #stopping = new AbortController();
  #state: AuthorityState | undefined;
  /** When the look began that found `#state`. */
  #seenAtMs = 0;
  #running: Promise<void> | undefined;
  #said = "";

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Looks for the first time, again and again for a while. Rejects with what stood in the way. */
  async open(): Promise<void> {
    const { limits, nowMs } = this.#options;
    const endMs = nowMs() + limits.startMsMax;
    for (let failures = 1; ; failures += 1) {
      try {
        await this.look();
        return;
      } catch (error) {
        this.#say(error);
        const isHopeless = error instanceof IdentityError && error.code === "SecretInvalid";
        const pauseMs = this.#pauseMs(failures);
        if (isHopeless || nowMs() + pauseMs >= endMs) throw error;
        await delay(pauseMs);
      }
    }
  }

  /** Looks again and again, until `stop`. */
  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Called after each look, whether or not something has changed. */
  onLook(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Everybody to believe, as PEM. Throws `AuthorityStale` before the first look. */
  get bundle(): string {
    if (this.#state === undefined) throw this.#stale("has not been read yet");
    return bundleOf(this.#state);
  }

  /** Throws `AuthorityStale` when the Secret has not been read for too long: another replica may have gone on. */
  issuing(): Issuing {
    const { nowMs, limits, policy } = this.#options;
    const active = this.#state === undefined ? undefined : activeOf(this.#state);
    const ageMs = nowMs() - this.#seenAtMs;
    if (active?.key === undefined) throw this.#stale("has not been read yet");
    if (ageMs > limits.staleMsMax) throw this.#stale(`was read ${ageMs} ms ago for the last time`);
    return {
      issuer: { certificate: active.certificate, key: active.key },
      untilMs: active.untilMs,
      lifeMs: Math.min(policy.certificateLifeMs, active.issuedLifeMsMax),
    };
  }

  /** Reads the Secret and does what is due. Rejects when it could not; what was known before stays. */
  async look(): Promise<void> {
    const { limits, random, secret, nowMs, policy, mint } = this.#options;
    for (let tried = 1; ; tried += 1) {
      const seenAtMs = nowMs();
      const version = await secret.read();
      this.#checkClock();
      const mayUseNext = version.state !== undefined && (await this.#published(version.state));
      const state = rotate(version.state, nowMs(), policy, { mint, mayUseNext });
      try {
        if (state !== version.state) {
          await secret.write(version, state);
          this.#tell(version.state, state);
          await this.#published(state);
        }
      } catch (error) {
        // Another replica was quicker: what it has written is as good.
        if (!isKubeError(error, "KubeConflict") || tried >= limits.conflictsMax) throw error;
        await delay(limits.backOffMsMin * random());
        continue;
      }
      this.#state = state;
      this.#seenAtMs = seenAtMs;
      for (const listener of this.#listeners) listener();
      return;
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { limits, random } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      // Replicas look at different times: whoever is first writes, the others find it written.
      const pauseMs = failures === 0 ? limits.rereadMs * (0.5 + random() / 2) : this.#pauseMs(failures);
      // It rejects only because `signal` aborted, which the loop looks at.
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.look();
        failures = 0;
        this.#said = "";
      } catch (error) {
        failures += 1;
        this.#say(error);
      }
    }
  }

  async #published(state: AuthorityState): Promise<boolean> {
    const { publish, logger, name } = this.#options;
    try {
      await publish?.(bundleOf(state));
      return true;
    } catch (error) {
      logger.warn({ name, error }, "the authorities could not be published");
      return false;
    }
  }

  #tell(before: AuthorityState | undefined, after: AuthorityState): void {
    const { logger, name } = this.#options;
    const active = activeOf(after);
    const fields = {
      name,
      authorities: after.authorities.length,
      before: before?.authorities.length ?? 0,
      issuesSinceMs: active?.issuesSinceMs,
      hasNext: upcomingOf(after) !== undefined,
    };
    logger.info(fields, "authorities written");
  }

  /** The same failure is said once. */
  #say(error: unknown): void {
    const { logger, name } = this.#options;
    const text = describeError(error);
    const level = text === this.#said ? "debug" : "error";
    this.#said = text;
    logger[level]({ name, error }, "the Secret of the authorities could not be kept");
  }

  #pauseMs(failures: number): number {
    const { limits, random } = this.#options;
    return backOff(failures, limits.backOffMsMin, limits.rereadMs, random());
  }

  /** One replica whose clock is a year ahead would have everybody else's authority expired. */
  #checkClock(): void {
    const { clockOffsetMs, limits } = this.#options;
    const offsetMs = clockOffsetMs?.() ?? 0;
    if (Math.abs(offsetMs) <= limits.skewMs + clockReadingMs) return;
    const message = `the API server's clock is ${offsetMs} ms ahead of this machine's, and ${limits.skewMs} ms are allowed (CUTLINE_IDENTITY_CLOCK_SKEW_MS); set this machine's clock right`;
    throw new IdentityError("ClockWrong", message);
  }

  #stale(why: string): IdentityError {
    const { name } = this.#options;
    return new IdentityError("AuthorityStale", `nothing is issued by the authority in the Secret ${name}: it ${why}`);
  }
}
