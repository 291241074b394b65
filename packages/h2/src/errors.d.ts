/** Error codes of RFC 9113, section 7. */
export declare const ErrorCode: {
  readonly noError: 0;
  readonly protocolError: 1;
  readonly internalError: 2;
  readonly flowControlError: 3;
  readonly settingsTimeout: 4;
  readonly streamClosed: 5;
  readonly frameSizeError: 6;
  readonly refusedStream: 7;
  readonly cancel: 8;
  readonly compressionError: 9;
  readonly connectError: 10;
  readonly enhanceYourCalm: 11;
  readonly inadequateSecurity: 12;
  readonly http11Required: 13;
};
/** The peer broke a rule of the whole connection: GOAWAY with this code, and the connection is closed (RFC 9113, section 5.4.1). */
export declare class ConnectionError extends Error {
  readonly errorCode: number;
  constructor(errorCode: number, message: string);
}
