import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { reservePort } from "@cutline/e2e";
import type { Pair, PairRequest } from "./pair.ts";
import type { Workshop } from "./workshop.ts";

/** Kept open towards the next hop; nginx has one call at a time on each. */
const keptConnectionsMax = 512;

/** One worker in one process, no logs, connections that last, buffers that hold a whole message of the larger cases. */
function configuration(folder: string, listening: string, server: string, passing: string): string {
  return `daemon off;
master_process off;
worker_processes 1;
pid ${folder}/pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  http2_max_concurrent_streams 1000;
  http2_chunk_size 16k;
  client_max_body_size 0;
  client_body_timeout 1h;
  send_timeout 1h;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  tcp_nodelay on;
  upstream next {
    server ${server};
    keepalive ${keptConnectionsMax};
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen ${listening};
    location / {
      grpc_pass ${passing};
      grpc_buffer_size 32k;
      grpc_read_timeout 1h;
      grpc_send_timeout 1h;
    }
  }
}
`;
}

export async function startNginxPair(workshop: Workshop, { echoPort, certificates }: PairRequest): Promise<Pair> {
  const [first, second] = [await reservePort(), await reservePort()];
  const [one, two] = certificates ?? [];
  const towardsSecond =
    one &&
    `grpcs://next;
      grpc_ssl_protocols TLSv1.3;
      grpc_ssl_certificate ${one.certificateFile};
      grpc_ssl_certificate_key ${one.keyFile};
      grpc_ssl_trusted_certificate ${one.authorityFile};
      grpc_ssl_verify on;
      grpc_ssl_name localhost`;
  const fromFirst =
    two &&
    `127.0.0.1:${second} ssl http2;
    ssl_protocols TLSv1.3;
    ssl_certificate ${two.certificateFile};
    ssl_certificate_key ${two.keyFile};
    ssl_client_certificate ${two.authorityFile};
    ssl_verify_client on`;
  const start = async (name: string, core: number, port: number, listening: string, to: number, passing: string) => {
    const folder = await workshop.subfolder(name);
    const file = join(folder, "nginx.conf");
    await writeFile(file, configuration(folder, listening, `127.0.0.1:${to}`, passing));
    return (await workshop.start({ name, command: ["nginx", "-p", folder, "-c", file], core }, { port })).program;
  };
  const { placement } = workshop;
  const name = `nginx-${first}`;
  const plain = (port: number) => `127.0.0.1:${port} http2`;
  const hop2 = await start(`${name}-2`, placement.hop2, second, fromFirst ?? plain(second), echoPort, "grpc://next");
  const hop1 = await start(`${name}-1`, placement.hop1, first, plain(first), second, towardsSecond ?? "grpc://next");
  return { hops: [hop1, hop2], port: first, authority: `127.0.0.1:${first}` };
}
