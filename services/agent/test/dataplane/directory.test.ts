import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { methods, startGrpcServer, until } from "@cutline/h2/testing";
import * as grpc from "@grpc/grpc-js";
import { authorityOf, dialThrough, directoryOf, introduce, startProcess } from "./processes.ts";

const testTimeoutMs = 30_000;

function unary(client: grpc.Client, request = Buffer.from("x")): Promise<grpc.status> {
  const { path, requestSerialize, responseDeserialize } = methods.unary;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error) => {
      resolve(error?.code ?? grpc.status.OK);
    });
  });
}

describe("the directory of processes", () => {
  it("is waited for by calls that come before it", { timeout: testTimeoutMs }, async () => {
    const server = await startGrpcServer();
    const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
    const callee = await startProcess({ id: "bank/callee", applicationPort: server.port });
    const client = dialThrough(caller, authorityOf(callee.id));
    const request = Buffer.alloc(300_000, "r");
    const early = Array.from({ length: 5 }, () => unary(client, request));
    const cancelled = client.makeBidiStreamRequest(
      methods.echo.path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      new grpc.Metadata(),
    );
    cancelled.on("error", () => {});
    const status = new Promise<grpc.StatusObject>((resolve) => cancelled.on("status", resolve));
    cancelled.cancel();
    assert.equal((await status).code, grpc.status.CANCELLED);
    introduce([caller, callee]);
    assert.deepEqual(
      await Promise.all(early),
      Array.from({ length: 5 }, () => grpc.status.OK),
    );
    await until("no call is left", () => [...caller.links(), ...callee.links()].every((link) => link.calls.size === 0));
    client.close();
    await Promise.all([caller.stop(), callee.stop()]);
    server.stop();
  });

  it("balances every authority over its processes, whatever else is called", { timeout: testTimeoutMs }, async () => {
    const process = await startProcess({ id: "bank/caller", applicationPort: 0 });
    const named = (name: string, authority: string) => ({
      processId: name,
      incarnation: "1",
      linkAddress: "127.0.0.1:1",
      authorities: [authority],
    });
    process.dataPlane.mesh.setDirectory({
      version: 1,
      processes: [named("a/1", "a:80"), named("a/2", "a:80"), named("b/1", "b:80"), named("b/2", "b:80")],
    });
    const chosen = Array.from({ length: 8 }, (_, i) =>
      process.dataPlane.mesh.processFor(i % 2 === 0 ? "a:80" : "b:80"),
    );
    for (const each of ["a/1", "a/2", "b/1", "b/2"])
      assert.equal(chosen.filter((name) => name === each).length, 2, each);
    await process.stop();
  });

  it("keeps calls in the mesh whose server is not ready", { timeout: testTimeoutMs }, async () => {
    const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
    const waiting = { processId: "bank/0", incarnation: "1", linkAddress: "127.0.0.1:1", authorities: [] };
    const closed = { authorities: ["bank.shop:80"] };
    caller.dataPlane.mesh.setDirectory({ version: 1, processes: [{ ...waiting, closed }] });
    caller.dataPlane.directoryKnown();
    const client = dialThrough(caller, "bank.shop:80");
    const { path, requestSerialize, responseDeserialize } = methods.unary;
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, Buffer.from("x"), resolve);
    });
    client.close();
    await caller.stop();
    assert.equal(error?.code, grpc.status.UNAVAILABLE);
    assert.match(String(error?.details), /bank\.shop:80 is served by bank\/0, which is not ready/);
  });

  it("is not replaced by an older one", { timeout: testTimeoutMs }, async () => {
    const process = await startProcess({ id: "bank/caller", applicationPort: 0 });
    const { mesh } = process.dataPlane;
    const other = { processId: "a/1", incarnation: "1", linkAddress: "127.0.0.1:1", authorities: ["a:80"] };
    mesh.setDirectory({ version: 5, processes: [other] });
    mesh.setDirectory({ version: 4, processes: [] });
    assert.equal(mesh.processFor("a:80"), "a/1");
    mesh.setDirectory({ version: 6, processes: [] });
    assert.equal(mesh.processFor("a:80"), undefined);
    await process.stop();
  });

  it("ends the calls with a process that has left when its connection breaks", { timeout: testTimeoutMs }, async () => {
    const server = await startGrpcServer();
    const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
    const callee = await startProcess({ id: "bank/callee", applicationPort: server.port });
    introduce([caller, callee]);
    const client = dialThrough(caller, authorityOf(callee.id));
    assert.equal(await unary(client), grpc.status.OK);
    const call = client.makeBidiStreamRequest(
      methods.echo.path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      new grpc.Metadata(),
    );
    call.on("error", () => {});
    call.resume();
    const status = new Promise<grpc.StatusObject>((resolve) => call.on("status", resolve));
    call.write(Buffer.from("x"));
    await until("it is being served", () => server.served.length === 2);
    caller.dataPlane.mesh.setDirectory(directoryOf([caller]));
    assert.equal(caller.links().length, 1, "while it is connected it may finish its calls");
    assert.equal(caller.dataPlane.mesh.processFor(authorityOf(callee.id)), callee.id);
    await callee.stop();
    assert.equal((await status).code, grpc.status.UNAVAILABLE);
    await until("it is forgotten", () => caller.dataPlane.mesh.processFor(authorityOf(callee.id)) === undefined);
    assert.deepEqual(caller.links(), []);
    client.close();
    await caller.stop();
    server.stop();
  });

  it("keeps calls for an application that is not ready, and hands them over when it is", {
    timeout: testTimeoutMs,
  }, async () => {
    const server = await startGrpcServer();
    const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
    const callee = await startProcess({ id: "bank/callee", applicationPort: server.port });
    introduce([caller, callee]);
    callee.application.ready = false;
    const client = dialThrough(caller, authorityOf(callee.id));
    const calls = Array.from({ length: 5 }, () => unary(client, Buffer.alloc(300_000)));
    await until("they have come", () => callee.links()[0]?.calls.size === 5);
    assert.equal(server.served.length, 0);
    callee.application.ready = true;
    callee.dataPlane.applicationCameUp();
    assert.deepEqual(
      await Promise.all(calls),
      Array.from({ length: 5 }, () => grpc.status.OK),
    );
    client.close();
    await Promise.all([caller.stop(), callee.stop()]);
    server.stop();
  });
});
