import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { CallPosition } from "@cutline/proto/participant";
import * as grpc from "@grpc/grpc-js";
import { createParticipant } from "../src/index.ts";
import { Agent, type BankClient, connect, type Note, nextTurn, serve, statusOf, type Taken, until } from "./kit.ts";

const opening = 10_000;

/** Small, seeded, and good enough to mix things up. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** A branch that keeps its own count of everything, in steps with real waits between them. */
class Branch {
  readonly books = {
    balance: opening,
    received: { begun: 0, amount: 0 },
    sent: { asked: 0, askedAmount: 0, answered: 0, backAmount: 0 },
    chat: { out: 0, outAmount: 0, acks: 0, in: 0, inAmount: 0, acked: 0 },
    halves: 0,
  };
  readonly participant = createParticipant({ state: () => this.books });
  readonly chance: () => number;
  peer: BankClient | undefined;
  chat: grpc.ClientDuplexStream<Note, Note> | undefined;
  agent: Agent | undefined;

  constructor(seed: number) {
    this.chance = random(seed);
  }

  async open(t: TestContext): Promise<string> {
    const { books, chance } = this;
    return serve(t, this.participant.server(new grpc.Server()), {
      pay: async (call, callback) => {
        books.received.begun += 1;
        books.halves += 1;
        if (chance() < 0.5) await nextTurn();
        const amount = call.request.amount ?? 0;
        books.received.amount += amount;
        books.balance += amount;
        books.halves -= 1;
        // Some of it goes straight back, by a call of its own inside the handler.
        if (call.request.text === "forward") await this.send(1, "last");
        if (chance() < 0.3) await nextTurn();
        callback(null, { amount: chance() < 0.3 ? 1 : 0 });
      },
      chat: async (call) => {
        for await (const { amount = 0 } of call as AsyncIterable<Note>) {
          books.halves += 1;
          books.chat.in += 1;
          if (chance() < 0.5) await nextTurn();
          books.chat.inAmount += amount;
          books.balance += amount;
          call.write({});
          books.chat.acked += 1;
          books.halves -= 1;
        }
        call.end();
      },
    });
  }

  connect(t: TestContext, address: string): void {
    this.peer = this.participant.client(connect(t, address));
    this.chat = this.peer.chat();
    this.chat.on("data", () => {
      this.books.chat.acks += 1;
    });
  }

  /** To be called inside a section, or to be one turn of its own up to the call. */
  send(amount: number, text: string): Promise<void> {
    const { books } = this;
    books.balance -= amount;
    books.sent.asked += 1;
    books.sent.askedAmount += amount;
    return new Promise((resolve, reject) => {
      this.peer?.pay({ amount, text }, (error, answer) => {
        if (error !== null) return reject(error);
        books.sent.answered += 1;
        books.sent.backAmount += answer.amount ?? 0;
        resolve();
      });
    });
  }

  async trade(rounds: number): Promise<void> {
    const { books, chance, participant } = this;
    const open: Promise<void>[] = [];
    for (let round = 0; round < rounds; round += 1) {
      if (chance() < 0.5) open.push(this.send(Math.ceil(chance() * 9), chance() < 0.5 ? "forward" : "last"));
      else {
        await participant.atomic(async () => {
          const amount = Math.ceil(chance() * 9);
          books.halves += 1;
          books.balance -= amount;
          await nextTurn();
          books.chat.out += 1;
          books.chat.outAmount += amount;
          this.chat?.write({ amount });
          books.halves -= 1;
        });
      }
      if (chance() < 0.4) await nextTurn();
    }
    await Promise.all(open);
  }
}

const isPay = ({ method }: CallPosition): boolean => method === "/test.Bank/Pay";

function check({ point, state }: Taken): void {
  const books = JSON.parse(state) as Branch["books"];
  assert.equal(books.halves, 0, "no section is seen half-run");
  const { received, sent, chat } = books;
  assert.equal(
    books.balance,
    opening + received.amount + chat.inAmount - sent.askedAmount - chat.outAmount,
    "the balance and the messages stand at the same instant",
  );
  const { first, through, also } = point.incomingBegun;
  const chatsIn = point.incomingOpen.filter((call) => !isPay(call));
  assert.equal(
    received.begun + chatsIn.length,
    through - first + 1 + also.length,
    "begun exactly when the books say so",
  );
  assert.equal(point.outgoingOpen.filter(isPay).length, sent.asked - sent.answered, "open exactly while unanswered");
  const [out] = point.outgoingOpen.filter((call) => !isPay(call));
  assert.deepEqual(
    [out?.messagesSent, out?.messagesReceived],
    [chat.out, chat.acks],
    "messages on the outgoing stream",
  );
  const [into] = chatsIn;
  assert.deepEqual(
    [into?.messagesReceived ?? 0, into?.messagesSent ?? 0],
    [chat.in, chat.acked],
    "and on the incoming one",
  );
  const forwarding = point.incomingOpen.filter(isPay).flatMap((call) => call.waitsFor);
  const open = new Set(point.outgoingOpen.map((call) => call.callId));
  assert.ok(
    forwarding.every((id) => open.has(id)),
    "a handler waits only for open calls",
  );
}

for (const seed of [1, 2, 3, 4]) {
  test(`random transfers between two branches, captured all the time (seed ${seed})`, async (t) => {
    const branches = [new Branch(seed), new Branch(seed + 100)] as const;
    const addresses = [await branches[0].open(t), await branches[1].open(t)] as const;
    branches[0].agent = await Agent.greet(t, addresses[0]);
    branches[1].agent = await Agent.greet(t, addresses[1]);
    branches[0].connect(t, addresses[1]);
    branches[1].connect(t, addresses[0]);
    await until(() => branches.every(({ chat }) => chat !== undefined));
    let trading = true;
    let captures = 0;
    const watch = async ({ agent }: Branch): Promise<void> => {
      while (trading && agent !== undefined) {
        check(await agent.capture());
        captures += 1;
        await nextTurn();
      }
    };
    // A state's bytes take their time; the next instants come meanwhile.
    const watching = Promise.all(branches.flatMap((branch) => Array.from({ length: 6 }, () => watch(branch))));
    await Promise.all(branches.map((branch) => branch.trade(150)));
    await until(() =>
      branches.every(
        ({ books }, at) => books.chat.out === branches[1 - at]?.books.chat.in && books.chat.out === books.chat.acks,
      ),
    );
    trading = false;
    await watching;
    assert.ok(captures > 20, `there were ${captures} captures`);
    const total = branches.reduce((sum, { books }) => sum + books.balance, 0);
    assert.equal(total, 2 * opening, "no money was made or lost");
    const ended = branches.map(({ chat }) => chat && statusOf(chat));
    for (const { chat } of branches) chat?.end();
    assert.deepEqual(
      (await Promise.all(ended)).map((status) => status?.code),
      [grpc.status.OK, grpc.status.OK],
    );
  });
}
