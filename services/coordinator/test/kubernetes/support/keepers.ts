import { authorityUri } from "@cutline/runtime";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { AuthorityKeeper, type KeeperOptions } from "../../../src/kubernetes/identity/keeper.ts";
import { defaultIdentityLimits } from "../../../src/kubernetes/identity/limits.ts";
import { mintAuthority } from "../../../src/kubernetes/identity/mint.ts";
import type { RotationPolicy } from "../../../src/kubernetes/identity/rotation.ts";
import { AuthoritySecret } from "../../../src/kubernetes/identity/secret.ts";
import { type LogLine, recorder } from "../../support/recorder.ts";

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

const policy: RotationPolicy = {
  authorityLifeMs: 365 * dayMs,
  certificateLifeMs: dayMs,
  overlapMs: 7 * dayMs,
  marginMs: hourMs / 6,
};

/** A clock that a test moves on. */
export class Clock {
  #aheadMs = 0;

  readonly nowMs = (): number => Date.now() + this.#aheadMs;

  forward(ms: number): void {
    this.#aheadMs += ms;
  }
}

export interface TestKeeper {
  readonly keeper: AuthorityKeeper;
  readonly lines: LogLine[];
}

export function keeperOf(
  client: KubeClient,
  namespace: string,
  options: Partial<KeeperOptions> & { readonly uri?: string | undefined } = {},
): TestKeeper {
  const { name = "cutline-authority", ...more } = options;
  const uri = "uri" in options ? options.uri : authorityUri("cutline");
  const lines: LogLine[] = [];
  const limits = { ...defaultIdentityLimits, backOffMsMin: 20 };
  const kind = { title: "the test", uri, lifeMs: policy.authorityLifeMs, skewMs: limits.skewMs };
  const keeper = new AuthorityKeeper({
    secret: new AuthoritySecret({ client, namespace, name, uri }),
    name,
    policy,
    limits,
    mint: (nowMs) => mintAuthority(kind, nowMs),
    nowMs: Date.now,
    random: Math.random,
    logger: recorder(lines),
    ...more,
  });
  return { keeper, lines };
}
