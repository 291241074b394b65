import { createHash } from "node:crypto";
import { UploadRequest } from "@cutline/proto/control";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { delimited, recordsOf } from "../engine/inputs.ts";
import { randomBytes } from "../engine/mutate.ts";
import type { Target } from "../engine/target.ts";
import { FakeCoordinator, hostileId, runningName } from "./support/coordinator.ts";
import { decoded } from "./support/decoded.ts";

const messagesMax = 40;

type Body = NonNullable<UploadRequest["body"]>;

const header = {
  ref: { snapshotId: runningName, attempt: 1 },
  processId: hostileId,
  incarnation: "one",
  kind: "local",
  channelId: "",
  contentType: "application/json",
};

const encode = (body: Body) => UploadRequest.encode({ body }).finish();

function upload(kind: string, channelId: string, content: Buffer): Buffer {
  const sha256 = createHash("sha256").update(content).digest("hex");
  return delimited([
    encode({ $case: "header", value: { ...header, kind, channelId } }),
    encode({ $case: "chunk", value: content }),
    encode({ $case: "end", value: { sizeBytes: content.length, sha256 } }),
  ]);
}

function anyUpload(random: Random): Buffer {
  const kind = random.pick(["local", "calls", "channel", "outbox", "other"]) ?? "";
  const channelId = random.pick(["", "link1:0", "link1:1", "c".repeat(600)]) ?? "";
  return upload(kind, channelId, randomBytes(random, random.below(random.happens(0.05) ? 6_000 : 60)));
}

/** What agents upload: `receivePart`, admission and the store. A part is taken as it was sent, or refused with a status. */
export const target: Target = {
  name: "uploads",
  // An execution is a request with writes to the store.
  testExecutions: 3_000,
  samples: () => [
    upload("local", "", Buffer.from('{"balance":12}')),
    upload("channel", "link1:0", Buffer.from("frames")),
    upload("outbox", "link1:0", Buffer.alloc(0)),
    upload("calls", "", Buffer.alloc(5_000, 1)),
  ],
  generate: anyUpload,
  async open() {
    const coordinator = await FakeCoordinator.open();
    return {
      async run(input) {
        const running = await coordinator.running();
        const requests: UploadRequest[] = [];
        for (const record of recordsOf(input, messagesMax)) {
          const request = decoded(UploadRequest, record);
          if (request === undefined) break;
          const ref = request.body?.$case === "header" ? request.body.value.ref : undefined;
          if (ref?.snapshotId === runningName)
            Object.assign(ref, ref.attempt === 1 ? running : { ...running, attempt: 99 });
          requests.push(request);
        }
        const stored = await coordinator.upload(requests);
        if (stored !== undefined) {
          const chunks = requests.flatMap(({ body }) => (body?.$case === "chunk" ? [body.value] : []));
          const sha256 = createHash("sha256").update(Buffer.concat(chunks)).digest("hex");
          if (sha256 !== stored.sha256) throw new Error("what was stored is not what was sent");
        }
        await coordinator.check();
      },
      close: () => coordinator.close(),
    };
  },
};
