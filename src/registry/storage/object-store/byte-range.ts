import type { ByteRange } from '../driver.ts';

/** The header that asks for a range; none for all bytes. @param name what the store calls it. */
export function rangeHeader({ start, end }: ByteRange, name = 'range'): Readonly<Record<string, string>> {
  if (start === 0 && end === undefined) return {};
  return { [name]: `bytes=${start}-${end === undefined ? '' : end - 1}` };
}

/** What a range behind the end has. */
export async function* noBytes(): AsyncIterable<Uint8Array> {}
