import type { ByteRange } from '../storage/driver.ts';

type Part = Required<ByteRange>;

/** More parts than this are more likely an attack than a client. */
const MOST_PARTS = 100;

/**
 * Reads a Range header that names several parts, RFC 9110 §14.2. Clients that fetch single files of a layer send them.
 * @returns the parts that the content has, in their order; undefined for what is better answered with the whole: one part,
 * malformed, more bytes in parts than there are, or too many parts.
 */
export function parseParts(header: string | undefined, size: number): readonly Part[] | undefined {
  const list = /^bytes=([\d\s,-]+)$/.exec(header ?? '')?.[1]?.split(',') ?? [];
  if (list.length < 2 || list.length > MOST_PARTS) return undefined;
  const parts: Part[] = [];
  for (const item of list) {
    const match = /^\s*(?:(\d+)-(\d*)|-(\d+))\s*$/.exec(item);
    if (match === null) return undefined;
    const [, first, last, suffix] = match;
    const start = first === undefined ? Math.max(0, size - Number(suffix)) : Number(first);
    const end = first === undefined || last === '' ? size : Math.min(Number(last) + 1, size);
    if (last !== undefined && last !== '' && Number(last) < Number(first)) return undefined;
    if (start < end) parts.push({ start, end });
  }
  const bytes = parts.reduce((sum, { start, end }) => sum + end - start, 0);
  return parts.length > 1 && bytes < size ? parts : undefined;
}

/** The frame around the parts of a `multipart/byteranges`, RFC 9110 §14.6. */
interface Multipart {
  readonly contentType: string;
  /** Bytes of the whole body. */
  readonly length: number;
  /** What stands before each part, and after the last. */
  readonly heads: readonly Buffer[];
  readonly tail: Buffer;
}

/** @param boundary a string that the content does not hold */
export function multipart(
  parts: readonly Part[],
  content: { readonly size: number; readonly contentType: string },
  boundary: string,
): Multipart {
  const heads = parts.map(({ start, end }) =>
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${content.contentType}\r\nContent-Range: bytes ${start}-${end - 1}/${content.size}\r\n\r\n`,
    ),
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const length = parts.reduce(
    (sum, { start, end }, index) => sum + (heads[index]?.length ?? 0) + end - start,
    tail.length,
  );
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, heads, tail };
}

/** The body: each part, as `read` gives it, in its frame. */
export async function* framed(
  { heads, tail }: Multipart,
  parts: readonly Part[],
  read: (part: Part) => Promise<AsyncIterable<Uint8Array>>,
): AsyncGenerator<Uint8Array> {
  for (const [index, part] of parts.entries()) {
    yield heads[index] ?? tail;
    yield* await read(part);
  }
  yield tail;
}
