// The image's HEALTHCHECK: asks the program that runs here, by its own settings. Kubernetes has its own probes.
const agent = process.env.CUTLINE_PROCESS_ID !== undefined;
const url = agent
  ? `http://127.0.0.1:${process.env.CUTLINE_ADMIN_PORT ?? 15000}/healthz`
  : `http://127.0.0.1:${process.env.CUTLINE_HTTP_PORT ?? 7400}/healthz`;

const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch((error) => ({
  ok: false,
  status: error,
}));
if (!answer.ok) {
  process.stderr.write(`${url}: ${answer.status}\n`);
  process.exitCode = 1;
}
