import { Connection } from "../data/connection.ts";
import type { Mesh } from "../data/mesh.ts";
import type { SimProcess } from "../data/process.ts";
import type { Coordinator } from "./coordinator.ts";
import { Desk, type OwedPart } from "./desk.ts";
import { type ControlMessage, controlTraits, type Report, type StartMessage } from "./messages.ts";

const attachTimeoutMs = 250;
const retryMinMs = 10;
const retryMaxMs = 120;

interface Attachment {
  readonly connection: Connection<ControlMessage>;
  readonly coordinator: Coordinator;
  phase: "greeting" | "welcomed" | "over";
}

/** Attached to a coordinator for as long as the process lives, as services/agent/src/control. */
export class ControlClient {
  readonly desk: Desk;
  readonly #process: SimProcess;
  readonly #mesh: Mesh;
  #attachment: Attachment | undefined;
  #pauseMs = retryMinMs;
  #leaving = false;
  #awayUntilMs = 0;

  constructor(process: SimProcess, mesh: Mesh, forgetAfterMs: number) {
    this.#process = process;
    this.#mesh = mesh;
    this.desk = new Desk(
      process,
      {
        attachment: () => (this.attached ? "attached" : "detached"),
        send: (report) => this.#send(report),
        upload: (part) => this.#upload(part),
      },
      forgetAfterMs,
    );
    process.reports = this.desk;
  }

  get attached(): boolean {
    return this.#attachment?.phase === "welcomed";
  }

  attach(): void {
    const { world, random, self, clock } = this.#process;
    if (!this.#process.alive || this.#leaving) return;
    if (world.engine.nowMs < this.#awayUntilMs) {
      world.engine.after(this.#awayUntilMs - world.engine.nowMs, () => this.attach());
      return;
    }
    const coordinator = random.pick(world.coordinators);
    if (coordinator === undefined) return;
    const connection = new Connection<ControlMessage>(world.engine, random, world.controlQuality, controlTraits);
    const attachment: Attachment = { connection, coordinator, phase: "greeting" };
    this.#attachment = attachment;
    connection.bind(0, {
      onFrame: (message) => this.#received(attachment, message),
      onClosed: () => this.#lost(attachment),
    });
    connection.send(0, { type: "hello", self, open: this.desk.openSnapshots() });
    coordinator.accept(connection);
    clock.after(attachTimeoutMs, () => {
      if (attachment.phase === "greeting") this.drop(attachment);
    });
  }

  /** The stream breaks, and no other can be made for so long. */
  stayAway(forMs: number): void {
    this.#awayUntilMs = Math.max(this.#awayUntilMs, this.#process.world.engine.nowMs + forMs);
    this.drop();
  }

  /** The stream breaks. */
  drop(attachment = this.#attachment): void {
    if (attachment === undefined || attachment.phase === "over") return;
    attachment.connection.close(0);
    this.#lost(attachment);
  }

  /** Hands over what there is, as far as it gets within the grace period. */
  leave(graceMs: number, left: () => void): void {
    const { world } = this.#process;
    const untilMs = world.engine.nowMs + graceMs;
    const look = () => {
      if (!this.#process.alive) return;
      const waits = this.#process.hasRunningCuts || !this.desk.isIdle || !this.attached;
      if (waits && world.engine.nowMs < untilMs) {
        world.engine.after(20, look);
        return;
      }
      this.#attachment?.connection.send(0, { type: "leaving" });
      this.#leaving = true;
      world.engine.after(30, left);
    };
    look();
  }

  stop(): void {
    this.#leaving = true;
    this.drop();
  }

  #lost(attachment: Attachment): void {
    if (attachment.phase === "over") return;
    attachment.phase = "over";
    if (this.#attachment === attachment) this.#attachment = undefined;
    const { random, clock } = this.#process;
    clock.after(random.below(this.#pauseMs), () => this.attach());
    this.#pauseMs = Math.min(this.#pauseMs * 2, retryMaxMs);
  }

  #received(attachment: Attachment, message: ControlMessage): void {
    if (attachment.phase === "over" || !this.#process.alive) return;
    switch (message.type) {
      case "welcome":
        if (attachment.phase !== "greeting") return;
        attachment.phase = "welcomed";
        this.#pauseMs = retryMinMs;
        if (message.directory !== undefined) this.#mesh.setDirectory(message.directory);
        for (const start of message.running) this.#begin(start, "attach");
        this.desk.repeat();
        return;
      case "directory":
        this.#mesh.setDirectory(message.directory);
        return;
      case "start":
        this.#begin(message.start, "start");
        return;
      case "end":
        this.#process.ended(message.ref);
        this.desk.ended(message.ref);
        return;
      default:
    }
  }

  #begin({ ref, store, remainingMs }: StartMessage, trigger: "start" | "attach"): void {
    this.desk.begun(ref, store, remainingMs);
    this.#process.start(ref, trigger);
  }

  #send(report: Report): "sent" | "detached" {
    if (this.#attachment?.phase !== "welcomed") return "detached";
    this.#attachment.connection.send(0, report);
    return "sent";
  }

  #upload(part: OwedPart): void {
    const { world, random, clock } = this.#process;
    if (!this.#process.alive || part.phase === "over") return;
    const again = () => clock.after(random.between(10, 60), () => this.#upload(part));
    const attachment = this.#attachment;
    if (attachment?.phase !== "welcomed") {
      again();
      return;
    }
    let answered = false;
    attachment.coordinator.receivePart(part.content, (outcome) => {
      world.engine.after(random.below(10), () => {
        if (answered || part.phase === "over" || !this.#process.alive) return;
        answered = true;
        if (attachment.phase === "over" || outcome === "again") again();
        else this.desk.partEnded({ type: "partEnded", part, outcome });
      });
    });
    // A coordinator that is gone answers no more.
    clock.after(400, () => {
      if (answered || part.phase === "over" || !this.#process.alive) return;
      answered = true;
      again();
    });
  }
}
