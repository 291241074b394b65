import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { FastifyInstance } from "fastify";
import { createHttp, type HttpOptions } from "../../../src/http/app.ts";
import type { HttpLimits } from "../../../src/http/limits.ts";
import { type Bank, createBank } from "./bank.ts";

export interface Served extends Bank {
  readonly app: FastifyInstance;
}

type Extra = Omit<HttpOptions, "snapshots" | "store" | "limits"> & { readonly limits?: Partial<HttpLimits> };

/** The API over a bank snapshot; closed after the test. */
export function serve(t: TestContext, extra: Extra = {}): Served {
  const bank = createBank();
  const app = createHttp({ snapshots: bank.snapshots, store: bank.parts, ...extra });
  t.after(() => app.close());
  return { ...bank, app };
}

export async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ host: "127.0.0.1", port: 0 });
  return (app.server.address() as AddressInfo).port;
}

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, unknown>>;
  json(): unknown;
}

export interface ProblemJson {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: string;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
  readonly reasons?: readonly string[];
}

/** Checks the form of RFC 9457 and gives the problem. */
export function problemOf(answer: Answer, status: number, code: string): ProblemJson {
  const problem = answer.json() as ProblemJson;
  assert.equal(answer.statusCode, status, JSON.stringify(problem));
  assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
  assert.equal(problem.status, status);
  assert.equal(problem.code, code);
  assert.equal(problem.type, `urn:cutline:problem:${code}`);
  assert.ok(problem.title.length > 0 && problem.detail.length > 0);
  return problem;
}
