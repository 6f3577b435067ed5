import { createHash, type Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { finishDigest, type Digest, type DigestAlgorithm } from '../../oci/digest.ts';
import type { FileWriter, StorageDriver } from './driver.ts';
import { statIfThere } from './if-there.ts';
import { receiveBody } from './receive-body.ts';

/** An upload up to this size, in bytes, stays in memory: most configs and manifests' small layers never need a file. */
const LARGEST_IN_MEMORY = 64 * 1024;

/** How many bytes all uploads may keep in memory together; beyond that they go to files at once. */
export class UploadMemory {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  has(bytes: number): boolean {
    return bytes <= this.#left;
  }

  take(bytes: number): void {
    this.#left -= bytes;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/** The bytes of an upload that are in memory alone, and by which algorithms they are hashed. */
export interface KeptBytes {
  readonly bytes: Uint8Array;
  readonly algorithms: readonly DigestAlgorithm[];
}

export interface UploadContentOptions {
  readonly driver: StorageDriver;
  /** `_uploads/<id>` of the repository. */
  readonly folder: string;
  readonly memory: UploadMemory;
  /** What goes into `startedat`. */
  readonly startedAt: () => Date;
  /** Other processes serve the store as well: between two requests nothing may be in memory alone. */
  readonly isShared: boolean;
}

/**
 * The bytes of an upload so far, in memory while they are few, else in `data`. In a store that is shared `data` has the
 * few as well, for the others. They are hashed as they come; Node's
 * hashes cannot be stored, so what another process received is read again when the digest is asked for.
 */
export class UploadContent {
  readonly #driver: StorageDriver;
  readonly #options: UploadContentOptions;
  /** Bytes in memory; undefined when they are in the file. */
  #kept: Uint8Array[] | undefined;
  #size: number;
  /** How many of the bytes in memory are in `data` too; undefined when there is no folder. */
  #sharedSize: number | undefined;
  /** Hashes of all bytes; undefined when some of them came another way. */
  #hashes: Map<DigestAlgorithm, Hash> | undefined;

  private constructor(options: UploadContentOptions, state: { kept?: Uint8Array[]; size: number }) {
    this.#driver = options.driver;
    this.#options = options;
    this.#kept = state.kept;
    this.#size = state.size;
  }

  /** Nothing yet. Blobs lie under their sha256, so that is hashed beside the algorithm that the client announced. */
  static empty(options: UploadContentOptions, algorithm: DigestAlgorithm): UploadContent {
    const content = new UploadContent(options, { kept: [], size: 0 });
    content.#hashes = freshHashes([algorithm]);
    return content;
  }

  /** What another process, or this one before a restart, left. @returns undefined when there is nothing. */
  static async find(options: UploadContentOptions): Promise<UploadContent | undefined> {
    const size = await sizeOnDisk(options.driver, options.folder);
    if (size === undefined) return undefined;
    if (size > 0) return new UploadContent(options, { size });
    const content = UploadContent.empty(options, 'sha256');
    content.#sharedSize = 0;
    return content;
  }

  /** Goes on with what another process of this server had in memory. */
  static takeOver(options: UploadContentOptions, { bytes, algorithms }: KeptBytes): UploadContent {
    const content = new UploadContent(options, { kept: [], size: 0 });
    content.#hashes = freshHashes(algorithms);
    if (bytes.length > 0) void content.#append(bytes, undefined);
    return content;
  }

  get size(): number {
    return this.#size;
  }

  get #path(): string {
    return `${this.#options.folder}/data`;
  }

  /** Looks whether another process has written meanwhile. @returns false when the upload is gone. */
  async refresh(): Promise<boolean> {
    if (this.#kept !== undefined && !this.#options.isShared) return true;
    const before = this.#size;
    const size = await sizeOnDisk(this.#driver, this.#options.folder);
    if (size === undefined) return false;
    // It is as we know it, or a request that came meanwhile went on.
    if (size === before || before !== this.#size) return true;
    if (this.#kept !== undefined) {
      this.#options.memory.give(this.#size);
      this.#kept = undefined;
    }
    this.#hashes = undefined;
    this.#size = size;
    return true;
  }

  /** In a store that is shared: lets the others find the upload, with all bytes so far. */
  async share(): Promise<void> {
    if (!this.#options.isShared || this.#kept === undefined || this.#sharedSize === this.#size) return;
    await this.#begin();
    if (this.#size > 0) {
      const bytes = Buffer.concat(this.#kept);
      await this.#driver.putContent(this.#path, bytes, { durable: false });
    }
    this.#sharedSize = this.#size;
  }

  /**
   * Appends a body. What arrived stays, also when the client goes away or the store fails.
   * @param length bytes expected, where the client told.
   * @throws BodyCutOffError, what the store throws.
   */
  async receive(body: Readable, length: number | undefined): Promise<void> {
    const before = this.#kept ? this.#size : 0;
    let writer: FileWriter | undefined;
    try {
      if (!this.#mayKeep(length ?? 0)) writer = await this.#openFile();
      await receiveBody(body, (chunk) => {
        if (!writer && !this.#mayKeep(chunk.length)) {
          return this.#openFile().then(async (opened) => {
            writer = opened;
            await this.#append(chunk, writer);
          });
        }
        return this.#append(chunk, writer);
      });
    } finally {
      await this.#endOfBody(writer, before);
    }
  }

  /** Digest of all bytes. Reads them again if they did not all pass through here. */
  async digest(algorithm: DigestAlgorithm): Promise<Digest> {
    this.#hashes ??= new Map();
    let hash = this.#hashes.get(algorithm);
    if (hash === undefined) {
      hash = createHash(algorithm);
      for await (const chunk of this.#kept ?? (await this.#readFile())) hash.update(chunk);
      this.#hashes.set(algorithm, hash);
    }
    // A copy, because a commit that is refused can be tried again.
    return finishDigest(hash.copy(), algorithm);
  }

  /** Where the bytes are, for publishing. */
  source(): { readonly content: Uint8Array } | { readonly from: string } {
    return this.#kept ? { content: Buffer.concat(this.#kept) } : { from: this.#path };
  }

  /** What another process needs to go on; undefined when the store has it all. */
  handOver(): KeptBytes | undefined {
    if (this.#kept === undefined || this.#sharedSize !== undefined) return undefined;
    return { bytes: Buffer.concat(this.#kept), algorithms: [...(this.#hashes?.keys() ?? [])] };
  }

  /** Forgets the bytes in memory, which makes the upload unusable. */
  release(): void {
    if (this.#kept === undefined) return;
    this.#options.memory.give(this.#size);
    this.#kept = [];
    this.#size = 0;
  }

  /** Whether there are files to remove. */
  get isOnDisk(): boolean {
    return this.#kept === undefined || this.#sharedSize !== undefined;
  }

  #mayKeep(bytes: number): boolean {
    if (this.#kept === undefined || this.#size + bytes > LARGEST_IN_MEMORY) return false;
    return this.#options.memory.has(bytes);
  }

  #append(chunk: Uint8Array, writer: FileWriter | undefined): Promise<void> | undefined {
    for (const hash of this.#hashes?.values() ?? []) hash.update(chunk);
    this.#size += chunk.length;
    if (writer) return writer.write(chunk);
    this.#options.memory.take(chunk.length);
    this.#kept?.push(chunk);
    return undefined;
  }

  async #readFile(): Promise<AsyncIterable<Uint8Array>> {
    await this.#driver.seal(this.#path);
    return this.#driver.read(this.#path);
  }

  /** Opens `data` behind what is there, and moves what is in memory there. */
  async #openFile(): Promise<FileWriter> {
    const kept = this.#kept;
    if (kept === undefined) return this.#driver.writer(this.#path, { append: true });
    await this.#begin();
    const writer = await this.#driver.writer(this.#path, { append: false });
    for (const chunk of kept) await writer.write(chunk);
    this.#options.memory.give(this.#size);
    this.#kept = undefined;
    return writer;
  }

  /** Makes the folder of the upload. */
  async #begin(): Promise<void> {
    if (this.#sharedSize !== undefined) return;
    const started = Buffer.from(this.#options.startedAt().toISOString());
    await this.#driver.putContent(`${this.#options.folder}/startedat`, started, { durable: false });
    this.#sharedSize = 0;
  }

  async #endOfBody(writer: FileWriter | undefined, before: number): Promise<void> {
    // One buffer of the right size: chunks of a socket may be small parts of large ones.
    if (this.#kept && this.#size > before) this.#kept = [Buffer.concat(this.#kept)];
    try {
      await writer?.close();
    } catch (error) {
      // The hashes have seen bytes that are not in the file.
      this.#hashes = undefined;
      this.#size = (await sizeOnDisk(this.#driver, this.#options.folder)) ?? 0;
      throw error;
    }
  }
}

function freshHashes(algorithms: readonly DigestAlgorithm[]): Map<DigestAlgorithm, Hash> {
  return new Map([...new Set(['sha256' as const, ...algorithms])].map((name) => [name, createHash(name)]));
}

/** Bytes in `data`; 0 when the upload was only begun, undefined when there is none. */
async function sizeOnDisk(driver: StorageDriver, folder: string): Promise<number | undefined> {
  const size = await driver.unpublishedSize(`${folder}/data`);
  if (size !== undefined) return size;
  return (await statIfThere(driver, `${folder}/startedat`)) === undefined ? undefined : 0;
}
