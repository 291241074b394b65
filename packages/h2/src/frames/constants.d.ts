/** RFC 9113, section 6. */
export declare const FrameType: {
  readonly data: 0;
  readonly headers: 1;
  readonly priority: 2;
  readonly rstStream: 3;
  readonly settings: 4;
  readonly pushPromise: 5;
  readonly ping: 6;
  readonly goaway: 7;
  readonly windowUpdate: 8;
  readonly continuation: 9;
};
/** RFC 9113, section 6. `ack` is that of SETTINGS and PING. */
export declare const Flag: {
  readonly endStream: 1;
  readonly ack: 1;
  readonly endHeaders: 4;
  readonly padded: 8;
  readonly priority: 32;
};
/** RFC 9113, section 6.5.2. */
export declare const Setting: {
  readonly headerTableSize: 1;
  readonly enablePush: 2;
  readonly maxConcurrentStreams: 3;
  readonly initialWindowSize: 4;
  readonly maxFrameSize: 5;
  readonly maxHeaderListSize: 6;
};
export declare const frameHeadBytes = 9;
/** What every peer may send until a SETTINGS says otherwise (RFC 9113, section 6.5.2); ours stays there. */
export declare const defaultMaxFrameBytes = 16384;
export declare const defaultWindowBytes = 65535;
export declare const windowBytesMax = 2147483647;
export declare const streamIdMax = 2147483647;
/** The client's connection preface (RFC 9113, section 3.4). */
export declare const preface: Buffer<ArrayBuffer>;
