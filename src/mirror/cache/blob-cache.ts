import { randomUUID } from 'node:crypto';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { unlessAborted } from '../../process/unless-aborted.ts';
import type { ByteRange } from '../../registry/storage/driver.ts';
import { BufferPool } from '../../registry/storage/filesystem/buffer-pool.ts';
import { chunkSize } from '../../registry/storage/filesystem/chunk-size.ts';
import { statIfThere } from '../../registry/storage/if-there.ts';
import { linkContent } from '../../registry/storage/links.ts';
import { blobDataPath, layerLinkPath, MIRROR_FILLS_ROOT } from '../../registry/storage/paths.ts';
import { UpstreamError } from '../upstream.ts';
import type { CacheDisk } from './cache-disk.ts';
import type { LayerEntry } from './cache-index.ts';
import { Fill, type FillStore, type Follower } from './fill.ts';
import { openResumed, type BlobSource } from './resumed-body.ts';
import { WrongBlobs } from './wrong-blobs.ts';

/** Buffers of the bytes that came last, for those who read along. */
const WINDOW_BUFFERS = 4;

/** Bytes of buffers that are kept for the next fetches. */
const KEPT_BUFFERS = 4 * 1024 * 1024;

/** Bytes of the largest buffer: a slow reader holds the one that it reads from. */
const LARGEST_BUFFER = 256 * 1024;

/**
 * Where a blob came from: the disk, a fetch that somebody else had begun, one that began with this request, or past the
 * cache.
 */
export type BlobOutcome = 'hit' | 'join' | 'miss' | 'bypass';

/** A blob that somebody reads. It is not evicted before it was disposed of. */
export interface CachedBlob extends AsyncDisposable {
  /** Bytes. */
  readonly size: number;
  /** Of what was read so far: a range that the fetch in progress does not reach soon turns `join` and `miss` into `bypass`. */
  readonly outcome: BlobOutcome;
  /**
   * The bytes of `range`, default all. Resolves when the first of them are there. A chunk is valid until the next one is
   * asked for, as with `StorageDriver.read`. The last bytes of a blob come after it was verified: an iteration that throws
   * has given less than the whole, and the connection of the client must be cut. One read at a time.
   * @throws UpstreamError
   */
  read(range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
}

interface FillEntry {
  readonly fill: Fill;
  /** Those whose upstream was seen to have the blob. */
  readonly repositories: Set<RepositoryName>;
}

/** Blobs of the cache, and those that are on their way. */
export class BlobCache {
  readonly #disk: CacheDisk;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #buffers: BufferPool;
  /** By the digest that was asked for. */
  readonly #fills = new Map<Digest, FillEntry>();
  /** Those that run, also when another has taken the place in `fills`. */
  readonly #running = new Set<Fill>();
  readonly #proofs = new Map<string, Promise<void>>();
  readonly #wrong: WrongBlobs;

  constructor(disk: CacheDisk, deps: { readonly clock: Clock; readonly log: Logger }) {
    this.#disk = disk;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#wrong = new WrongBlobs(deps.clock);
    this.#buffers = new BufferPool(() => this.#bufferSize(), KEPT_BUFFERS);
  }

  get facts(): { readonly fills: number; readonly followers: number } {
    let followers = 0;
    for (const fill of this.#running) followers += fill.followers;
    return { fills: this.#running.size, followers };
  }

  async open(
    repository: RepositoryName,
    digest: Digest,
    source: BlobSource,
    signal: AbortSignal,
  ): Promise<CachedBlob> {
    const { index } = this.#disk;
    index.useLayer(repository, digest, this.#clock.now());
    for (;;) {
      signal.throwIfAborted();
      const layer = index.layer(repository, digest);
      if (layer !== undefined) {
        const hit = await this.#openHit(layer);
        if (hit) return hit;
        continue;
      }
      const entry = this.#joinable(digest);
      const isKnown = entry ? entry.repositories.has(repository) : index.dataSize(digest) === undefined;
      if (!isKnown) {
        await unlessAborted(this.#prove(repository, digest, source), signal);
        continue;
      }
      const outcome = entry ? 'join' : 'miss';
      if (!entry) this.#wrong.assertNot(repository, digest);
      const { fill } = entry ?? this.#begin(repository, digest, source);
      return this.#follow(fill, { source, signal, outcome });
    }
  }

  /** As far as it is known without asking the upstream. */
  sizeOf(repository: RepositoryName, digest: Digest): number | undefined {
    const { index } = this.#disk;
    const entry = this.#fills.get(digest);
    return (
      index.layer(repository, digest)?.size ??
      (entry?.repositories.has(repository) ? entry.fill.size : undefined) ??
      index.describedSize(repository, digest)
    );
  }

  /** Ends what is on its way. */
  async close(): Promise<void> {
    const fills = [...this.#running];
    for (const fill of fills) fill.abort(new UpstreamError('unavailable', 'the mirror stops'));
    await Promise.all(fills.map(({ done }) => done));
  }

  /** @returns undefined when the data is not there any more: somebody else has removed or damaged it. */
  async #openHit(layer: LayerEntry): Promise<CachedBlob | undefined> {
    const { driver, index } = this.#disk;
    const { canonical, size } = layer;
    index.pin(canonical);
    let found: number | undefined;
    try {
      found = (await statIfThere(driver, blobDataPath(canonical)))?.size;
    } finally {
      if (found !== size) index.unpin(canonical);
    }
    if (found !== size) {
      this.#log.error({ digest: canonical, size, found }, 'a blob of the cache is not there any more');
      index.forget(canonical);
      return undefined;
    }
    return {
      size,
      outcome: 'hit',
      read: (range) => driver.read(blobDataPath(canonical), range),
      [Symbol.asyncDispose]: once(async () => index.unpin(canonical)),
    };
  }

  #joinable(digest: Digest): FillEntry | undefined {
    const entry = this.#fills.get(digest);
    return entry?.fill.reaches(0) ? entry : undefined;
  }

  #begin(repository: RepositoryName, digest: Digest, source: BlobSource): FillEntry {
    const { driver, index } = this.#disk;
    const repositories = new Set([repository]);
    const store = this.#storeFor(digest, repositories);
    const fill = new Fill(digest, `${MIRROR_FILLS_ROOT}/${randomUUID()}`, source, {
      driver,
      store,
      clock: this.#clock,
      log: this.#log,
      buffers: this.#buffers,
      windowSize: () => WINDOW_BUFFERS * this.#bufferSize(),
    });
    const entry = { fill, repositories };
    index.pin(digest);
    this.#fills.set(digest, entry);
    this.#running.add(fill);
    void fill.done.then(() => {
      this.#wrong.note(repository, digest, fill.failure);
      index.unpin(digest);
      store.release();
      this.#running.delete(fill);
      if (this.#fills.get(digest) === entry) this.#fills.delete(digest);
    });
    return entry;
  }

  #storeFor(
    digest: Digest,
    repositories: ReadonlySet<RepositoryName>,
  ): FillStore & { readonly release: () => void } {
    const disk = this.#disk;
    const { index } = disk;
    let reserved = 0;
    const release = (): void => {
      index.release(reserved);
      reserved = 0;
    };
    return {
      release,
      admit: async (size) => {
        const fits = await disk.makeRoom(size);
        if (fits) reserved = size;
        return fits;
      },
      publish: async ({ path, canonical, size }) => {
        // Who is proven to have it from now on is linked when it is asked for next.
        const linked = [...repositories];
        const links = linked.map((repository) => ({
          path: layerLinkPath(repository, digest),
          content: linkContent(canonical),
        }));
        await disk.publish(canonical, [{ path: blobDataPath(canonical), from: path }, ...links], () => {
          const usedAt = this.#clock.now();
          for (const repository of linked) index.addLayer(repository, { digest, canonical, size, usedAt });
          release();
        });
      },
      failed: (error, size) => void disk.noteFailure(error, size),
    };
  }

  /** Each fetch fills one and each reader may hold one: all together they take no more than reads of files. */
  #bufferSize(): number {
    const { fills, followers } = this.facts;
    return Math.min(LARGEST_BUFFER, chunkSize(fills + followers));
  }

  async #follow(
    fill: Fill,
    options: { readonly source: BlobSource; readonly signal: AbortSignal; readonly outcome: BlobOutcome },
  ): Promise<CachedBlob> {
    const { index } = this.#disk;
    const follower = fill.join();
    index.pin(fill.digest);
    const leave = once(async () => {
      fill.leave(follower);
      index.unpin(fill.digest);
    });
    try {
      await unlessAborted(fill.opened, options.signal);
    } catch (error) {
      await leave();
      throw error;
    }
    return new FollowedBlob(fill, follower, { ...options, leave, clock: this.#clock, log: this.#log });
  }

  /**
   * The data is here or on its way for another repository: this one has it too if its own upstream says so. Nobody gets
   * with the digest alone what only others may read.
   * @throws UpstreamError
   */
  #prove(repository: RepositoryName, digest: Digest, source: BlobSource): Promise<void> {
    const key = `${repository}@${digest}`;
    const running = this.#proofs.get(key);
    if (running) return running;
    const proof = this.#seekProof(repository, digest, source).finally(() => this.#proofs.delete(key));
    this.#proofs.set(key, proof);
    return proof;
  }

  async #seekProof(repository: RepositoryName, digest: Digest, source: BlobSource): Promise<void> {
    const { index } = this.#disk;
    const stop = new AbortController();
    let size: number;
    try {
      ({ size } = await source(0, stop.signal));
    } finally {
      stop.abort(new UpstreamError('unavailable', 'the blob is here'));
    }
    const entry = this.#joinable(digest);
    if (entry) {
      // What went wrong there is no answer here.
      await entry.fill.opened.catch(() => {});
      if (entry.fill.size === size) entry.repositories.add(repository);
    }
    const known = entry?.fill.size ?? index.dataSize(digest);
    if (known === undefined) return;
    if (known !== size) throw new UpstreamError('invalid', `the upstream says ${size} bytes for ${digest}`);
    if (entry === undefined) await this.#link(repository, digest, size);
  }

  async #link(repository: RepositoryName, digest: Digest, size: number): Promise<void> {
    const usedAt = this.#clock.now();
    const link = { path: layerLinkPath(repository, digest), content: linkContent(digest) };
    await this.#disk.publish(digest, [link], () =>
      this.#disk.index.addLayer(repository, { digest, canonical: digest, size, usedAt }),
    );
  }
}

/** A blob on its way. */
class FollowedBlob implements CachedBlob {
  readonly size: number;
  readonly #fill: Fill;
  readonly #follower: Follower;
  readonly #outcome: BlobOutcome;
  readonly #source: BlobSource;
  readonly #leave: () => Promise<void>;
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #stop = new AbortController();
  #isDirect = false;
  #reading: AsyncGenerator<Uint8Array> | undefined;

  constructor(
    fill: Fill,
    follower: Follower,
    options: {
      readonly source: BlobSource;
      readonly outcome: BlobOutcome;
      readonly leave: () => Promise<void>;
      readonly clock: Clock;
      readonly log: Logger;
    },
  ) {
    this.#fill = fill;
    this.#follower = follower;
    this.size = fill.size ?? 0;
    this.#outcome = options.outcome;
    this.#source = options.source;
    this.#deps = options;
    this.#leave = options.leave;
  }

  get outcome(): BlobOutcome {
    return this.#isDirect || this.#fill.isBypass ? 'bypass' : this.#outcome;
  }

  async read(range: ByteRange = { start: 0 }): Promise<AsyncIterable<Uint8Array>> {
    const start = Math.min(range.start, this.size);
    const end = Math.min(range.end ?? this.size, this.size);
    const isDirect = !this.#fill.reaches(start);
    this.#isDirect ||= isDirect;
    // The fetch holds nothing for it then.
    if (isDirect) this.#fill.leave(this.#follower);
    this.#reading = isDirect ? this.#readDirectly(start, end) : this.#fill.read(this.#follower, start, end);
    return begun(this.#reading);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new UpstreamError('unavailable', 'nobody reads any more'));
    // Whoever never came for the first chunk has left a file open.
    void this.#reading?.return(undefined).catch(() => {});
    return this.#leave();
  }

  /** The upstream is asked for the part, and nobody can verify it here; clients do. */
  async *#readDirectly(start: number, end: number): AsyncGenerator<Uint8Array> {
    const { size, chunks } = await openResumed(this.#source, start, this.#stop.signal, this.#deps);
    if (size !== this.size) throw new UpstreamError('invalid', 'the upstream says another size than before');
    let left = end - start;
    for await (const chunk of chunks) {
      const part = chunk.subarray(0, left);
      left -= part.length;
      yield part;
      if (left === 0) return;
    }
  }
}

/** Waits for the first chunk, so that what goes wrong before is an error of the call and not of the iteration. */
async function begun(chunks: AsyncGenerator<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const first = await chunks.next();
  return (async function* () {
    if (first.done) return;
    try {
      yield first.value;
      yield* chunks;
    } finally {
      await chunks.return(undefined);
    }
  })();
}

function once(action: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | undefined;
  return () => (result ??= action());
}
