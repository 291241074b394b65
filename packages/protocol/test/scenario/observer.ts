import assert from "node:assert/strict";
import type { GlobalState } from "./global-state.ts";
import type { World } from "./world.ts";

/** What one channel's state has to be, found from the order of events alone. */
interface Observed {
  readonly inFlight: string[];
  readonly outbox: string[];
  /** Numbers of the frames numbered before the sender's cut, without markers; and of those received before the receiver's. */
  readonly sent: readonly number[];
  readonly received: readonly number[];
}

/**
 * Watches from outside, with a clock that no process has and without any code of the protocol: asserts I1, I2 and the
 * conservation of tokens for one complete snapshot.
 */
export function assertConsistent(world: World, state: GlobalState): void {
  for (const { evidence, inFlight, outbox } of state.channels) {
    const observed = observe(world, state.key, evidence.id);
    const name = `${state.key} ${evidence.id}`;
    const sent = new Set(observed.sent);
    assert.deepEqual(
      observed.received.filter((number) => !sent.has(number)),
      [],
      `I1: ${name} received what was sent behind the cut`,
    );
    assert.deepEqual(inFlight, observed.inFlight, `I2: ${name} has another channel state than the frames in flight`);
    assert.deepEqual(outbox, observed.outbox, `${name} has another outbox`);
    const recorded = evidence.recorded.flatMap(({ first, last }) =>
      Array.from({ length: last - first + 1 }, (_, index) => first + index),
    );
    assert.deepEqual(
      [...recorded, ...observed.received].sort((a, b) => a - b),
      observed.sent,
      `I2: ${name} recorded and received other numbers than were sent`,
    );
    assert.equal(evidence.deliveredAtCut, observed.received.length, `${name} counted deliveries wrongly`);
  }
  assertConserved(world, state);
}

function assertConserved(world: World, state: GlobalState): void {
  const inState = [...state.locals.values()].flatMap((local) => local.held);
  for (const channel of state.channels) inState.push(...channel.inFlight, ...channel.outbox);
  const tokens = inState.filter((token) => !world.signs.has(token));
  assert.deepEqual(tokens.sort(), tokensAt(world, state.key), `${state.key}: every token is in the global state once`);
}

/**
 * The tokens that there were at the cut: all that there are, without those minted behind it, and with those lost behind
 * it; "behind" in the order of the process that minted or lost them.
 */
export function tokensAt(world: World, key: string): string[] {
  const inWorld = [...world.actors.values()].flatMap((actor) => [
    ...actor.holding,
    ...[...actor.inbox.values()].flat().map((arrived) => arrived.token),
  ]);
  for (const wire of world.wires.values()) {
    if (wire.state === "lost") continue;
    inWorld.push(...wire.outbox, ...wire.line.notArrived.flatMap((f) => (f.kind === "token" ? [f.token] : [])));
  }
  const cut = new Set<string>();
  const later = new Set<string>();
  for (const event of world.events) {
    if (event.type === "cut" && event.key === key) cut.add(event.process);
    else if (event.type === "lost" && cut.has(event.process)) inWorld.push(event.token);
    else if (event.type === "minted" && cut.has(event.process)) later.add(event.token);
  }
  return inWorld.filter((token) => !world.signs.has(token) && !later.has(token)).sort();
}

function observe(world: World, key: string, channel: string): Observed {
  const { from, to } = world.wire(channel);
  let senderCut = false;
  let receiverCut = false;
  let numbered = 0;
  const numberOf = new Map<string, number[]>();
  const written: string[] = [];
  const sent: { number: number; token: string }[] = [];
  const received: { number: number; token: string }[] = [];
  for (const event of world.events) {
    if (event.type === "cut") {
      if (event.key !== key) continue;
      if (event.process === from) senderCut = true;
      if (event.process === to) receiverCut = true;
      continue;
    }
    if (!("channel" in event) || event.channel !== channel) continue;
    if (event.type === "wrote") {
      if (!senderCut) written.push(event.token);
    } else if (event.type === "numbered") {
      numbered += 1;
      assert.equal(event.frame.number, numbered, `${channel} gave a number twice or left one out`);
      if (event.frame.kind === "marker") continue;
      // A token can pass the same channel again and again.
      numberOf.set(event.frame.token, [...(numberOf.get(event.frame.token) ?? []), numbered]);
      if (!senderCut) sent.push({ number: numbered, token: event.frame.token });
    } else {
      const number = numberOf.get(event.token)?.shift() ?? 0;
      if (!receiverCut) received.push({ number, token: event.token });
    }
  }
  const receivedNumbers = received.map((frame) => frame.number).sort((a, b) => a - b);
  return {
    inFlight: sent.filter((frame) => !receivedNumbers.includes(frame.number)).map((frame) => frame.token),
    outbox: written.slice(sent.length),
    sent: sent.map((frame) => frame.number),
    received: receivedNumbers,
  };
}
