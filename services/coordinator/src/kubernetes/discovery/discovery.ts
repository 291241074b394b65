import { setTimeout as sleep } from "node:timers/promises";
import type { AgentHello } from "@cutline/proto/control";
import type { Counter, Logger, Metrics } from "@cutline/runtime";
import type { Naming, NamingStanding } from "../../agents/port.ts";
import { Repeats } from "../../repeats.ts";
import type { KubeClient } from "../api/client.ts";
import { backOff } from "../back-off.ts";
import { Collection } from "../collection.ts";
import type { ControllerLimits } from "../limits.ts";
import { type Holders, holdersOf, mayDeclare } from "./declared.ts";
import type { DiscoveryLimits } from "./limits.ts";
import { type EndpointSliceObject, type ServiceObject, serviceResource, sliceResource } from "./objects.ts";
import { authoritiesOf, closedAuthoritiesOf, emptyPicture, type Picture, pictureOf } from "./picture.ts";
import { chooseSliceVersion } from "./slice-version.ts";

export interface DiscoveryOptions {
  readonly client: KubeClient;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  readonly clusterDomain: string;
  readonly limits: DiscoveryLimits & ControllerLimits;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Who is told, and of whom. */
export interface NamedProcesses {
  processes(): readonly AgentHello[];
  /** The authorities of some of these processes have changed, or can be told for the first time. */
  namesChanged(): void;
}

/**
 * Keeps the picture of Services and EndpointSlices, and says which authorities lead to a process. Without the API server
 * the last picture stays; its age is told.
 */
export class Discovery implements Naming {
  readonly clusterDomain: string;
  readonly #options: DiscoveryOptions;
  readonly #stop = new AbortController();
  readonly #services: Collection<ServiceObject>;
  #slices: Collection<EndpointSliceObject> | undefined;
  #picture: Picture = emptyPicture;
  #holders: Holders = new Map();
  readonly #repeats = new Repeats();
  /** What the picture says of a process, as long as it is that picture. */
  #said = new WeakMap<AgentHello, readonly string[]>();
  #saidClosed = new WeakMap<AgentHello, readonly string[]>();
  #declared = new WeakMap<AgentHello, readonly string[]>();
  #phase: "waiting" | "known" = "waiting";
  #told: NamedProcesses = { processes: () => [], namesChanged: () => undefined };
  #opening: Promise<void> = Promise.resolve();
  #debounce: NodeJS.Timeout | undefined;
  #firstPicture: NodeJS.Timeout | undefined;
  #startedAtMs: number;
  readonly #changes: Counter<never>;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.clusterDomain = options.clusterDomain;
    this.#startedAtMs = options.nowMs();
    this.#services = new Collection<ServiceObject>(options, serviceResource, () => this.#changed());
    this.#changes = options.metrics.counter("cutline_discovery_changes_total", {
      help: "Changes of the directory that Services and EndpointSlices made",
    });
    this.#show();
  }

  connect(told: NamedProcesses): void {
    this.#told = told;
  }

  start(): void {
    const { firstPictureMsMax } = this.#options.limits;
    this.#startedAtMs = this.#options.nowMs();
    this.#services.start();
    this.#opening = this.#open();
    this.#firstPicture = setTimeout(() => {
      if (this.#phase === "known") return;
      const { logger } = this.#options;
      logger.warn({ firstPictureMsMax }, "no Services and EndpointSlices yet; the directory has what agents say alone");
      this.#settle();
    }, firstPictureMsMax);
  }

  /** The picture stays, for those who still ask. */
  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#firstPicture);
    clearTimeout(this.#debounce);
    // Who waits for a first list is told by the end of the lists.
    await Promise.all([this.#services.stop(), this.#slices?.stop()]);
    await this.#opening;
    this.#options.client.close();
  }

  get phase(): "waiting" | "known" {
    return this.#phase;
  }

  authoritiesOf(process: AgentHello): readonly string[] {
    const known = this.#said.get(process);
    if (known !== undefined) return known;
    const said = authoritiesOf(this.#picture, process).slice(0, this.#options.limits.authoritiesMax);
    this.#said.set(process, said);
    return said;
  }

  declaredBy(process: AgentHello): readonly string[] {
    const known = this.#declared.get(process);
    if (known !== undefined) return known;
    const may = (authority: string) => mayDeclare(authority, process, this.#holders, this.clusterDomain);
    const [taken, refused] = [process.authorities.filter(may), process.authorities.filter((each) => !may(each))];
    const { processId } = process;
    if (refused.length > 0 && this.#repeats.isDue(`${processId} ${refused.join(" ")}`, this.#options.nowMs())) {
      const { logger } = this.#options;
      logger.warn({ processId, authorities: refused }, "declared authorities do not count: they are names of others");
    }
    this.#declared.set(process, taken);
    return taken;
  }

  closedAuthoritiesOf(process: AgentHello): readonly string[] {
    const known = this.#saidClosed.get(process);
    if (known !== undefined) return known;
    const said = closedAuthoritiesOf(this.#picture, process).slice(0, this.#options.limits.authoritiesMax);
    this.#saidClosed.set(process, said);
    return said;
  }

  standing(): NamingStanding {
    const { services, endpointSlices } = this.#counts();
    return { phase: this.#phase, ageMs: Math.round(this.#ageMs()), services, endpointSlices };
  }

  /** Which version of EndpointSlices the server has is asked for until it says so. */
  async #open(): Promise<void> {
    const { client, limits, random, logger } = this.#options;
    const { signal } = this.#stop;
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        const version = await chooseSliceVersion(client);
        if (signal.aborted) return;
        const slices = new Collection<EndpointSliceObject>(this.#options, sliceResource(version), () =>
          this.#changed(),
        );
        this.#slices = slices;
        slices.start();
        await Promise.all([this.#services.listed, slices.listed]);
        if (signal.aborted) return;
        clearTimeout(this.#firstPicture);
        this.#redraw();
        this.#settle();
        logger.info({ version, ...this.#counts() }, "Services and EndpointSlices are known");
        return;
      } catch (error) {
        const delayMs = backOff(failures, limits.backOffMsMin, limits.backOffMsMax, random());
        logger.warn({ error, delayMs, failures }, "the API of EndpointSlices is not known yet; it is asked for again");
        await sleep(delayMs, undefined, { signal }).catch(() => undefined); // Stopped: the loop's head looks.
      }
    }
  }

  #settle(): void {
    if (this.#phase === "known") return;
    this.#phase = "known";
    this.#told.namesChanged();
  }

  #changed(): void {
    // Before the first lists are whole, a picture would lack what agents may know already.
    if (this.#phase === "waiting") return;
    this.#debounce ??= setTimeout(() => {
      this.#debounce = undefined;
      this.#redraw();
    }, this.#options.limits.debounceMs);
  }

  #redraw(): void {
    const before = this.#picture;
    const services = [...this.#services.all()];
    const after = pictureOf(services, [...(this.#slices?.all() ?? [])], this.clusterDomain);
    this.#picture = after;
    this.#said = new WeakMap();
    this.#saidClosed = new WeakMap();
    const [heldBefore, heldAfter] = [this.#holders, holdersOf(services, this.clusterDomain)];
    this.#holders = heldAfter;
    this.#declared = new WeakMap();
    const says = (picture: Picture, holders: Holders, process: AgentHello) => {
      const declared = process.authorities.filter((each) => mayDeclare(each, process, holders, this.clusterDomain));
      return [...declared, "|", ...authoritiesOf(picture, process), "|", ...closedAuthoritiesOf(picture, process)].join(
        " ",
      );
    };
    const isNews = this.#told
      .processes()
      .some((process) => says(before, heldBefore, process) !== says(after, heldAfter, process));
    if (!isNews || this.#phase === "waiting") return;
    this.#changes.add({});
    this.#told.namesChanged();
  }

  /** Since the API server was last heard of the kind that was heard of longest ago. */
  #ageMs(): number {
    return Math.max(this.#services.ageMs, this.#slices?.ageMs ?? this.#options.nowMs() - this.#startedAtMs);
  }

  #counts(): { readonly services: number; readonly endpointSlices: number } {
    return { services: this.#services.size, endpointSlices: this.#slices?.size ?? 0 };
  }

  #show(): void {
    const gauge = (name: string, help: string, value: () => number) => {
      this.#options.metrics.gauge(name, { help, read: () => [{ labels: {}, value: value() }] });
    };
    gauge(
      "cutline_discovery_age_seconds",
      "Since the API server was last heard of Services and EndpointSlices",
      () => this.#ageMs() / 1_000,
    );
    gauge("cutline_discovery_services", "Services that are known", () => this.#counts().services);
    gauge("cutline_discovery_endpoint_slices", "EndpointSlices that are known", () => this.#counts().endpointSlices);
    gauge("cutline_discovery_authorities_left_out", "Authorities beyond the limit of one process", () => {
      const { authoritiesMax } = this.#options.limits;
      return this.#told
        .processes()
        .reduce((sum, one) => sum + Math.max(0, authoritiesOf(this.#picture, one).length - authoritiesMax), 0);
    });
  }
}
