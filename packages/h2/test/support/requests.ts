import type { HeaderList } from "../../src/port.ts";

/** The request of a call to `/path`, with more headers behind. */
export function request(path = "/open", ...more: string[]): string[] {
  return [":method", "POST", ":scheme", "http", ":path", path, ":authority", "a.test", ...more];
}

export const answer: HeaderList = [":status", "200", "content-type", "application/grpc"];
export const trailers: HeaderList = ["grpc-status", "0"];
