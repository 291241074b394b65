import * as grpc from "@grpc/grpc-js";

const bytes = (message: Buffer) => message;

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/cutline.chaos.Numbers/${name}`,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

/** The messages are those of numbered.ts; the first request of a call names it. */
export const numbersService = {
  unary: method("Unary", false, false),
  upload: method("Upload", true, false),
  download: method("Download", false, true),
  chat: method("Chat", true, true),
} as const;

type Callback = (error: grpc.ServiceError | null, answer?: Buffer) => void;

export interface NumbersClient extends grpc.Client {
  unary(request: Buffer, callback: Callback): grpc.ClientUnaryCall;
  upload(callback: Callback): grpc.ClientWritableStream<Buffer>;
  download(request: Buffer): grpc.ClientReadableStream<Buffer>;
  chat(): grpc.ClientDuplexStream<Buffer, Buffer>;
}

export function createNumbersClient(authority: string): NumbersClient {
  const Client = grpc.makeGenericClientConstructor(numbersService, "Numbers");
  const options = {
    "grpc.enable_retries": 0,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
  };
  return new Client(authority, grpc.credentials.createInsecure(), options) as unknown as NumbersClient;
}
