import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { digestAlgorithm, type Digest, type DigestAlgorithm } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { RegistryError } from '../errors.ts';
import type { UploadActivity, WritePermit } from '../lease/write-gate.ts';
import { PathNotFoundError, type PublishedFile, type StorageDriver } from './driver.ts';
import { linkContent } from './links.ts';
import { blobDataPath, layerLinkPath, uploadFolder } from './paths.ts';
import {
  UploadContent,
  UploadMemory,
  type KeptContent,
  type UploadContentOptions,
} from './upload-content.ts';

/** Bytes that all small uploads may hold in memory together. */
const MEMORY_BYTES = 32 * 1024 * 1024;

/** Uploads that are remembered, and for how many milliseconds after the last request. */
const MOST_SESSIONS = 10_000;
const IDLE = 3600_000;

/** Ours are version 8, distribution's 4 or 7. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export interface UploadStoreDependencies {
  readonly driver: StorageDriver;
  readonly clock: Clock;
  readonly log: Logger;
  readonly activity: UploadActivity;
  /** Other processes serve the store as well, and any of them may get the next request of an upload. */
  readonly isShared?: boolean;
  /** The other processes of this server, if there are any. */
  readonly peers?: UploadPeers;
  /** A UUIDv8: collectors tell our uploads from distribution's by the version. */
  readonly randomId?: () => string;
}

/** What became of an upload that another process asks for. */
export type HandOver =
  /** A request for it is in progress: it stays. */
  | { readonly outcome: 'busy' }
  /** It is the other's now. Without `kept` all there is lies in the store. */
  | { readonly outcome: 'free'; readonly kept?: KeptContent };

/** The other processes of this server: an upload is in the hands of one at a time, and the requests may go to any. */
export interface UploadPeers {
  /** Makes an id tell which process began the upload. */
  mark(id: string): string;
  /** Asks whoever has the upload to hand it over. */
  ask(folder: string, id: string): Promise<HandOver>;
  /** This process has no more to do with an upload. */
  leave(folder: string): void;
}

/**
 * Uploads in progress. A small one is known to this process alone and lost with it, as the spec allows: a 202 is no
 * promise. A larger one lies in `_uploads/<id>` and can be continued after a restart.
 */
export class UploadStore {
  readonly #deps: UploadStoreDependencies;
  readonly #randomId: () => string;
  readonly #memory = new UploadMemory(MEMORY_BYTES);
  /** By folder, the one that was idle longest first. */
  readonly #sessions = new Map<string, Upload>();
  /** Those that are being looked for. */
  readonly #arriving = new Map<string, Promise<Upload>>();

  constructor(deps: UploadStoreDependencies) {
    this.#deps = deps;
    this.#randomId = deps.randomId ?? randomUploadId;
  }

  /** Begins an upload. Nothing is written yet. */
  async open(
    repository: RepositoryName,
    options: { readonly algorithm?: DigestAlgorithm },
    permit: WritePermit,
  ): Promise<Upload> {
    await permit.check();
    const random = this.#randomId();
    const id = this.#deps.peers?.mark(random) ?? random;
    const content = UploadContent.empty(this.#contentOptions(repository, id), [
      options.algorithm ?? 'sha256',
    ]);
    const upload = this.#remember(repository, id, content);
    // The client comes back soon: that is activity which a collector should wait for.
    this.#deps.activity.enter(id)[Symbol.dispose]();
    return upload;
  }

  /** An upload that this process or another began. @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  async find(repository: RepositoryName, id: string): Promise<Upload> {
    if (!UUID.test(id)) throw unknownUpload(id);
    const folder = uploadFolder(repository, id);
    const known = this.#sessions.get(folder);
    if (known) {
      if (await known.refresh()) return known;
      this.#forget(known);
    }
    return this.#arriving.get(folder) ?? this.#lookFor(repository, id);
  }

  /** For another process: gives an upload out of hand, unless a request for it is in progress here. */
  async handOver(folder: string): Promise<HandOver> {
    await this.#arriving.get(folder)?.catch(() => {});
    const upload = this.#sessions.get(folder);
    if (upload === undefined) return { outcome: 'free' };
    if (upload.isBusy) return { outcome: 'busy' };
    const kept = upload.handOver();
    this.#forget(upload);
    return { outcome: 'free', ...(kept && { kept }) };
  }

  /** Whether this process has had to do with an upload not long ago. */
  isInHand(folder: string): boolean {
    return this.#sessions.has(folder);
  }

  /** One search for all who ask at the same time: all must use the same upload. */
  async #lookFor(repository: RepositoryName, id: string): Promise<Upload> {
    const options = this.#contentOptions(repository, id);
    const search = (async (): Promise<Upload> => {
      const answer = await this.#deps.peers?.ask(options.folder, id);
      if (answer?.outcome === 'busy') throw busyUpload();
      const content = answer?.kept
        ? UploadContent.takeOver(options, answer.kept)
        : await UploadContent.find(options);
      if (content !== undefined) return this.#remember(repository, id, content);
      this.#deps.peers?.leave(options.folder);
      throw unknownUpload(id);
    })();
    this.#arriving.set(options.folder, search);
    try {
      return await search;
    } finally {
      this.#arriving.delete(options.folder);
    }
  }

  #contentOptions(repository: RepositoryName, id: string): UploadContentOptions {
    const { driver, clock, isShared = false } = this.#deps;
    const folder = uploadFolder(repository, id);
    return { driver, folder, memory: this.#memory, startedAt: () => new Date(clock.now()), isShared };
  }

  #remember(repository: RepositoryName, id: string, content: UploadContent): Upload {
    const { driver, clock, log, activity } = this.#deps;
    const upload: Upload = new Upload({
      repository,
      id,
      content,
      driver,
      clock,
      log,
      activity,
      used: () => this.#touch(upload),
      ended: () => this.#forget(upload),
    });
    this.#touch(upload);
    this.#forgetIdle();
    return upload;
  }

  #touch(upload: Upload): void {
    this.#sessions.delete(upload.folder);
    this.#sessions.set(upload.folder, upload);
  }

  #forget(upload: Upload): void {
    upload.release();
    // Two may find out at the same time that it is another's, and the first has a new one by now.
    if (this.#sessions.get(upload.folder) !== upload) return;
    this.#sessions.delete(upload.folder);
    this.#deps.peers?.leave(upload.folder);
    this.#deps.activity.leave(upload.id);
  }

  #forgetIdle(): void {
    const now = this.#deps.clock.monotonic();
    for (const upload of this.#sessions.values()) {
      if (this.#sessions.size <= MOST_SESSIONS && now - upload.lastUsed <= IDLE) return;
      if (!upload.isBusy) this.#forget(upload);
    }
  }
}

interface UploadDependencies extends Omit<UploadStoreDependencies, 'randomId' | 'peers'> {
  readonly repository: RepositoryName;
  readonly id: string;
  readonly content: UploadContent;
  readonly used: () => void;
  readonly ended: () => void;
}

/** One upload. Its requests come one after the other; a second at the same time is refused. */
export class Upload {
  readonly id: string;
  readonly folder: string;
  readonly #deps: UploadDependencies;
  readonly #content: UploadContent;
  #busy = false;
  /** Ended or forgotten: a request that found it before must not go on with what is left of it. */
  #over = false;
  #lastUsed: number;

  constructor(deps: UploadDependencies) {
    this.id = deps.id;
    this.folder = uploadFolder(deps.repository, deps.id);
    this.#deps = deps;
    this.#content = deps.content;
    this.#lastUsed = deps.clock.monotonic();
  }

  /** Bytes received. */
  get size(): number {
    return this.#content.size;
  }

  get isBusy(): boolean {
    return this.#busy;
  }

  /** Monotonic milliseconds of the end of the last request. */
  get lastUsed(): number {
    return this.#lastUsed;
  }

  /** @returns false when it was ended elsewhere. */
  async refresh(): Promise<boolean> {
    return this.#busy || this.#content.refresh();
  }

  /** See UploadContent. Release it next. */
  handOver(): KeptContent | undefined {
    return this.#content.handOver();
  }

  /** Forgets the bytes in memory. Whoever still has this upload is told that it is unknown. */
  release(): void {
    this.#over = true;
    this.#content.release();
  }

  /**
   * Appends a request body as it arrives and keeps what came when the client goes away.
   * @param expect.start where the client believes to be; must be the size so far. @param expect.length bytes to come.
   * @throws RegistryError RANGE_INVALID, SIZE_INVALID; BodyCutOffError.
   */
  async append(
    body: Readable,
    expect: { readonly start?: number; readonly length?: number },
    permit: WritePermit,
  ): Promise<void> {
    using _request = this.#begin();
    if (expect.start !== undefined && expect.start !== this.size) {
      throw new RegistryError({
        code: 'RANGE_INVALID',
        message: `the upload has ${this.size} bytes, so the next chunk starts there`,
      });
    }
    await permit.check();
    const before = this.size;
    await this.#orUnknown(() => this.#content.receive(body, expect.length));
    const received = this.size - before;
    if (expect.length !== undefined && received !== expect.length) {
      throw new RegistryError({ code: 'SIZE_INVALID', detail: { expected: expect.length, received } });
    }
  }

  /** Lets other processes go on with the upload where it is now, if any serve the store. Before an answer that names it. */
  async share(): Promise<void> {
    using _request = this.#begin();
    await this.#content.share();
  }

  /**
   * Verifies the digest, makes the blob durable and visible, links it into the repository and ends the upload.
   * @throws RegistryError DIGEST_INVALID, which ends the upload as well, BLOB_UPLOAD_UNKNOWN.
   */
  async commit(digest: Digest, permit: WritePermit): Promise<{ size: number }> {
    using _request = this.#begin();
    return await this.#orUnknown(async () => {
      const canonical = await this.#verify(digest);
      const { size } = this;
      await this.#publish(digest, canonical, permit);
      await this.#end();
      return { size };
    });
  }

  /** Ends the upload and forgets its bytes. */
  async cancel(): Promise<void> {
    using _request = this.#begin();
    await this.#end();
  }

  /** As `cancel`, for an upload that failed: does nothing when it is over already. */
  async discard(): Promise<void> {
    if (!this.#over) await this.cancel();
  }

  /** @returns the sha256 digest of the bytes. */
  async #verify(digest: Digest): Promise<Digest> {
    await this.#content.settle();
    const canonical = await this.#content.digest('sha256');
    const algorithm = digestAlgorithm(digest);
    const actual = algorithm === 'sha256' ? canonical : await this.#content.digest(algorithm);
    if (actual === digest) return canonical;
    await this.#end();
    throw new RegistryError({ code: 'DIGEST_INVALID', detail: { expected: digest, actual } });
  }

  /** As distribution does, a blob that came by another digest is linked under its sha256 as well. */
  async #publish(digest: Digest, canonical: Digest, permit: WritePermit): Promise<void> {
    const { driver, repository } = this.#deps;
    const links = [...new Set([canonical, digest])].map((name): PublishedFile => ({
      path: layerLinkPath(repository, name),
      content: linkContent(canonical),
    }));
    const data = { path: blobDataPath(canonical), keepExisting: true, ...this.#content.source() };
    await driver.publish([data, ...links], () => permit.check());
  }

  /** What stays behind when this fails is removed by whoever purges uploads; the blob is safe already. */
  async #end(): Promise<void> {
    const { driver, log, ended } = this.#deps;
    ended();
    if (!this.#content.isOnDisk) return;
    try {
      await driver.delete(this.folder, { durable: false });
    } catch (error) {
      if (error instanceof PathNotFoundError) return;
      log.warn({ error, upload: this.id }, 'the files of an upload could not be removed');
    }
  }

  /** For what needs the upload's file, which another process may have taken. */
  async #orUnknown<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof PathNotFoundError) throw unknownUpload(this.id);
      throw error;
    }
  }

  #begin(): Disposable {
    if (this.#over) throw unknownUpload(this.id);
    if (this.#busy) throw busyUpload();
    this.#busy = true;
    const activity = this.#deps.activity.enter(this.id);
    this.#deps.used();
    return {
      [Symbol.dispose]: () => {
        this.#busy = false;
        this.#lastUsed = this.#deps.clock.monotonic();
        activity[Symbol.dispose]();
      },
    };
  }
}

function randomUploadId(): string {
  const uuid = randomUUID();
  return `${uuid.slice(0, 14)}8${uuid.slice(15)}`;
}

function busyUpload(): RegistryError {
  return new RegistryError(
    { code: 'UNAVAILABLE', message: 'another request for this upload is in progress' },
    { headers: { 'Retry-After': '1' } },
  );
}

function unknownUpload(id: string): RegistryError {
  return new RegistryError({ code: 'BLOB_UPLOAD_UNKNOWN', detail: { id } });
}
