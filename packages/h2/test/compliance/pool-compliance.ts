import assert from "node:assert/strict";
import type { ServerHttp2Stream } from "node:http2";
import { describe, it } from "node:test";
import { BarrierError } from "../../src/port.ts";
import { type Http2Adapters, Recorder, requestHeaders, until } from "./adapters.ts";
import { answerTo, withClient } from "./client-compliance.ts";

export function poolCompliance(adapters: Http2Adapters): void {
  describe(`${adapters.name}: client's connections`, () => {
    it("opens further connections at the peer's limit, up to its own, and lets the rest wait", async () => {
      await withClient(
        adapters,
        () => {},
        async (client, server) => {
          const events = Array.from({ length: 20 }, () => new Recorder());
          for (const each of events) client.open(requestHeaders, true, each);
          await until("all room is used", () => server.streams.length === 6);
          // A waiting call has not been sent, so this takes its whole time.
          await assert.rejects(client.barrier(), BarrierError);
          assert.equal(server.streams.length, 6);
          assert.equal(server.sessions.length, 3);
          assert.equal(client.openStreams, 20);
          let answered = 0;
          await until("all are served", () => {
            for (; answered < server.streams.length; answered += 1) {
              const served = server.streams[answered];
              if (served !== undefined) answerTo(served.stream);
            }
            return events.every((each) => each.isOver);
          });
          assert.equal(
            events.every((each) => each.log.at(-1) === "trailers"),
            true,
          );
          assert.equal(server.sessions.length, 3);
          assert.equal(client.openStreams, 0);
        },
        { server: { settings: { maxConcurrentStreams: 2 } }, client: { connectionsMax: 3, barrierTimeoutMs: 50 } },
      );
    });

    it("bounds how many calls wait", async () => {
      await withClient(
        adapters,
        () => {},
        async (client, server) => {
          const events = Array.from({ length: 5 }, () => new Recorder());
          client.open(requestHeaders, true, new Recorder());
          await until("the room is used", () => server.streams.length === 1);
          for (const each of events) client.open(requestHeaders, true, each);
          await until("the rest is refused", () => events.filter((each) => each.isOver).length === 3);
          assert.deepEqual(events[4]?.reset, { code: 7, cause: "connection" });
          assert.deepEqual(events[0]?.log, []);
        },
        { server: { settings: { maxConcurrentStreams: 1 } }, client: { connectionsMax: 1, waitingCallsMax: 2 } },
      );
    });

    it("finishes calls in flight after GOAWAY and opens new ones on a new connection", async () => {
      await withClient(
        adapters,
        () => {},
        async (client, server) => {
          const old = new Recorder();
          client.open(requestHeaders, true, old);
          await until("the first call came", () => server.streams.length === 1);
          server.sessions[0]?.goaway(0);
          const fresh = new Recorder();
          await until("new calls come by a new connection", () => {
            if (fresh.log.length === 0 && client.openStreams === 1) client.open(requestHeaders, true, fresh);
            const second = server.streams[1]?.stream;
            if (second !== undefined && !second.headersSent && !second.destroyed) answerTo(second);
            return fresh.isOver;
          });
          assert.deepEqual(old.log, []);
          const first = server.streams[0]?.stream as ServerHttp2Stream;
          answerTo(first, "late");
          await until("the first call ended", () => old.isOver);
          assert.deepEqual(old.log, ["headers", "data", "trailers"]);
        },
      );
    });

    it("resets calls when the connection is cut and connects again for the next", async () => {
      await withClient(
        adapters,
        (stream, headers) => {
          if (headers.includes("answer")) answerTo(stream);
        },
        async (client, server) => {
          const cut = new Recorder();
          client.open(requestHeaders, false, cut).write(Buffer.from("x"));
          await until("the call came", () => server.streams.length === 1);
          server.sockets[0]?.resetAndDestroy();
          await until("the call was reset", () => cut.isOver);
          assert.equal(cut.reset?.cause, "connection");
          assert.notEqual(client.lastError, undefined);
          const next = new Recorder();
          client.open([...requestHeaders, "x", "answer"], true, next);
          await until("the next call ended", () => next.isOver);
          assert.equal(next.log.at(-1), "trailers");
          assert.equal(client.lastError, undefined);
        },
      );
    });

    it("closes gracefully: refuses new calls, finishes open ones, cuts what is left", async () => {
      await withClient(
        adapters,
        () => {},
        async (client, server) => {
          const finished = new Recorder();
          const stuck = new Recorder();
          client.open(requestHeaders, true, finished);
          client.open(requestHeaders, true, stuck);
          await until("both calls came", () => server.streams.length === 2);
          const closing = client.close(300);
          const late = new Recorder();
          client.open(requestHeaders, true, late);
          answerTo(server.streams[0]?.stream as ServerHttp2Stream);
          await until("the first call ended", () => finished.isOver && late.isOver);
          assert.equal(finished.log.at(-1), "trailers");
          assert.deepEqual(late.reset, { code: 7, cause: "connection" });
          await closing;
          await until("the stuck call was cut", () => stuck.isOver);
          assert.equal(stuck.reset?.cause, "connection");
        },
      );
    });
  });
}
