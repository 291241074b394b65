import type { Action } from "./plan/plan.ts";
import type { World } from "./world.ts";

const requestTriesMax = 60;
const requestRetryMs = 50;

/** Carries one action of a plan out. Disturbances that last end by themselves, or with `calmDown`. */
export function act(world: World, action: Action): void {
  const { engine, plan } = world;
  const undo = (forMs: number, run: () => void) => {
    engine.after(Math.min(forMs, plan.calmAtMs - engine.nowMs), run);
  };
  switch (action.type) {
    case "call": {
      const inhabitant = world.inhabitants.get(action.from);
      if (inhabitant === undefined || inhabitant.process.leaving) return;
      for (const { id, from, to, openAtMs } of plan.lanes) {
        if (from === action.from && to === action.to && openAtMs <= engine.nowMs) inhabitant.mesh.open(id, to);
      }
      if (inhabitant.mesh.knows(action.to)) inhabitant.process.application.call(action.to, action.script);
      return;
    }
    case "snapshot":
      request(world, action, 0);
      return;
    case "abort":
      for (const coordinator of world.coordinators) coordinator.abort(action.id);
      return;
    case "cutLane":
      world.fault("connectionLost", action.lane);
      world.cutLane(action.lane);
      return;
    case "laneDown": {
      const quality = world.laneOf(action.lane);
      world.fault("laneDown", `${action.lane} for ${action.forMs} ms`);
      quality.up = false;
      world.cutLane(action.lane);
      undo(action.forMs, () => {
        quality.up = true;
      });
      return;
    }
    case "laneDirty": {
      const quality = world.laneOf(action.lane);
      const { duplicated, reordered, acknowledgementsLateMs } = action;
      world.fault("laneDirty", `${action.lane} for ${action.forMs} ms`);
      Object.assign(quality, { duplicated, reordered, acknowledgementsLateMs });
      undo(action.forMs, () => Object.assign(quality, { duplicated: 0, reordered: 0, acknowledgementsLateMs: 0 }));
      return;
    }
    case "crash":
      if (!world.inhabitants.has(action.process)) return;
      world.fault("crash", action.process);
      world.bury(action.process, "crashed");
      if (action.restartAfterMs !== undefined) undo(action.restartAfterMs, () => world.bear(action.process, 1));
      return;
    case "leave": {
      const inhabitant = world.inhabitants.get(action.process);
      if (inhabitant === undefined || inhabitant.process.leaving) return;
      world.fault("leave", action.process);
      inhabitant.process.leaving = true;
      inhabitant.client.leave(500, () => {
        if (!inhabitant.process.alive) return;
        for (const link of [...inhabitant.process.links.values()]) inhabitant.process.closeLink(link);
        world.bury(action.process, "left");
      });
      return;
    }
    case "dropControl":
      world.fault(action.forMs > 0 ? "controlDown" : "controlLost", `${action.process} for ${action.forMs} ms`);
      world.inhabitants.get(action.process)?.client.stayAway(Math.min(action.forMs, plan.calmAtMs - engine.nowMs));
      return;
    case "crashCoordinator":
    case "pauseCoordinator": {
      const coordinator = world.coordinators.find(({ name }) => name === action.name);
      if (coordinator === undefined) return;
      world.fault(action.type, `${action.name}${coordinator.leads ? ", which leads," : ""} for ${action.forMs} ms`);
      if (action.type === "pauseCoordinator") {
        coordinator.pause();
        undo(action.forMs, () => coordinator.goOn());
      } else {
        coordinator.crash();
        undo(action.forMs, () => coordinator.restart());
      }
      return;
    }
    case "clock": {
      const clock =
        world.coordinators.find(({ name }) => name === action.of)?.clock ??
        world.inhabitants.get(action.of)?.process.clock;
      world.fault("clock", `${action.of} jumps by ${action.jumpMs} ms, at rate ${action.rate}`);
      clock?.jump(action.jumpMs);
      clock?.setRate(action.rate);
      return;
    }
    case "store": {
      const { latencyMs, fails, timesOut, late } = action;
      world.fault("store", `for ${action.forMs} ms`);
      Object.assign(world.storeQuality, { latencyMs, fails, timesOut, late });
      undo(action.forMs, () => Object.assign(world.storeQuality, { latencyMs: 2, fails: 0, timesOut: 0, late: 0 }));
      return;
    }
    case "captureTrouble":
      world.faults.captureFails = action.fails;
      undo(action.forMs, () => {
        world.faults.captureFails = 0;
      });
  }
}

/** From here on nothing is disturbed. */
export function calmDown(world: World): void {
  for (const { id } of world.plan.lanes) {
    Object.assign(world.laneOf(id), { duplicated: 0, reordered: 0, acknowledgementsLateMs: 0, up: true });
  }
  Object.assign(world.storeQuality, { latencyMs: 2, fails: 0, timesOut: 0, late: 0 });
  world.faults.captureFails = 0;
  for (const coordinator of world.coordinators) {
    coordinator.goOn();
    coordinator.restart();
    coordinator.clock.setRate(1);
  }
  for (const { process } of world.inhabitants.values()) process.clock.setRate(1);
  world.note({ type: "calm" });
}

/** Asks whoever leads; asks again for a while when nobody does. */
function request(world: World, action: Extract<Action, { type: "snapshot" }>, tries: number): void {
  const { id, initiator, timeoutMs, attemptsMax, namespaces, completesBy } = action;
  const scope = namespaces.length === 0 ? undefined : { namespaces, labelSelector: {} };
  const spec = { id, initiator, timeoutMs, attemptsMax, scope, labels: {}, idempotencyKey: "" };
  const taken = world.coordinators.some((coordinator) => coordinator.start(spec, completesBy) === "taken");
  if (!taken && tries < requestTriesMax) world.engine.after(requestRetryMs, () => request(world, action, tries + 1));
}
