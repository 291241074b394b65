import { KubeError } from "./errors.ts";

const newline = 0x0a;

/** The lines of a stream, without their ends; an unfinished last one is dropped. `heard` is called for every chunk. */
export async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  lineBytesMax: number,
  heard: () => void,
): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    heard();
    let from = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
      const line = Buffer.concat([...rest, chunk.subarray(from, at)]).toString("utf8");
      rest = [];
      restBytes = 0;
      from = at + 1;
      if (line !== "") yield line;
    }
    const tail = chunk.subarray(from);
    restBytes += tail.length;
    if (restBytes > lineBytesMax) throw new KubeError("KubeTooLarge", `a line has more than ${lineBytesMax} bytes`);
    if (tail.length > 0) rest.push(tail);
  }
}
