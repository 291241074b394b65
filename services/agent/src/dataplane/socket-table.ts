/** A connection to a port of this machine, as the kernel lists it. */
export interface Connection {
  /** Of the other end: an IPv4 address, or an IPv6 address in full. */
  readonly address: string;
  /** The same for the same connection only. */
  readonly key: string;
}

const established = "01";

/** The connections to a local port in the text of `/proc/net/tcp` or `/proc/net/tcp6`. */
export function connectionsAt(table: string, port: number): Connection[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const connections: Connection[] = [];
  for (const line of table.split("\n")) {
    // Most lines are of other ports, and there may be many.
    if (!line.includes(wanted)) continue;
    const [, local, remote, state] = line.trim().split(/\s+/);
    if (local === undefined || remote === undefined || state !== established || !local.endsWith(wanted)) continue;
    connections.push({ address: addressOf(remote.split(":", 1)[0] ?? ""), key: `${local} ${remote}` });
  }
  return connections;
}

/** The kernel writes words of 32 bits, each in the order of its processor: little-endian, on all that Node runs on here. */
function addressOf(hex: string): string {
  const bytes = [...hex.matchAll(/.{8}/g)].flatMap(([word]) =>
    [...word.matchAll(/../g)].map(([byte]) => Number.parseInt(byte, 16)).reverse(),
  );
  if (bytes.length === 4) return bytes.join(".");
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return bytes.slice(12).join(".");
  return Array.from({ length: 8 }, (_, at) =>
    (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16),
  ).join(":");
}
