import type { Dispatcher } from 'undici';

/** @returns undefined when it has more than `most` bytes, which are not read then. @throws what breaks it */
export async function readBody(
  body: Dispatcher.ResponseData['body'],
  most: number,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    // a body is a stream of bytes
    size += chunk.length;
    if (size > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
