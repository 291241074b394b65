import type { Logger, Metrics } from "@cutline/runtime";
import { json, Listener } from "./listener.ts";
import type { Readiness } from "./readiness.ts";

export interface HealthOptions {
  /** The ports of the data plane are open, or have been: what the application sends is taken. */
  isStarted(): boolean;
  readiness(): Promise<Readiness>;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/**
 * What the kubelet and a scraper ask, on an address that others reach too: so it tells codes, and no names of peers.
 * `/livez` answers 200 from the moment that the data plane serves; a startup probe holds the application until then.
 */
export function createHealth({ isStarted, readiness, metrics, logger }: HealthOptions): Listener {
  return new Listener({
    purpose: "health",
    portSetting: "CUTLINE_HEALTH_PORT",
    logger,
    async route(path) {
      switch (path) {
        case "/livez":
          return isStarted() ? json(200, { outcome: "live" }) : json(503, { outcome: "starting" });
        case "/readyz": {
          const { outcome, missing } = await readiness();
          return json(outcome === "ready" ? 200 : 503, { outcome, missing: missing.map(({ code }) => code) });
        }
        case "/metrics":
          return { status: 200, contentType: metrics.contentType, body: await metrics.render() };
        default:
          return json(404, { code: "NotFound", message: "there are /livez, /readyz and /metrics" });
      }
    },
  });
}
