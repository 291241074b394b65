import { AgentMessage, ControlService, CoordinatorMessage } from "@cutline/proto/control";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { FakeAgent } from "./fake-agent.ts";

/** Attaches, sends these bytes in the place of the next message, and says what came first and how the stream ended. */
export async function rawAttach(
  address: string,
  processId: string,
  bytes: Buffer,
): Promise<[first: string | undefined, code: number]> {
  const agent = new FakeAgent(address, processId);
  const client = new Client(address, credentials.createInsecure(), { "grpc.enable_retries": 0 });
  try {
    const { path } = ControlService.attach;
    const stream = client.makeBidiStreamRequest(
      path,
      (message: Buffer) => message,
      (reply: Buffer) => CoordinatorMessage.decode(reply),
    );
    let first: string | undefined;
    const ended = new Promise<number>((resolve) => {
      stream.on("error", (error: ServiceError) => resolve(error.code));
      stream.on("end", () => resolve(0));
    });
    stream.on("data", ({ body }: CoordinatorMessage) => {
      first ??= body?.$case;
      if (body?.$case === "welcome") stream.write(bytes);
    });
    const hello = AgentMessage.encode({ body: { $case: "hello", value: agent.hello() } }).finish();
    stream.write(Buffer.from(hello));
    const code = await ended;
    return [first, code];
  } finally {
    agent.close();
    client.close();
  }
}
