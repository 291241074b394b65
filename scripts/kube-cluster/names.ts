/**
 * The names of a cluster's Services for its dnsmasq: `node names.ts API_SERVER FOLDER HOSTS_FILE PID_FILE`.
 *
 * Watches Services and Endpoints and, after a change, writes HOSTS_FILE anew and has dnsmasq read it: the address of a
 * Service that has one, the addresses of all ready endpoints of a headless one, and those of endpoints with a host name
 * of their own. Addresses only: no SRV records, no names of pods. FOLDER holds ca.crt, admin.crt and admin.key.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

interface Named {
  readonly metadata: { readonly name: string; readonly namespace: string };
}
interface Service extends Named {
  readonly spec: { readonly clusterIP?: string };
}
interface Endpoints extends Named {
  readonly subsets?: readonly { readonly addresses?: readonly { readonly ip: string; readonly hostname?: string }[] }[];
}

const clusterDomain = "cluster.local";
/** Changes that come together are written together. */
const gatherMs = 20;
const retryMs = 500;

const [server, folder, hostsFile, pidFile] = process.argv.slice(2);
if (server === undefined || folder === undefined || hostsFile === undefined || pidFile === undefined) {
  throw new Error("call it with API_SERVER FOLDER HOSTS_FILE PID_FILE");
}
const agent = new Agent({
  ca: readFileSync(join(folder, "ca.crt")),
  cert: readFileSync(join(folder, "admin.crt")),
  key: readFileSync(join(folder, "admin.key")),
  keepAlive: true,
});

/** Calls `onText` with the body of the answer to a GET of `path`, piece by piece; rejects unless it is a 200. */
function read(path: string, onText: (text: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    get(`${server}${path}`, { agent }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        reject(new Error(`${path} was answered with ${response.statusCode}`));
        return;
      }
      response.setEncoding("utf8").on("data", onText).on("end", resolve).on("error", reject);
    }).on("error", reject);
  });
}

async function list<T>(resource: string): Promise<readonly T[]> {
  let body = "";
  await read(`/api/v1/${resource}`, (text) => {
    body += text;
  });
  const parsed: { items: readonly T[] } = JSON.parse(body);
  return parsed.items;
}

function hosts(services: readonly Service[], endpoints: readonly Endpoints[]): string {
  const lines: string[] = [];
  const readyOf = new Map(
    endpoints.map((one) => [
      `${one.metadata.namespace}/${one.metadata.name}`,
      (one.subsets ?? []).flatMap((subset) => subset.addresses ?? []),
    ]),
  );
  for (const { metadata, spec } of services) {
    const name = `${metadata.name}.${metadata.namespace}.svc.${clusterDomain}`;
    if (spec.clusterIP === undefined || spec.clusterIP === "") {
      continue;
    }
    const ready = readyOf.get(`${metadata.namespace}/${metadata.name}`) ?? [];
    const addresses = spec.clusterIP === "None" ? ready.map(({ ip }) => ip) : [spec.clusterIP];
    lines.push(...addresses.map((address) => `${address} ${name}`));
    for (const { ip, hostname } of ready) {
      if (hostname) {
        lines.push(`${ip} ${hostname}.${name}`);
      }
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

let changes = 0;
let onChange = (): void => {};
function changed(): void {
  changes += 1;
  onChange();
}

async function watch(resource: string): Promise<never> {
  for (;;) {
    try {
      await read(`/api/v1/${resource}?watch=true&timeoutSeconds=300`, changed);
    } catch (error) {
      console.error(`the watch of ${resource} broke, trying again: ${error}`);
      await delay(retryMs);
    }
  }
}

async function write(): Promise<never> {
  let written = "";
  let seen = 0;
  for (;;) {
    if (changes === seen) {
      await new Promise<void>((resolve) => {
        onChange = resolve;
      });
    }
    await delay(gatherMs);
    seen = changes;
    try {
      const text = hosts(await list<Service>("services"), await list<Endpoints>("endpoints"));
      if (text !== written) {
        writeFileSync(`${hostsFile}.new`, text);
        renameSync(`${hostsFile}.new`, `${hostsFile}`);
        process.kill(Number(readFileSync(`${pidFile}`, "utf8")), "SIGHUP");
        written = text;
      }
    } catch (error) {
      console.error(`the names could not be written, trying again: ${error}`);
      await delay(retryMs);
      changed();
    }
  }
}

await Promise.all([watch("services"), watch("endpoints"), write()]);
