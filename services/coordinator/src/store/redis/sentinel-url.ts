export interface SentinelTarget {
  readonly sentinels: { readonly host: string; readonly port: number }[];
  /** The name under which the sentinels watch the master. */
  readonly name: string;
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
}

const sentinelPort = 26_379;
const pattern =
  /^redis\+sentinel:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^@/]+)\/(?<name>[^/]+)(?:\/(?<db>\d+))?$/;

/** Reads `redis+sentinel://[user:password@]host[:port][,host[:port]]/master[/database]`; anything else is a `RangeError`. */
export function readSentinelUrl(url: string): SentinelTarget {
  const groups = pattern.exec(url)?.groups;
  const { user, password, hosts, name, db } = groups ?? {};
  if (hosts === undefined || name === undefined) {
    // Not quoted: it may hold a password.
    throw new RangeError(
      "The URL is not redis+sentinel://[user:password@]host[:port][,host[:port]]/master[/database].",
    );
  }
  return {
    sentinels: hosts.split(",").map((address) => {
      const { hostname, port } = new URL(`redis://${address}`);
      return { host: hostname, port: port === "" ? sentinelPort : Number(port) };
    }),
    name: decodeURIComponent(name),
    ...(user === undefined || user === "" ? {} : { username: decodeURIComponent(user) }),
    ...(password === undefined ? {} : { password: decodeURIComponent(password) }),
    db: Number(db ?? 0),
  };
}
