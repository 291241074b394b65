import type { AgentHello, AgentMessage, CoordinatorMessage } from "@cutline/proto/control";
import type { Logger } from "@cutline/runtime";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import { checkHello } from "./hello.ts";
import { OutgoingQueue } from "./outgoing-queue.ts";

export type AttachCall = ServerDuplexStream<AgentMessage, CoordinatorMessage>;

/** One agent's open stream. */
export interface AgentStream {
  readonly processId: string;
  readonly incarnation: string;
  readonly queue: OutgoingQueue;
  lastHeardMs: number;
  /** Ends the stream with this status; what happens on it afterwards is nobody's. */
  close(code: status, details: string): void;
}

export interface AttachSink {
  nowMs(): number;
  /** `undefined`: welcome. Else the stream ends with this status. */
  refuse(call: AttachCall, processId: string): { readonly code: status; readonly details: string } | undefined;
  opened(stream: AgentStream, hello: AgentHello): void;
  received(stream: AgentStream, body: NonNullable<AgentMessage["body"]>): void;
  /** The stream broke or was closed. Not called after `close`. */
  broken(stream: AgentStream): void;
}

export interface AttachLimits {
  /** Messages that wait for one slow agent. */
  readonly agentQueueMax: number;
  /** How long an agent may take to say who it is. */
  readonly helloTimeoutMs: number;
}

/** Serves one Attach call: hello first, then whatever the agent has to say. */
export function serveAttach(call: AttachCall, sink: AttachSink, limits: AttachLimits, logger: Logger): void {
  let stream: AgentStream | undefined;
  let over = false;
  const helloTimer = setTimeout(
    () => close(status.DEADLINE_EXCEEDED, `no hello within ${limits.helloTimeoutMs} ms`),
    limits.helloTimeoutMs,
  );

  function close(code: status, details: string): void {
    if (over) return;
    over = true;
    clearTimeout(helloTimer);
    stream?.queue.close();
    if (code === status.OK) call.end();
    else call.emit("error", { code, details });
  }

  function broke(): void {
    if (over) return;
    over = true;
    clearTimeout(helloTimer);
    stream?.queue.close();
    if (stream !== undefined) sink.broken(stream);
    call.end();
  }

  function greet(body: NonNullable<AgentMessage["body"]>): void {
    if (body.$case !== "hello") {
      close(status.FAILED_PRECONDITION, `the first message must be a hello, not ${body.$case}`);
      return;
    }
    const hello = body.value;
    const verdict = checkHello(hello);
    if (verdict.outcome !== "ok") {
      const { processId, agentVersion } = hello;
      logger.warn({ processId, agentVersion, reason: verdict.message }, "agent refused");
      close(verdict.outcome === "wrongVersion" ? status.FAILED_PRECONDITION : status.INVALID_ARGUMENT, verdict.message);
      return;
    }
    const refusal = sink.refuse(call, hello.processId);
    if (refusal !== undefined) {
      close(refusal.code, refusal.details);
      return;
    }
    clearTimeout(helloTimer);
    const { processId, incarnation } = hello;
    const opened: AgentStream = {
      processId,
      incarnation,
      lastHeardMs: sink.nowMs(),
      queue: new OutgoingQueue(call, limits.agentQueueMax, () => {
        logger.warn({ processId, queueMax: limits.agentQueueMax }, "agent too slow: disconnected");
        sink.broken(opened);
        close(status.RESOURCE_EXHAUSTED, `more than ${limits.agentQueueMax} messages wait for this agent`);
      }),
      close,
    };
    stream = opened;
    sink.opened(opened, hello);
  }

  call.on("data", (message: AgentMessage) => {
    const { body } = message;
    // A kind of message this version does not know is left alone, so that agents may be newer.
    if (over || body === undefined) return;
    if (stream === undefined) {
      greet(body);
      return;
    }
    stream.lastHeardMs = sink.nowMs();
    sink.received(stream, body);
  });
  call.on("end", broke);
  call.on("cancelled", broke);
  call.on("close", broke);
  call.on("error", broke);
}
