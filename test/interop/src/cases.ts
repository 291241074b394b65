import { type BoolValue, type Messages, type Shapes, zeros } from "./messages.ts";
import type { CallScript, CaseScript, Pair, Step } from "./script.ts";
import type { ClientStack, ServerStack } from "./stacks.ts";

/** What gRPC's description of the case demands of one of its calls. */
export interface Demand {
  readonly code: number;
  readonly details?: string;
  /** The encoded answers, exactly these. */
  readonly messages?: readonly Uint8Array[];
  /** The compressed flags of the answers, where the client shows them. */
  readonly flags?: readonly (0 | 1)[];
  /** Contained in the answer's headers and trailers. */
  readonly headers?: readonly Pair[];
  readonly trailers?: readonly Pair[];
}

export interface InteropCase {
  readonly script: CaseScript;
  /** For each of its calls. */
  readonly demands: readonly Demand[];
  /** What the stacks do not offer, so that it is left out of the case. */
  readonly without?: string;
  /** Who ends the call first is a race, so that only the status can be compared with the direct run. */
  readonly isRace?: true;
}

export interface Scale {
  /** Calls at the same time in `concurrent_large_unary`. */
  readonly concurrentCalls: number;
  /** Iterations of each soak. */
  readonly soakIterations: number;
}

/** gRPC's own defaults. */
export const fullScale: Scale = { concurrentCalls: 1_000, soakIterations: 100 };
export const smallScale: Scale = { concurrentCalls: 50, soakIterations: 5 };

const invalidArgument = 3;
const unknown = 2;
const notFound = 5;
const unimplemented = 12;
const cancelled = 1;
const deadlineExceeded = 4;

const service = "/grpc.testing.TestService/";
const yes: BoolValue = { value: true };
const no: BoolValue = { value: false };
const streamedSizes: readonly (readonly [request: number, response: number])[] = [
  [27_182, 31_415],
  [8, 9],
  [1_828, 2_653],
  [45_904, 58_979],
];
const largeRequestBytes = 271_828;
const largeResponseBytes = 314_159;
const echoed: readonly Pair[] = [
  ["x-grpc-test-echo-initial", "test_initial_metadata_value"],
  ["x-grpc-test-echo-trailing-bin", Buffer.from("ababab", "hex").toString("base64")],
];
const specialMessage = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";

/** The messages of a run, encoded once and named by their content. */
export class MessageBook {
  readonly encoded: Record<string, string> = {};
  readonly #messages: Messages;

  constructor(messages: Messages) {
    this.#messages = messages;
  }

  send<Name extends keyof Shapes>(type: Name, value: Shapes[Name], plain?: "plain"): Step {
    const bytes = this.encode(type, value);
    const name = `${type} ${Object.keys(this.encoded).length}`;
    const base64 = Buffer.from(bytes).toString("base64");
    const known = Object.entries(this.encoded).find(([, other]) => other === base64)?.[0];
    if (known === undefined) this.encoded[name] = base64;
    return { do: "send", message: known ?? name, ...(plain && { plain: true }) };
  }

  encode<Name extends keyof Shapes>(type: Name, value: Shapes[Name]): Uint8Array {
    return this.#messages.encode(type, value);
  }
}

/** gRPC's interop cases, as these two stacks can run them. */
export function interopCases(book: MessageBook, client: ClientStack, server: ServerStack, scale: Scale): InteropCase[] {
  const halfClose: Step = { do: "halfClose" };
  const receive: Step = { do: "receive" };
  const large = { responseSize: largeResponseBytes, payload: zeros(largeRequestBytes) };
  const largeAnswer = book.encode("testing.SimpleResponse", { payload: zeros(largeResponseBytes) });
  const piece = (size: number) => book.encode("testing.StreamingOutputCallResponse", { payload: zeros(size) });
  const sum = (aggregatedPayloadSize: number) =>
    book.encode("testing.StreamingInputCallResponse", { aggregatedPayloadSize });
  const unary = (request: Shapes["testing.SimpleRequest"], more: Partial<CallScript> = {}): CallScript => ({
    path: `${service}UnaryCall`,
    kind: "unary",
    steps: [book.send("testing.SimpleRequest", request), halfClose],
    ...more,
  });
  const duplex = (steps: readonly Step[], more: Partial<CallScript> = {}): CallScript => ({
    path: `${service}FullDuplexCall`,
    kind: "bidi",
    steps,
    ...more,
  });
  const input = (steps: readonly Step[], more: Partial<CallScript> = {}): CallScript => ({
    path: `${service}StreamingInputCall`,
    kind: "clientStream",
    steps,
    ...more,
  });
  const upload = (body: number, expectCompressed: BoolValue | undefined, plain?: "plain") =>
    book.send(
      "testing.StreamingInputCallRequest",
      { payload: zeros(body), ...(expectCompressed && { expectCompressed }) },
      plain,
    );
  const ask = (request: number, response: number) =>
    book.send("testing.StreamingOutputCallRequest", {
      responseParameters: [{ size: response }],
      payload: zeros(request),
    });
  const empty = (path: string): CallScript => ({
    path,
    kind: "unary",
    steps: [book.send("testing.Empty", {}), halfClose],
  });
  const one = (name: string, call: CallScript, demand: Demand): InteropCase => ({
    script: { name, calls: [call] },
    demands: [demand],
  });
  const status = (name: string, message: string): InteropCase => {
    const responseStatus = { code: unknown, message };
    // Whether a message stands in front of such a status is the server's own affair.
    const demand = { code: unknown, details: message };
    const streamed = book.send("testing.StreamingOutputCallRequest", { responseStatus });
    const calls = [unary({ responseStatus }), duplex([streamed, halfClose])];
    return name === "special_status_message"
      ? one(name, unary({ responseStatus }), demand)
      : { script: { name, calls }, demands: [demand, demand] };
  };
  const okLarge: Demand = { code: 0, messages: [largeAnswer] };
  const repeated = (name: string, repeat: NonNullable<CaseScript["repeat"]>): InteropCase => ({
    script: { name, calls: [unary(large)], repeat },
    demands: [okLarge],
  });
  const { soakIterations, concurrentCalls } = scale;

  return [
    one("empty_unary", empty(`${service}EmptyCall`), {
      code: 0,
      messages: [book.encode("testing.Empty", {})],
    }),
    one("large_unary", unary(large), okLarge),
    clientCompressedUnary(),
    serverCompressedUnary(),
    one("client_streaming", input([...streamedSizes.map(([size]) => upload(size, undefined)), halfClose]), {
      code: 0,
      messages: [sum(74_922)],
    }),
    clientCompressedStreaming(),
    one("server_streaming", output({ responseParameters: streamedSizes.map(([, size]) => ({ size })) }), {
      code: 0,
      messages: streamedSizes.map(([, size]) => piece(size)),
    }),
    serverCompressedStreaming(),
    one(
      "ping_pong",
      duplex([...streamedSizes.flatMap(([request, response]) => [ask(request, response), receive]), halfClose]),
      { code: 0, messages: streamedSizes.map(([, size]) => piece(size)) },
    ),
    one("empty_stream", duplex([halfClose]), { code: 0, messages: [] }),
    {
      script: {
        name: "custom_metadata",
        calls: [
          unary(large, { metadata: echoed }),
          duplex([ask(largeRequestBytes, largeResponseBytes), halfClose], { metadata: echoed }),
        ],
      },
      demands: [
        { ...okLarge, headers: echoed.slice(0, 1), trailers: echoed.slice(1) },
        { code: 0, messages: [piece(largeResponseBytes)], headers: echoed.slice(0, 1), trailers: echoed.slice(1) },
      ],
    },
    status("status_code_and_message", "test status message"),
    status("special_status_message", specialMessage),
    one("unimplemented_method", empty(`${service}UnimplementedCall`), { code: unimplemented, messages: [] }),
    one("unimplemented_service", empty("/grpc.testing.UnimplementedService/UnimplementedCall"), {
      code: unimplemented,
      messages: [],
    }),
    one("cancel_after_begin", input([{ do: "cancel" }]), { code: cancelled, messages: [] }),
    one("cancel_after_first_response", duplex([ask(27_182, 31_415), receive, { do: "cancel" }]), {
      code: cancelled,
      messages: [piece(31_415)],
    }),
    {
      ...one(
        "timeout_on_sleeping_server",
        duplex([book.send("testing.StreamingOutputCallRequest", { payload: zeros(27_182) })], { timeoutMs: 1 }),
        { code: deadlineExceeded, messages: [] },
      ),
      // A server may see to the deadline, too.
      isRace: true,
    },
    repeated("concurrent_large_unary", { times: concurrentCalls, concurrency: concurrentCalls, channel: "shared" }),
    repeated("rpc_soak", { times: soakIterations, concurrency: 1, channel: "shared" }),
    repeated("channel_soak", { times: soakIterations, concurrency: 1, channel: "own" }),
    healthCheck(),
    ...(server.reflects ? [reflection()] : []),
  ];

  /** None of gRPC's cases, but a service that its users have. */
  function healthCheck(): InteropCase {
    const check = (service: string): CallScript => ({
      path: "/grpc.health.v1.Health/Check",
      kind: "unary",
      steps: [book.send("health.v1.HealthCheckRequest", { service }), halfClose],
    });
    const serving = { code: 0, messages: [book.encode("health.v1.HealthCheckResponse", { status: 1 })] };
    const calls = [check(""), check("grpc.testing.TestService"), check("nobody.Knows")];
    return {
      script: { name: "health checking", calls },
      demands: [serving, serving, { code: notFound, messages: [] }],
    };
  }

  /** The same. What is answered is compared with the direct run only. */
  function reflection(): InteropCase {
    const request = (messageRequest: NonNullable<Shapes["reflection.v1.ServerReflectionRequest"]["messageRequest"]>) =>
      book.send("reflection.v1.ServerReflectionRequest", { messageRequest });
    const steps = [
      request({ case: "listServices", value: "" }),
      receive,
      request({ case: "fileContainingSymbol", value: "grpc.testing.TestService" }),
      receive,
      request({ case: "fileContainingSymbol", value: "nobody.Knows" }),
      receive,
      halfClose,
    ];
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    return one("server reflection", { path, kind: "bidi", steps }, { code: 0 });
  }

  function output(request: Shapes["testing.StreamingOutputCallRequest"]): CallScript {
    return {
      path: `${service}StreamingOutputCall`,
      kind: "serverStream",
      steps: [book.send("testing.StreamingOutputCallRequest", request), halfClose],
    };
  }

  function clientCompressedUnary(): InteropCase {
    const compressed = unary({ ...large, expectCompressed: yes }, { compression: "gzip" });
    const plain = unary({ ...large, expectCompressed: no });
    const probe = unary({ ...large, expectCompressed: yes });
    const name = "client_compressed_unary";
    if (server.showsRequestFlags) {
      const refused: Demand = { code: invalidArgument, messages: [] };
      return { script: { name, calls: [probe, compressed, plain] }, demands: [refused, okLarge, okLarge] };
    }
    return { script: { name, calls: [compressed, plain] }, demands: [okLarge, okLarge], without: withoutProbe };
  }

  function clientCompressedStreaming(): InteropCase {
    const name = "client_compressed_streaming";
    const probe = input([upload(27_182, yes), halfClose]);
    const refused: Demand = { code: invalidArgument, messages: [] };
    const calls: CallScript[] = server.showsRequestFlags ? [probe] : [];
    const demands: Demand[] = server.showsRequestFlags ? [refused] : [];
    if (client.compressesByMessage) {
      const steps = [upload(27_182, yes), upload(45_904, no, "plain"), halfClose];
      calls.push(input(steps, { compression: "gzip" }));
      demands.push({ code: 0, messages: [sum(73_086)] });
    } else {
      calls.push(input([upload(27_182, yes), halfClose], { compression: "gzip" }));
      calls.push(input([upload(45_904, no), halfClose]));
      demands.push({ code: 0, messages: [sum(27_182)] }, { code: 0, messages: [sum(45_904)] });
    }
    const missing = [
      ...(client.compressesByMessage ? [] : [withoutMixing]),
      ...(server.showsRequestFlags ? [] : [withoutProbe]),
    ];
    return { script: { name, calls }, demands, ...(missing.length > 0 && { without: missing.join("; ") }) };
  }

  function serverCompressedUnary(): InteropCase {
    const calls = [yes, no].map((responseCompressed) => unary({ ...large, responseCompressed }));
    return compressing("server_compressed_unary", calls, [
      { ...okLarge, flags: [1] },
      { ...okLarge, flags: [0] },
    ]);
  }

  function serverCompressedStreaming(): InteropCase {
    const responseParameters = [
      { size: 31_415, compressed: yes },
      { size: 92_653, compressed: no },
    ];
    const messages = responseParameters.map(({ size }) => piece(size));
    return compressing(
      "server_compressed_streaming",
      [output({ responseParameters })],
      [{ code: 0, messages, flags: [1, 0] }],
    );
  }

  function compressing(name: string, calls: CallScript[], demands: Demand[]): InteropCase {
    if (server.compresses) return { script: { name, calls }, demands };
    const plain = demands.map(({ flags: _flags, ...demand }) => demand);
    return { script: { name, calls }, demands: plain, without: withoutCompression };
  }
}

const withoutProbe = "the server's library does not show whether a request was compressed, so the probe is left out";
const withoutMixing =
  "the client's library compresses a call or does not, so the two messages are sent by two calls instead of one";
const withoutCompression = "the server's library does not compress, so the answers are plain";
