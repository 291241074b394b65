/** The version of the agents' protocol that this agent speaks. */
export const controlProtocolVersion = 1;

/** A chunk of an upload has at most so many bytes: part of the protocol. */
export const chunkBytesMax = 256 * 1024;

export interface ControlLimits {
  /** First and longest pause between tries to attach or to upload. Defaults 50 ms and 2 s. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** From dialling to the welcome. Default 5 s. */
  readonly attachTimeoutMs: number;
  /** Of the TLS handshake with the coordinator, within the time of attaching. Default 4 s. */
  readonly handshakeTimeoutMs: number;
  /** Heartbeats without a word until the coordinator is given up and dialled again. Default 4. */
  readonly heartbeatsMissedMax: number;
  /** Messages that wait for a coordinator that does not read; beyond it the stream is given up. Default 10,000. */
  readonly queuedMessagesMax: number;
  /** One message of the coordinator. Default 16 MiB. */
  readonly messageBytesMax: number;
  /** How long the last messages may take to go out when the agent stops. Default 1 s. */
  readonly stopTimeoutMs: number;
  /** Uploads at a time. Default 4. */
  readonly uploadsMax: number;
  /** Uploads begun and not ended, those that wait for their turn included. Default 10,000. */
  readonly uploadsWaitingMax: number;
  /** How long one try of an upload may stand still before it is given up and repeated. Default 60 s. */
  readonly uploadStallMs: number;
  /** Tries of an upload that may end with an answer nobody expects, `INTERNAL` for one. Default 5. */
  readonly uploadAttemptsMax: number;
  /** Between two reports of this agent's status. Default 1 s. */
  readonly statusIntervalMs: number;
  /** Snapshot attempts for which something is kept. Default 64. */
  readonly snapshotsMax: number;
  /** How long an attempt is kept, after its time is over, when nobody says that it has ended. Default 15 min. */
  readonly forgetAfterMs: number;
}

export const defaultControlLimits: ControlLimits = {
  retryMinMs: 50,
  retryMaxMs: 2_000,
  attachTimeoutMs: 5_000,
  handshakeTimeoutMs: 4_000,
  heartbeatsMissedMax: 4,
  queuedMessagesMax: 10_000,
  messageBytesMax: 16 * 1024 * 1024,
  stopTimeoutMs: 1_000,
  uploadsMax: 4,
  uploadsWaitingMax: 10_000,
  uploadStallMs: 60_000,
  uploadAttemptsMax: 5,
  statusIntervalMs: 1_000,
  snapshotsMax: 64,
  forgetAfterMs: 15 * 60 * 1_000,
};
