import type { ByteRange } from '../driver.ts';

/** Connections that a read may lose without having read a byte in between. */
const LOSSES = 3;

/**
 * Bytes of a body, and when its connection breaks those of another one that begins where it broke: a reader of gigabytes
 * need not begin anew. For content that does not change.
 * @param reopen the rest of the bytes; undefined when they are gone.
 */
export async function* resumeRead(
  first: AsyncIterable<Uint8Array>,
  range: ByteRange,
  reopen: (range: ByteRange) => Promise<AsyncIterable<Uint8Array> | undefined>,
): AsyncIterable<Uint8Array> {
  let body = first;
  let { start } = range;
  for (let losses = 0; ; losses++) {
    try {
      for await (const chunk of body) {
        start += chunk.length;
        losses = 0;
        yield chunk;
      }
      return;
    } catch (error) {
      if (start === range.end) return;
      const rest = losses < LOSSES ? await reopen({ ...range, start }) : undefined;
      if (rest === undefined) throw error;
      body = rest;
    }
  }
}
