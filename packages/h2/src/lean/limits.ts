/** Bounds of one connection that nobody has needed to set; those that may be set are `Http2Limits`. */
export const connectionLimits = {
  /** Bytes that a stream holds for its peer before `write` says `full`. */
  streamQueueBytesMax: 64 * 1024,
  /** Bytes that one turn of the event loop may add to a connection; the rest waits in its stream for the next turn. */
  turnBytesMax: 512 * 1024,
  /** Bytes of paused streams beyond which the connection's window is not opened further. */
  heldBytesMax: 64 * 1024 * 1024,
  /** Bytes that one stream sends before it is another's turn. */
  streamTurnBytesMax: 64 * 1024,
  /**
   * Streams that a peer opens and resets before an answer begins: at once, beside as many as may be open; and a second,
   * beside as many as were answered in full.
   */
  resetsBurst: 1_000,
  resetsPerSecond: 1_000,
  /** Streams that we reset because the peer broke a rule, or exceeded the number of streams. */
  faultsBurst: 1_000,
  faultsPerSecond: 100,
  /** Frames that say nothing: PRIORITY, unknown types, empty DATA, empty CONTINUATION. */
  idleFramesBurst: 1_000,
  idleFramesPerSecond: 200,
  /** SETTINGS after the first. */
  settingsBurst: 100,
  settingsPerSecond: 10,
  /** Changes in one SETTINGS; each may concern every stream. */
  settingsInFrameMax: 32,
  /** Bytes that the socket holds because the peer does not read, beyond which it may open no more streams. */
  unreadBytesMax: 1024 * 1024,
  /** Answers to PING and SETTINGS that wait while the peer does not read. */
  waitingAnswersMax: 1_000,
  /** Streams that we have reset and whose late frames are passed over without a word. */
  forgottenStreamsMax: 16_384,
  /** Between GOAWAY because of an error, and the end of the connection. */
  farewellTimeoutMs: 1_000,
} as const;
