/** Bounds of one connection that nobody has needed to set; those that may be set are `Http2Limits`. */
export declare const connectionLimits: {
  /** Bytes that a stream holds for its peer before `write` says `full`. */
  readonly streamQueueBytesMax: number;
  /** Bytes that one turn of the event loop may add to a connection; the rest waits in its stream for the next turn. */
  readonly turnBytesMax: number;
  /** Bytes of paused streams beyond which the connection's window is not opened further. */
  readonly heldBytesMax: number;
  /** Bytes that one stream sends before it is another's turn. */
  readonly streamTurnBytesMax: number;
  /**
   * Streams that a peer opens and resets before an answer begins: at once, beside as many as may be open; and a second,
   * beside as many as were answered in full.
   */
  readonly resetsBurst: 1000;
  readonly resetsPerSecond: 200;
  /** Streams that we reset because the peer broke a rule, or exceeded the number of streams. */
  readonly faultsBurst: 1000;
  readonly faultsPerSecond: 100;
  /** Frames that say nothing: PRIORITY, unknown types, empty DATA, empty CONTINUATION. */
  readonly idleFramesBurst: 1000;
  readonly idleFramesPerSecond: 200;
  /** SETTINGS after the first. */
  readonly settingsBurst: 100;
  readonly settingsPerSecond: 10;
  /** Changes in one SETTINGS; each may concern every stream. */
  readonly settingsInFrameMax: 32;
  /** Bytes that the socket holds because the peer does not read, beyond which it may open no more streams. */
  readonly unreadBytesMax: number;
  /** Answers to PING and SETTINGS that wait while the peer does not read. */
  readonly waitingAnswersMax: 1000;
  /** Streams that we have reset and whose late frames are passed over without a word. */
  readonly forgottenStreamsMax: 16384;
  /** Between GOAWAY because of an error, and the end of the connection. */
  readonly farewellTimeoutMs: 1000;
  /** From the first frame of a header block to its last. */
  readonly headerBlockTimeoutMs: 10000;
};
