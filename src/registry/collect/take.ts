import type { Removed } from './sweep.ts';

/** Something that goes. */
export interface Going {
  readonly path: string;
  /** Of the link of a tag: see `Trashed`. */
  readonly seenAt?: number | undefined;
  /** Bytes, of data. */
  readonly size?: number;
  /** What it counts as; an entry in the history of a tag counts as nothing. */
  readonly kind?: Exclude<keyof Removed, 'bytes'>;
}

/**
 * Takes things away, under the fence of a lease; nothing of it is under way any more when it returns or throws.
 * @param taken is told of each that was there.
 */
export type Take = (
  items: Iterable<Going> | AsyncIterable<Going>,
  taken: (item: Going) => void,
) => Promise<void>;

/** The items in lists of `size`, so that what is done for each list is done less often. */
export async function* inBatches<T>(
  items: Iterable<T> | AsyncIterable<T>,
  size: number,
): AsyncGenerator<readonly T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    if (batch.push(item) < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
