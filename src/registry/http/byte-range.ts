import type { ByteRange } from '../storage/driver.ts';

/**
 * Reads a Range header against content of `size` bytes. RFC 9110 §14.2.
 * @returns the part that is asked for; `all` when the header is absent, of another unit, malformed or names several
 * parts that are better answered with the whole (multi-range.ts); `unsatisfiable` for 416.
 */
export function parseRange(
  header: string | undefined,
  size: number,
): Required<ByteRange> | 'all' | 'unsatisfiable' {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header ?? '');
  // Nothing of an empty blob can be asked for, and there is nothing to leave out.
  if (match === null || size === 0) return 'all';
  const [, first, last] = match;
  if (first === '') {
    if (last === '') return 'all';
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  return start >= size || end <= start ? 'unsatisfiable' : { start, end };
}

/**
 * Reads the Content-Range of a chunk: `0-99`, and what other HTTP software makes of it, `bytes 0-99/200`.
 * @returns first and last byte; undefined when malformed.
 */
export function parseContentRange(
  header: string,
): { readonly first: number; readonly last: number } | undefined {
  const match = /^(?:bytes[ =])?\s*(\d+)-(\d+)(?:\/(?:\d+|\*))?\s*$/.exec(header);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  const sane = Number.isSafeInteger(first) && Number.isSafeInteger(last) && last >= first - 1;
  return sane ? { first, last } : undefined;
}
