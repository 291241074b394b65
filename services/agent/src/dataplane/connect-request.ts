import { isIPv6 } from "node:net";

/** Where a CONNECT wants to go. `host`: a name, an IPv4 address, or an IPv6 address without brackets. */
export interface ConnectTarget {
  readonly host: string;
  readonly port: number;
  /** As it was asked for, `host:port` or `[v6]:port`: the default authority of the calls inside. */
  readonly authority: string;
}

/** An HTTP/1 head, judged. */
export type RequestHead =
  | { readonly outcome: "connect"; readonly target: ConnectTarget }
  | { readonly outcome: "refused"; readonly status: 400 | 405; readonly reason: string };

const hostCharsMax = 253;

/** Judges the head of an HTTP/1 request: bytes up to and without the empty line, as latin1. */
export function parseRequestHead(head: string): RequestHead {
  const requestLine = head.split("\r\n", 1)[0] ?? "";
  const parts = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(requestLine);
  const [, method, asked] = parts ?? [];
  if (method === undefined || asked === undefined) {
    return { outcome: "refused", status: 400, reason: "this is not an HTTP request that is understood here" };
  }
  if (method !== "CONNECT") {
    return {
      outcome: "refused",
      status: 405,
      reason: "only CONNECT and HTTP/2 are served here (set grpc_proxy, not http_proxy)",
    };
  }
  const target = parseConnectTarget(asked);
  if (target === undefined) {
    return { outcome: "refused", status: 400, reason: "CONNECT needs host:port or [v6]:port" };
  }
  return { outcome: "connect", target };
}

/** `undefined`: not a host and a port from 1 to 65535. */
export function parseConnectTarget(authority: string): ConnectTarget | undefined {
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(authority);
  if (parts === null) return undefined;
  const [, v6, name, digits] = parts;
  const port = Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port, authority } : undefined;
  if (name === undefined || name.length > hostCharsMax) return undefined;
  return { host: name, port, authority };
}
