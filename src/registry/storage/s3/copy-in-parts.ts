import { Semaphore } from '../../../process/semaphore.ts';
import { SMALLEST_PART, type OpenUpload, type Part, type S3Uploads } from './s3-uploads.ts';

/** The most that one part may have, less what the last one may take over; bytes. */
const LARGEST_COPY = 5 * 1024 * 1024 * 1024 - SMALLEST_PART;

export interface CopyOptions {
  /** Bytes of a part. */
  readonly chunkSize: number;
  /** Copies on their way together. */
  readonly atOnce: number;
}

/**
 * Makes the first parts of an upload of all bytes of an object. None of them is too small to be followed by another.
 * @param size bytes of the object; at least SMALLEST_PART.
 */
export async function copyInParts(
  uploads: S3Uploads,
  upload: OpenUpload,
  { from, size }: { readonly from: string; readonly size: number },
  { chunkSize, atOnce }: CopyOptions,
): Promise<readonly Part[]> {
  const step = Math.min(chunkSize, LARGEST_COPY);
  const starts: number[] = [];
  for (let start = 0; start < size && (start === 0 || size - start >= SMALLEST_PART); start += step) {
    starts.push(start);
  }
  const copies = new Semaphore(atOnce);
  return Promise.all(
    starts.map((start, index) =>
      copies.run(() => uploads.copyPart(upload, index + 1, from, { start, end: starts[index + 1] ?? size })),
    ),
  );
}
