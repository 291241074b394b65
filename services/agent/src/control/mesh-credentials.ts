import {
  addressOf,
  type RefusalLog,
  secure,
  sendRefusal,
  type TlsCredentials,
  TlsError,
  type TlsProblem,
} from "@cutline/runtime";
import { CallCredentials, ChannelCredentials, credentials as grpcCredentials } from "@grpc/grpc-js";

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

export interface CoordinatorSecurity {
  readonly credentials: TlsCredentials;
  readonly refusals: RefusalLog;
}

/** What is spoken inside of TLS (ALPN). */
const controlProtocol = "h2";
const coordinator = { kind: "coordinator" } as const;

/** For one connection to the coordinator; plain without `security`. */
export function channelCredentials(
  security: CoordinatorSecurity | undefined,
  handshakeTimeoutMs: number,
): ChannelCredentials {
  if (security === undefined) return grpcCredentials.createInsecure();
  return new MeshChannelCredentials(security, handshakeTimeoutMs);
}

/**
 * Mutual TLS as the links have it: the newest certificate, the coordinator's name, and the reason for both sides.
 * grpc-js's own credentials compare host names, and close without a word.
 */
class MeshChannelCredentials extends ChannelCredentials {
  readonly #security: CoordinatorSecurity;
  readonly #handshakeTimeoutMs: number;

  constructor(security: CoordinatorSecurity, handshakeTimeoutMs: number) {
    super();
    this.#security = security;
    this.#handshakeTimeoutMs = handshakeTimeoutMs;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    _target: unknown,
    _options: unknown,
    callCredentials?: CallCredentials,
  ): SecureConnector {
    return {
      connect: (raw) => this.#connect(raw),
      waitForReady: async () => {},
      getCallCredentials: () => callCredentials ?? CallCredentials.createEmpty(),
      destroy() {},
    };
  }

  async #connect(raw: Parameters<SecureConnector["connect"]>[0]): ReturnType<SecureConnector["connect"]> {
    const { credentials } = this.#security;
    const address = addressOf(raw);
    const options = {
      credentials,
      expected: coordinator,
      protocol: controlProtocol,
      timeoutMs: this.#handshakeTimeoutMs,
    };
    const secured = await secure(raw, options).catch((error: TlsError) => {
      // Others come and go with the coordinator.
      if (error.code === "PeerIsPlain") this.#note(address, error);
      throw error;
    });
    if (secured.outcome === "verified") return { socket: secured.socket, secure: true };
    this.#note(address, secured.problem);
    sendRefusal(secured.socket, secured.problem);
    throw new TlsError("PeerRefused", `the coordinator at ${address} was refused: ${secured.problem.message}`);
  }

  #note(address: string, { code, message }: TlsProblem): void {
    const peer = "the coordinator";
    this.#security.refusals.note({ direction: "outgoing", by: "us", peer, address, code, message });
  }
}
