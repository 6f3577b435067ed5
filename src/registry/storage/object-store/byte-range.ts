import type { ByteRange } from '../driver.ts';

/** The header that asks for a range; none for all bytes. */
export function rangeHeader({ start, end }: ByteRange): Readonly<Record<string, string>> {
  if (start === 0 && end === undefined) return {};
  return { range: `bytes=${start}-${end === undefined ? '' : end - 1}` };
}

/** What a range behind the end has. */
export async function* noBytes(): AsyncIterable<Uint8Array> {}
