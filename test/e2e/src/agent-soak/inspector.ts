/** What a Node.js program holds, after it has collected its garbage. */
export interface Memory {
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Buffers, mostly. */
  readonly externalBytes: number;
}

const answerMsMax = 20_000;

/** Asks the program whose inspector listens on that port; nothing stays connected. Rejects when it does not answer. */
export async function memoryAfterCollection(port: number): Promise<Memory> {
  const list = await fetch(`http://127.0.0.1:${port}/json/list`, { signal: AbortSignal.timeout(answerMsMax) });
  const [target] = (await list.json()) as { readonly webSocketDebuggerUrl: string }[];
  if (target === undefined) throw new Error(`nothing can be inspected at port ${port}`);
  const inspector = await Inspector.open(target.webSocketDebuggerUrl);
  try {
    await inspector.ask("HeapProfiler.collectGarbage", {});
    const expression = "JSON.stringify(process.memoryUsage())";
    const { result } = await inspector.ask("Runtime.evaluate", { expression, returnByValue: true });
    const usage = JSON.parse((result as { readonly value: string }).value) as NodeJS.MemoryUsage;
    return { rssBytes: usage.rss, heapBytes: usage.heapUsed, externalBytes: usage.external };
  } finally {
    inspector.close();
  }
}

class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: { readonly result: Record<string, unknown> }) => void>();
  #asked = 0;

  static async open(url: string): Promise<Inspector> {
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error(`no connection to ${url}`)), { once: true });
    });
    return new Inspector(socket);
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const answer = JSON.parse(String(data)) as { readonly id?: number; readonly result: Record<string, unknown> };
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    });
  }

  ask(method: string, params: object): Promise<Record<string, unknown>> {
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method} was not answered in ${answerMsMax} ms`)), answerMsMax);
      this.#waiting.set(id, ({ result }) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(result);
      });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  close(): void {
    this.#socket.close();
  }
}
