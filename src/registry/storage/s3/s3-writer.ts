import { RegistryError } from '../../errors.ts';
import type { FileWriter } from '../driver.ts';
import { free } from '../free-buffer.ts';
import { GatheredBytes } from '../object-store/gathered-bytes.ts';
import { copyInParts, type CopyOptions } from './copy-in-parts.ts';
import type { PartPlace, PartPlaces } from './part-places.ts';
import type { S3Objects } from './s3-objects.ts';
import { SMALLEST_PART, type OpenUpload, type Part, type S3Uploads } from './s3-uploads.ts';

/** Parts of one writer on their way together, if there are places for more than one of it. */
const PARTS_AT_ONCE = 3;

/** Bytes that each writer may gather without a place, so that small files wait for nobody. */
const WITHOUT_PLACE = 128 * 1024;

/** What S3 numbers parts up to. */
const MOST_PARTS = 10_000;

/** What writers left of a key. */
export interface Left {
  readonly upload?: OpenUpload;
  /** Of the upload, from the first to the last without a gap. */
  readonly parts: readonly Part[];
  /** There are more parts, behind a gap: of a writer that failed or died. */
  readonly hasGap: boolean;
  /** Bytes of the object, where there are no parts. */
  readonly objectSize?: number;
}

export function sizeOf({ parts, objectSize = 0 }: Pick<Left, 'parts' | 'objectSize'>): number {
  return parts.reduce((sum, { size }) => sum + size, objectSize);
}

export interface S3WriterOptions {
  readonly key: string;
  readonly left: Left;
  readonly objects: S3Objects;
  readonly uploads: S3Uploads;
  /** Bytes of a part. */
  readonly chunkSize: number;
  readonly copies: CopyOptions;
  /** All writers of a store share them. */
  readonly places: PartPlaces;
}

/**
 * Writes a file as the parts of an upload, as docker distribution does: each of `chunkSize`, the last of what is left.
 * Nothing is asked of the store before there is something to write.
 */
export class S3Writer implements FileWriter {
  readonly #options: S3WriterOptions;
  readonly #gathered: GatheredBytes;
  /** Of the part that is gathered, once that is not small any more. */
  #place: PartPlace | undefined;
  /** Bytes in parts, those on their way included. */
  #sent: number;
  #begun: Promise<OpenUpload> | undefined;
  #nextPart = 1;
  readonly #sending = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: S3WriterOptions) {
    this.#options = options;
    this.#sent = sizeOf(options.left);
    this.#gathered = new GatheredBytes(options.chunkSize);
  }

  get size(): number {
    return this.#sent + this.#gathered.size;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#throwFailure();
    this.#gathered.push(chunk);
    if (this.#gathered.size >= this.#options.chunkSize) return this.#sendWholeParts();
    return this.#gathered.size <= WITHOUT_PLACE || this.#place ? undefined : this.#takePlace();
  }

  async close(): Promise<void> {
    const { left } = this.#options;
    const isThere = left.upload !== undefined || left.objectSize !== undefined;
    try {
      if (this.#gathered.size > 0 || !isThere) {
        await this.#sendWholeParts();
        if (this.#gathered.size > 0) await this.#send(this.#gathered.size);
      }
    } finally {
      // After a failure, too: a part that lands late would take the place of the next writer's.
      await Promise.all(this.#sending);
      this.#place?.leave();
    }
    this.#throwFailure();
  }

  async #takePlace(): Promise<void> {
    this.#place = await this.#options.places.take();
  }

  async #sendWholeParts(): Promise<void> {
    const { chunkSize } = this.#options;
    await this.#upload();
    while (this.#gathered.size >= chunkSize) await this.#send(chunkSize);
  }

  /** Takes so many of the gathered bytes on their way, when there is room. */
  async #send(bytes: number): Promise<void> {
    const { uploads, chunkSize } = this.#options;
    const upload = await this.#upload();
    while (this.#sending.size >= PARTS_AT_ONCE) await Promise.race(this.#sending);
    this.#throwFailure();
    const number = this.#nextPart++;
    if (number > MOST_PARTS) throw tooLarge(chunkSize);
    const part = this.#gathered.take(bytes);
    this.#sent += bytes;
    const place = this.#place;
    this.#place = undefined;
    place?.fill();
    const sending = uploads
      .putPart(upload, number, part)
      .then(() => free(part.buffer))
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        place?.leave();
        this.#sending.delete(sending);
      });
    this.#sending.add(sending);
  }

  #upload(): Promise<OpenUpload> {
    return (this.#begun ??= this.#begin());
  }

  /** Finds or makes an upload that takes more parts. */
  async #begin(): Promise<OpenUpload> {
    const { key, left, uploads } = this.#options;
    if (left.upload && takesMore(left)) {
      this.#nextPart = left.parts.length + 1;
      return left.upload;
    }
    if (left.upload && left.parts.length > 0) await uploads.complete(left.upload, left.parts);
    else if (left.upload) await uploads.abort(left.upload);
    const upload = await uploads.create(key);
    await this.#beginWithObject(upload, sizeOf(left));
    return upload;
  }

  /** The bytes of the object become the first parts, or are gathered again when they are too few for a part. */
  async #beginWithObject(upload: OpenUpload, size: number): Promise<void> {
    const { key, uploads, objects, copies } = this.#options;
    if (size >= SMALLEST_PART) {
      const parts = await copyInParts(uploads, upload, { from: key, size }, copies);
      this.#nextPart = parts.length + 1;
    } else if (size > 0) {
      const beginning = await objects.get(key);
      if (beginning?.length !== size) throw new Error(`${key} was changed by somebody else`);
      const behind = this.#gathered.take();
      this.#gathered.push(beginning);
      this.#gathered.push(behind);
      this.#sent = 0;
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/**
 * A part that is too small to be followed by another, or one that lacks, ends an upload: what it has becomes an object,
 * and that the beginning of a new one.
 */
function takesMore({ parts, hasGap, objectSize }: Left): boolean {
  const last = parts.at(-1);
  return !hasGap && objectSize === undefined && (last === undefined || last.size >= SMALLEST_PART);
}

function tooLarge(chunkSize: number): RegistryError {
  return new RegistryError({
    code: 'SIZE_INVALID',
    message: `the storage of the registry takes ${MOST_PARTS} parts of ${chunkSize} bytes: its chunksize is too small`,
  });
}
