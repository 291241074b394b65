import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { urlToHttpOptions } from "node:url";
import { describeError } from "@cutline/runtime";
import { abortError, untilAborted } from "./abort.ts";
import { contentTypeOf } from "./content-type.ts";
import { CaptureError } from "./errors.ts";
import type { StateSink, StateSource } from "./state-source.ts";

/** Of the answer's headers, all together, in bytes. */
const headerBytesMax = 16 * 1024;

/** Of the body of a refusal, as much as goes into the message, in bytes. */
const refusalBytesMax = 200;

/** How long the body of a refusal is waited for, in ms. */
const refusalWaitMs = 500;

/**
 * GETs the state; a connection for each reading, no redirects. Only a 200 is taken, and only one whose end is certain: with a
 * content-length or chunked, because an answer that ends with its connection looks whole when the application dies.
 */
export function createHttpSource(url: URL): StateSource {
  // Without the query, which may hold a secret.
  const address = `${url.origin}${url.pathname}`;
  const what = `reading the state from ${address}`;

  return {
    name: "http",
    read: async (sink, signal) => {
      if (signal.aborted) throw abortError(signal, what);
      try {
        await untilAborted(readOnce(url, sink, signal), signal, what);
      } catch (error) {
        if (error instanceof CaptureError) throw error;
        const message = `the state could not be read from ${address}: ${describeError(error)}`;
        throw new CaptureError("StateUnreadable", message, { cause: error });
      }
    },
  };

  async function readOnce(url: URL, sink: StateSink, signal: AbortSignal): Promise<void> {
    const sent = request({
      ...urlToHttpOptions(url),
      agent: false,
      headers: { accept: "*/*", "accept-encoding": "identity" },
      insecureHTTPParser: false,
      maxHeaderSize: headerBytesMax,
      signal,
    });
    let failure: Error | undefined;
    sent.on("error", (error) => {
      failure ??= error;
    });
    try {
      const response = await responseTo(sent);
      await refuseUnlessWhole(response, address);
      if (signal.aborted) throw abortError(signal, what);
      sink.contentType(contentTypeOf(response.headers["content-type"]));
      await copyBody(response, sink, signal);
    } catch (error) {
      // The request knows the cause (bad chunking, a reset); the response only that it was cut off.
      throw error instanceof CaptureError ? error : (failure ?? error);
    } finally {
      sent.destroy();
    }
    if (failure !== undefined) throw failure;
  }

  async function copyBody(response: IncomingMessage, sink: StateSink, signal: AbortSignal): Promise<void> {
    const declared = response.headers["content-length"];
    let received = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (signal.aborted) throw abortError(signal, what);
      await sink.write(chunk);
      if (signal.aborted) throw abortError(signal, what);
      received += chunk.length;
    }
    if (!response.complete || (declared !== undefined && received !== Number(declared))) {
      throw new Error(`the answer ended after ${received} of ${declared ?? "an unknown number of"} bytes`);
    }
  }
}

function responseTo(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once("response", (response) => {
      // The reader of the body meets the error; without a listener from the start Node would drop one that comes early.
      response.on("error", () => undefined);
      resolve(response);
    });
    sent.once("error", reject);
    // After an upgrade that nobody asked for there is no error.
    sent.once("close", () => reject(new Error("the connection was closed before an answer came")));
    sent.end();
  });
}

async function refuseUnlessWhole(response: IncomingMessage, address: string): Promise<void> {
  if (response.statusCode !== 200) throw await refusal(response, address);
  const encoding = response.headers["content-encoding"] ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    const message = `${address} answered with content-encoding ${encoding.slice(0, refusalBytesMax)}, which was not asked for; serve the state as it is`;
    throw new CaptureError("StateUnreadable", message);
  }
  const isChunked = response.headers["transfer-encoding"]?.toLowerCase() === "chunked";
  if (isChunked || response.headers["content-length"] !== undefined) return;
  const message = `${address} answered with neither a content-length nor chunked, so a state cut short would look whole; send a content-length`;
  throw new CaptureError("StateUnreadable", message);
}

async function refusal(response: IncomingMessage, address: string): Promise<CaptureError> {
  const status = response.statusCode ?? 0;
  const isRedirect = status >= 300 && status < 400;
  const advice = isRedirect
    ? "redirects are not followed, so set CUTLINE_CAPTURE to the address itself"
    : "only 200 is a state";
  const body = JSON.stringify(await beginningOf(response));
  return new CaptureError("StateUnreadable", `${address} answered ${status}, ${advice}; the body begins ${body}`);
}

async function beginningOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const timer = setTimeout(() => response.destroy(), refusalWaitMs);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= refusalBytesMax) break;
    }
  } catch {
    // The status is the news; a body that does not come in whole says what it can.
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks).subarray(0, refusalBytesMax).toString();
}
