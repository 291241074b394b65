import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { createHttp } from "../../../services/coordinator/src/http/app.ts";
import { bankDescriptorSet, createBank } from "../../../services/coordinator/test/http/support/bank.ts";
import { randomBytes } from "../engine/mutate.ts";
import type { Target } from "../engine/target.ts";

type Api = ReturnType<typeof createHttp>;

interface Request {
  readonly method: (typeof methods)[number];
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly payload?: Buffer;
}

const bodyBytesMax = 4_096;
/** Documents that an execution may leave behind before they are cleared. */
const documentsMax = 200;

const methods = ["GET", "POST", "DELETE", "PATCH", "PUT", "HEAD", "OPTIONS"] as const;

const urls = [
  "/v1/snapshots",
  "/v1/snapshots?limit=5&phase=Completed&label=app%3Dbank&since=2026-01-01T00:00:00Z&cursor=1",
  "/v1/snapshots/01JBANK",
  "/v1/snapshots/01JBANK:abort",
  "/v1/snapshots/01JBANK/state",
  "/v1/snapshots/01JBANK/processes/bank%2Fbranch-a/state",
  "/v1/snapshots/01JBANK/channels/link1:0",
  "/v1/topology",
  "/openapi.json",
  "/healthz",
  "/readyz",
];

const body = {
  scope: { namespaces: ["bank"], labelSelector: { app: "bank" } },
  initiator: "bank/branch-a",
  timeoutMs: 30_000,
  labels: { "cutline.dev/why": "fuzz" },
  attempts: 3,
};

/** Method, URL, headers and body as text, so that mutations meet all of them. */
function requestOf(method: string, url: string, headers: Readonly<Record<string, string>>, payload: string): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from([`${method} ${url}`, ...lines, "", payload].join("\n"), "latin1");
}

function parse(input: Buffer): Request {
  const split = input.indexOf("\n\n");
  const head = input.toString("latin1", 0, split < 0 ? input.length : split).split("\n");
  const [line = "", ...lines] = head;
  const method = methods.find((each) => line.startsWith(`${each} `)) ?? "POST";
  const headers: Record<string, string> = {};
  for (const each of lines) {
    const colon = each.indexOf(": ");
    // What Node's own parser refuses never comes to a route.
    if (
      colon > 0 &&
      /^[-a-z0-9]+$/i.test(each.slice(0, colon)) &&
      /^[\x20-\x7e\x80-\xff]*$/.test(each.slice(colon + 2))
    ) {
      headers[each.slice(0, colon).toLowerCase()] = each.slice(colon + 2);
    }
  }
  const path = line.slice(line.indexOf(" ") + 1).replace(/[^\x21-\x7e]/g, "%");
  const url = path.startsWith("/") ? path : `/${path}`;
  // The injector makes a URL of it, as a client would; what is none cannot be asked for this way.
  if (!URL.canParse(url, "http://localhost")) return { method, url: "/", headers };
  return { method, url, headers, ...(split < 0 ? {} : { payload: input.subarray(split + 2) }) };
}

const names = [...Object.keys(body), "namespaces", "labelSelector", "__proto__", "constructor", "toString"];

function value(random: Random, depth: number): unknown {
  const scalars = [0, -1, 1e300, 30_000, 1.5, true, null, "", "bank/a", "x".repeat(300), "2026-01-01T00:00:00Z"];
  if (depth > 3 || random.happens(0.5)) return random.pick(scalars);
  if (random.happens(0.3)) return Array.from({ length: random.below(4) }, () => value(random, depth + 1));
  return Object.fromEntries(
    Array.from({ length: random.below(4) }, () => [random.pick(names), value(random, depth + 1)]),
  );
}

function anyRequest(random: Random): Buffer {
  const json = { "content-type": "application/json" };
  if (random.happens(0.05)) return requestOf("POST", "/v1/snapshots", json, "[".repeat(1 + random.below(6_000)));
  if (random.happens(0.5)) {
    const changed = { ...(random.happens(0.5) ? body : {}), [random.pick(names) ?? "x"]: value(random, 0) };
    return requestOf("POST", "/v1/snapshots", json, JSON.stringify(changed));
  }
  const query = randomBytes(random, random.below(12)).toString("latin1");
  const url = random.pick(urls) ?? "/";
  const headers = {
    accept: random.pick(["*/*", "application/json", "application/x-ndjson", "text/plain;q=0.5", ";;,q=,"]) ?? "",
    "idempotency-key": random.pick(["k", "k".repeat(200), "\xff"]) ?? "",
    "last-event-id": String(value(random, 9)),
    range: "bytes=0-1,5-",
  };
  return requestOf(
    random.pick(methods) ?? "GET",
    `${url}${random.happens(0.3) ? `?${escape(query)}` : ""}`,
    headers,
    "",
  );
}

/** The REST API behind Node's HTTP parser: every request is answered, and never with a fault of the coordinator's own. */
export const target: Target = {
  name: "rest",
  // An execution is a whole request.
  testExecutions: 100_000,
  samples: () => [
    ...urls.map((url) => requestOf("GET", url, { accept: "application/json" }, "")),
    requestOf("GET", urls[4] ?? "", { accept: "application/x-ndjson" }, ""),
    requestOf(
      "POST",
      urls[0] ?? "",
      { "content-type": "application/json", "idempotency-key": "one" },
      JSON.stringify(body),
    ),
    requestOf("POST", urls[3] ?? "", {}, ""),
    requestOf("DELETE", "/v1/snapshots/snap-1", {}, ""),
  ],
  generate: anyRequest,
  async open() {
    let app: Api | undefined;
    let bank = createBank();
    const renew = async () => {
      await app?.close();
      bank = createBank();
      app = createHttp({
        snapshots: bank.snapshots,
        store: bank.parts,
        limits: { bodyBytesMax },
        descriptorSet: bankDescriptorSet(),
      });
      await app.ready();
      return app;
    };
    let current = await renew();
    let answered = 0;
    return {
      async run(input) {
        const request = parse(input);
        const answer = await current.inject(request);
        if (answer.statusCode < 200 || answer.statusCode >= 500) {
          throw new Error(`${answer.statusCode} for ${request.method} ${request.url}: ${answer.body.slice(0, 300)}`);
        }
        answered += 1;
        if (bank.snapshots.documents.size < documentsMax && bank.snapshots.starts.length < documentsMax) {
          if (answered % 500 !== 0) return;
        }
        current = await renew();
      },
      close: () => current.close(),
    };
  },
};
