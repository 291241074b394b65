const lineFeed = 0x0a;

/** The lines of a stream without their line feeds. A line above `bytesMax` rejects with what `tooLarge` makes of it. */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number,
  tooLarge: (bytesMax: number) => Error,
): AsyncGenerator<Buffer> {
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, from)) {
      if (waitingBytes + at - from > bytesMax) throw tooLarge(bytesMax);
      yield Buffer.concat([...waiting, chunk.subarray(from, at)]);
      waiting = [];
      waitingBytes = 0;
      from = at + 1;
    }
    if (from < chunk.length) {
      waiting.push(chunk.subarray(from));
      waitingBytes += chunk.length - from;
    }
    if (waitingBytes > bytesMax) throw tooLarge(bytesMax);
  }
  if (waitingBytes > 0) yield Buffer.concat(waiting);
}
