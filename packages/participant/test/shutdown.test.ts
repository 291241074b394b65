import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { createParticipant } from "@cutline/participant";
import * as grpc from "@grpc/grpc-js";
import { Agent, connect, gate, pay, serve } from "./kit.ts";

test("a graceful shutdown waits for calls, and not for the agent's receipts", async (t) => {
  const participant = createParticipant({ state: () => ({}) });
  const server = participant.server(new grpc.Server());
  const begun = gate();
  const answer = gate();
  const address = await serve(t, server, {
    async pay(_call, respond) {
      begun.resolve();
      await answer.promise;
      respond(null, { text: "paid" });
    },
  });
  const agent = await Agent.greet(t, address);
  const receipts = agent.client.receipts({});
  receipts.on("data", () => undefined);
  const receiptsEnded = once(receipts, "end");
  const paid = pay(connect(t, address), { amount: 1 });
  await begun.promise;

  const shutDown = new Promise<void>((resolve, reject) =>
    server.tryShutdown((error) => (error === undefined ? resolve() : reject(error))),
  );
  await receiptsEnded;
  answer.resolve();

  assert.equal((await paid).text, "paid");
  await shutDown;
});
