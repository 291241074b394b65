import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { reservePort } from "@cutline/e2e";
import type { Pair, PairRequest } from "./pair.ts";
import type { Workshop } from "./workshop.ts";

/**
 * One thread each, HTTP/2 on all three ways, streams of a connection share a connection onwards. Windows as wide as those
 * of load and echo, so that none of the ways is held up by them. No logs.
 */
const common = `global
  nbthread 1
  maxconn 2000
  tune.h2.initial-window-size 4194304
  tune.h2.max-concurrent-streams 1000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
`;

export async function startHaproxyPair(workshop: Workshop, { echoPort, certificates }: PairRequest): Promise<Pair> {
  const [first, second] = [await reservePort(), await reservePort()];
  const [one, two] = certificates ?? [];
  const strict = "ssl-min-ver TLSv1.3 verify required";
  const towardsSecond =
    one && `ssl crt ${one.bothFile} ca-file ${one.authorityFile} ${strict} verifyhost localhost alpn h2`;
  const fromFirst = two && `ssl crt ${two.bothFile} ca-file ${two.authorityFile} ${strict} alpn h2`;
  const start = async (name: string, core: number, port: number, listening: string, to: number, dialling: string) => {
    const file = join(await workshop.subfolder(name), "haproxy.cfg");
    const server = `server next 127.0.0.1:${to} ${dialling}`;
    await writeFile(
      file,
      `${common}frontend in\n  bind 127.0.0.1:${port} ${listening}\n  default_backend out\nbackend out\n  ${server}\n`,
    );
    return (await workshop.start({ name, command: ["haproxy", "-db", "-f", file], core }, { port })).program;
  };
  const { placement } = workshop;
  const name = `haproxy-${first}`;
  const hop2 = await start(`${name}-2`, placement.hop2, second, fromFirst ?? "proto h2", echoPort, "proto h2");
  const hop1 = await start(`${name}-1`, placement.hop1, first, "proto h2", second, towardsSecond ?? "proto h2");
  return { hops: [hop1, hop2], port: first, authority: `127.0.0.1:${first}` };
}
