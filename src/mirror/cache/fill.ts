import { createHash, type Hash } from 'node:crypto';
import { digestAlgorithm, finishDigest, type Digest } from '../../oci/digest.ts';
import { PathNotFoundError, type FileWriter, type StorageDriver } from '../../registry/storage/driver.ts';
import type { BufferPool } from '../../registry/storage/filesystem/buffer-pool.ts';
import { freeChunk } from '../../registry/storage/free-buffer.ts';
import { deleteIfThere } from '../../registry/storage/if-there.ts';
import { blobDataPath } from '../../registry/storage/paths.ts';
import { UpstreamError } from '../upstream.ts';
import { FillWindow } from './fill-window.ts';
import { openResumed, type BlobSource, type BodyDependencies } from './resumed-body.ts';

/** Bytes at the end of a blob that nobody gets before all of it was verified. */
const HELD_BACK = 64 * 1024;

/** A part of a blob that begins at most this many bytes behind what has come is waited for. */
const REACH = 8 * 1024 * 1024;

/** With many readers they are woken when so many bytes have come for each, or after so many milliseconds. */
const WAKE_BYTES = 8 * 1024;
const WAKE_AFTER = 5;

/** Who takes nothing for this long, in milliseconds, while others wait for the memory that it holds, is left behind. */
const STALLED = 10_000;

/** Where a fill keeps what it gets. */
export interface FillStore {
  /** Sets room aside. @returns whether there is any. */
  admit(size: number): Promise<boolean>;
  /** Puts the verified file in its place. */
  publish(file: { readonly path: string; readonly canonical: Digest; readonly size: number }): Promise<void>;
  /** The disk takes no more. */
  failed(error: unknown, size: number): void;
}

export interface FillDependencies extends BodyDependencies {
  readonly driver: StorageDriver;
  readonly buffers: BufferPool;
  /** Bytes of a blob that are kept in memory for those who read along. */
  readonly windowSize: () => number;
  readonly store: FillStore;
}

/** Somebody who reads along. */
export interface Follower {
  /** What is before it is not needed. */
  position: number;
  isCut: boolean;
}

/**
 * One request to the upstream for a blob, and all who read it meanwhile. What comes goes to a file that grows and stays in
 * memory for a while; readers take from memory what is there and from the file what is older, so that a slow one neither
 * holds up the others nor takes memory. Where nothing can be kept, memory is all there is: then the slowest reader sets
 * the pace, and one that stalls is left behind.
 *
 * It goes on when all readers have left, if it is kept: a client that broke off comes again, others want the same, and
 * what has come is paid for. What would not be kept ends with its last reader.
 */
export class Fill {
  readonly digest: Digest;
  /** Settles when the size is known and the first bytes can be read. @throws UpstreamError */
  readonly opened: Promise<void>;
  /** Settles when nothing is to come any more; never rejects. */
  readonly done: Promise<void>;
  readonly #path: string;
  readonly #deps: FillDependencies;
  readonly #window: FillWindow;
  readonly #stop = new AbortController();
  readonly #opening = Promise.withResolvers<void>();
  readonly #followers = new Set<Follower>();
  #sleeping: (() => void)[] = [];
  #moved = Promise.withResolvers<void>();
  #size: number | undefined;
  #received = 0;
  /** What had come when readers were woken last. */
  #announced = 0;
  #isAnnouncing = false;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;
  /** Undefined until it is known whether this is kept. */
  #isKept: boolean | undefined;
  #writer: FileWriter | undefined;
  /** Bytes in the file after its writer has ended. */
  #written = 0;
  /** Once it is verified. */
  #canonical: Digest | undefined;
  #isPublished = false;

  /** @param path of the file that grows */
  constructor(digest: Digest, path: string, source: BlobSource, deps: FillDependencies) {
    this.digest = digest;
    this.#path = path;
    this.#deps = deps;
    this.#window = new FillWindow(deps.buffers);
    this.opened = this.#opening.promise;
    // Those who wait see it; maybe nobody does.
    this.opened.catch(() => {});
    this.done = this.#run(source);
  }

  /** Bytes, once the upstream has said it. */
  get size(): number | undefined {
    return this.#size;
  }

  /** Why it has ended before all bytes were there and right. */
  get failure(): unknown {
    return this.#failure?.error;
  }

  /** Whether it is sent through without being kept. */
  get isBypass(): boolean {
    return this.#isKept === false;
  }

  get followers(): number {
    return this.#followers.size;
  }

  /** Whether what comes from `position` on can be read here, now or soon. */
  reaches(position: number): boolean {
    if (this.#stop.signal.aborted || this.#failure) return false;
    const isHere = position >= this.#window.start || this.#window.start <= this.#onFile;
    return isHere && position <= this.#received + REACH;
  }

  join(): Follower {
    const follower = { position: 0, isCut: false };
    this.#followers.add(follower);
    return follower;
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower);
    this.#moved.resolve();
    this.#stopWithoutUse();
    if (this.#isOver) void this.#discard();
  }

  /** @throws UpstreamError, or what `abort` was called with */
  async *read(follower: Follower, start: number, end: number): AsyncGenerator<Uint8Array> {
    // It may have left to read another part by itself.
    if (!follower.isCut) this.#followers.add(follower);
    this.#move(follower, start);
    while (follower.position < end) {
      this.#assertGoes(follower);
      const limit = Math.min(end, this.#readable);
      if (follower.position >= limit) {
        await new Promise<void>((resolve) => this.#sleeping.push(resolve));
        continue;
      }
      const lent = this.#window.lend(follower.position, limit);
      if (lent === undefined) {
        yield* this.#readFile(follower, Math.min(limit, this.#onFile));
        continue;
      }
      try {
        yield lent.bytes;
        this.#move(follower, follower.position + lent.bytes.length);
      } finally {
        lent.release();
      }
    }
  }

  abort(reason: Error): void {
    this.#stop.abort(reason);
  }

  /** Bytes that readers may have. */
  get #readable(): number {
    const size = this.#size ?? 0;
    return this.#canonical ? size : Math.max(0, Math.min(this.#received, size - HELD_BACK));
  }

  /** Bytes from the first on that are in the file. */
  get #onFile(): number {
    return this.#writer?.written ?? this.#written;
  }

  async #run(source: BlobSource): Promise<void> {
    try {
      const canonical = await this.#receive(source);
      this.#canonical = canonical;
      this.#wake();
      this.#opening.resolve();
      await this.#publish(canonical);
    } catch (error) {
      this.#failure = { error };
      this.#wake();
      this.#opening.reject(error);
      await this.#closeWriter().catch(() => {});
    }
    this.#isOver = true;
    await this.#discard();
  }

  /** @returns the sha256 digest. @throws UpstreamError when the bytes are not those of the digest. */
  async #receive(source: BlobSource): Promise<Digest> {
    const { driver, store } = this.#deps;
    const { size, chunks } = await openResumed(source, 0, this.#stop.signal, this.#deps);
    this.#size = size;
    this.#isKept = await store.admit(size);
    this.#stopWithoutUse();
    if (this.#isKept)
      await this.#tryToKeep(async () => {
        this.#writer = await driver.writer(this.#path, { append: false });
      });
    const sums = new Sums(this.digest);
    for await (const chunk of chunks) {
      this.#stop.signal.throwIfAborted();
      sums.update(chunk);
      this.#window.append(chunk);
      this.#received += chunk.length;
      this.#announce();
      await this.#keep(chunk);
      await this.#makeRoomInMemory();
    }
    return sums.verify(this.digest);
  }

  async #keep(chunk: Uint8Array): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) freeChunk(chunk);
    else await this.#tryToKeep(() => writer.write(chunk));
  }

  async #publish(canonical: Digest): Promise<void> {
    await this.#tryToKeep(async () => {
      if (this.#writer === undefined) return;
      await this.#closeWriter();
      await this.#deps.store.publish({ path: this.#path, canonical, size: this.#received });
      this.#isPublished = true;
    });
  }

  /** A disk that fails costs the cache, never a pull. */
  async #tryToKeep(action: () => Promise<void> | undefined): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#isKept = false;
      await this.#closeWriter().catch(() => {});
      this.#deps.store.failed(error, this.#size ?? 0);
      this.#stopWithoutUse();
    }
  }

  async #closeWriter(): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    try {
      await writer.close();
    } finally {
      this.#written = writer.written ?? 0;
      this.#writer = undefined;
    }
  }

  #announce(): void {
    if (this.#readable > 0) this.#opening.resolve();
    const news = this.#received - this.#announced;
    if (this.#announced === 0 || news >= this.#sleeping.length * WAKE_BYTES) this.#wake();
    else if (!this.#isAnnouncing) void this.#announceSoon();
  }

  async #announceSoon(): Promise<void> {
    this.#isAnnouncing = true;
    await this.#deps.clock.sleep(WAKE_AFTER);
    this.#isAnnouncing = false;
    this.#wake();
  }

  #wake(): void {
    this.#announced = this.#received;
    const sleeping = this.#sleeping;
    this.#sleeping = [];
    for (const wake of sleeping) wake();
  }

  /** Lets go of what is in the file, or what all have read; waits for readers where that is not enough. */
  async #makeRoomInMemory(): Promise<void> {
    const most = this.#deps.windowSize();
    for (;;) {
      const slowest = this.#slowest();
      const needed = this.#isKept
        ? this.#onFile
        : Math.max(this.#onFile, slowest?.position ?? this.#received);
      this.#window.trim(most, needed);
      if (this.#isKept || this.#window.length <= most || slowest === undefined) return;
      this.#stop.signal.throwIfAborted();
      if (!(await this.#somebodyMoves())) this.#cut(slowest);
    }
  }

  async #somebodyMoves(): Promise<boolean> {
    this.#moved = Promise.withResolvers();
    const over = new AbortController();
    const stalled = this.#deps.clock.sleep(STALLED, AbortSignal.any([over.signal, this.#stop.signal])).then(
      () => false,
      () => true,
    );
    const moves = await Promise.race([this.#moved.promise.then(() => true), stalled]);
    over.abort();
    return moves;
  }

  #slowest(): Follower | undefined {
    let slowest: Follower | undefined;
    for (const follower of this.#followers) {
      if (slowest === undefined || follower.position < slowest.position) slowest = follower;
    }
    return slowest;
  }

  #cut(follower: Follower): void {
    follower.isCut = true;
    this.#followers.delete(follower);
    this.#wake();
    this.#stopWithoutUse();
  }

  #move(follower: Follower, position: number): void {
    follower.position = position;
    this.#moved.resolve();
  }

  #assertGoes(follower: Follower): void {
    if (follower.isCut) throw new UpstreamError('unavailable', 'too slow for a blob that is not kept');
    if (this.#failure) throw this.#failure.error;
  }

  async *#readFile(follower: Follower, end: number): AsyncGenerator<Uint8Array> {
    for await (const chunk of await this.#openFile(follower.position, end)) {
      this.#assertGoes(follower);
      yield chunk;
      this.#move(follower, follower.position + chunk.length);
    }
  }

  async #openFile(start: number, end: number): Promise<AsyncIterable<Uint8Array>> {
    const { driver } = this.#deps;
    try {
      return await driver.read(this.#path, { start, end });
    } catch (error) {
      if (!(error instanceof PathNotFoundError) || this.#canonical === undefined) throw error;
      // It is in its place by now.
      return driver.read(blobDataPath(this.#canonical), { start, end });
    }
  }

  #stopWithoutUse(): void {
    if (this.#isKept !== false || this.#followers.size > 0 || this.#isOver) return;
    this.abort(new UpstreamError('unavailable', 'nobody reads a blob that is not kept'));
  }

  /** Gives back what is held when nobody needs it any more. */
  async #discard(): Promise<void> {
    if (this.#followers.size > 0 && this.#failure === undefined && !this.#isPublished) return;
    this.#window.trim(0, Number.POSITIVE_INFINITY);
    if (this.#isPublished) return;
    try {
      await deleteIfThere(this.#deps.driver, this.#path);
    } catch (error) {
      this.#deps.log.warn({ error }, 'a file that nobody needs could not be removed');
    }
  }
}

/** The digests of what comes: the one that was asked for, and the one under which it is kept. */
class Sums {
  readonly #canonical = createHash('sha256');
  readonly #other: Hash | undefined;

  constructor(digest: Digest) {
    if (digestAlgorithm(digest) !== 'sha256') this.#other = createHash(digestAlgorithm(digest));
  }

  update(chunk: Uint8Array): void {
    this.#canonical.update(chunk);
    this.#other?.update(chunk);
  }

  /** @returns the sha256 digest. @throws UpstreamError */
  verify(digest: Digest): Digest {
    const canonical = finishDigest(this.#canonical, 'sha256');
    const actual = this.#other ? finishDigest(this.#other, digestAlgorithm(digest)) : canonical;
    if (actual === digest) return canonical;
    throw new UpstreamError('invalid', `the upstream sent ${actual} for ${digest}`);
  }
}
