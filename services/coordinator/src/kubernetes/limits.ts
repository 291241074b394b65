/** The numbers that bound the controller. */
export interface ControllerLimits {
  /** How long the Lease holds without renewal. Default 15000 ms. */
  readonly leaseMs: number;
  /** One request, but a watch. Default 10000 ms. */
  readonly requestTimeoutMs: number;
  /** The answer to one request, or one line of a watch. Default 32 MiB. */
  readonly answerBytesMax: number;
  /** Objects in one page of a list. Default 500. */
  readonly pageSize: number;
  /** Objects of one kind that are kept in memory; with more, the list fails and is tried again. Default 20000. */
  readonly objectsMax: number;
  /** A watch is ended by the server after this, and begun anew where it stood. Default 240000 ms. */
  readonly watchMs: number;
  /** A watch that says nothing, not even a bookmark, is ended after this. Default 150000 ms. */
  readonly watchSilenceMs: number;
  /** Everything is listed anew so often, whatever the watch says. Default 300000 ms. */
  readonly relistMs: number;
  /** Nothing heard for longer than this: an error in the log, once, and the metric tells. Default 600000 ms. */
  readonly alarmMs: number;
  /** After the first failure of a list, a watch or an object's pass. Doubled each time. Default 200 ms. */
  readonly backOffMsMin: number;
  /** Default 60000 ms. */
  readonly backOffMsMax: number;
  /** Objects worked on at a time. Default 4. */
  readonly workers: number;
  /** Between two looks at a snapshot that runs. Default 1000 ms. */
  readonly progressMs: number;
  /** Between two tries of a start that was refused without a time. Default 2000 ms. */
  readonly refusedMs: number;
  /** Between two looks at whether the data of an ended snapshot is still there. Default 60000 ms. */
  readonly dataCheckMs: number;
  /** Between two looks at the coordinator's leadership. Default 500 ms. */
  readonly termMs: number;
}

export const defaultControllerLimits: ControllerLimits = {
  leaseMs: 15_000,
  requestTimeoutMs: 10_000,
  answerBytesMax: 32 * 1024 ** 2,
  pageSize: 500,
  objectsMax: 20_000,
  watchMs: 240_000,
  watchSilenceMs: 150_000,
  relistMs: 300_000,
  alarmMs: 600_000,
  backOffMsMin: 200,
  backOffMsMax: 60_000,
  workers: 4,
  progressMs: 1_000,
  refusedMs: 2_000,
  dataCheckMs: 60_000,
  termMs: 500,
};
