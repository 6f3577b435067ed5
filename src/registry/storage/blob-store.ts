import { digestAlgorithm, type Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { noCache, type DescriptorCache } from '../cache/descriptor-cache.ts';
import { RegistryError } from '../errors.ts';
import type { WriteGate, WritePermit } from '../lease/write-gate.ts';
import { findBlobData } from './blob-data.ts';
import { PathNotFoundError, type ByteRange, type StorageDriver } from './driver.ts';
import { findLink, linkContent } from './links.ts';
import type { Reader, Redirect } from './middleware/redirect.ts';
import { blobDataPath, layerLinkPath } from './paths.ts';
import { forgetTrash } from './trash.ts';

/** A link younger than this, in milliseconds, is left as it is: a quarter of the default minimum age. */
const RENEW_AFTER = 30 * 60_000;

export interface BlobStat {
  readonly size: number;
  /** The sha256 digest under which the bytes lie. */
  readonly digest: Digest;
  /** When the repository's link was last written; milliseconds. */
  readonly linkedAt: number;
}

/** Layers and configs. A repository has those that it links to; the bytes are shared by all. */
export class BlobStore {
  readonly #driver: StorageDriver;
  readonly #clock: Clock;
  readonly #log: Logger;

  readonly #sizes: DescriptorCache;
  readonly #redirect: Redirect;

  constructor(deps: {
    readonly driver: StorageDriver;
    readonly clock: Clock;
    readonly log: Logger;
    /** Without it the store is asked each time. */
    readonly sizes?: DescriptorCache;
    /** Without it clients read through the server. */
    readonly redirect?: Redirect;
  }) {
    this.#driver = deps.driver;
    this.#sizes = deps.sizes ?? noCache;
    this.#redirect = deps.redirect ?? (() => Promise.resolve(undefined));
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /**
   * Looks at link and data each time, so that nobody is told that a blob exists which a collector has removed.
   * @returns undefined when one of them is missing and not in the trash either.
   */
  async stat(repository: RepositoryName, digest: Digest): Promise<BlobStat | undefined> {
    const link = await findLink(this.#driver, layerLinkPath(repository, digest), digest);
    if (link === undefined) return undefined;
    const size = await findBlobData(this.#driver, link.canonical);
    return size === undefined ? undefined : { size, digest: link.canonical, linkedAt: link.linkedAt };
  }

  /**
   * As `stat`, for a reader, who is handed the bytes next: the data is not looked at when its size is known. Never for
   * somebody who may push: "it is there" must be true then.
   */
  async find(repository: RepositoryName, digest: Digest): Promise<BlobStat | undefined> {
    const path = layerLinkPath(repository, digest);
    const cached = digestAlgorithm(digest) === 'sha256' ? this.#sizes.get(digest) : undefined;
    const link = await findLink(this.#driver, path, digest);
    if (link === undefined) return undefined;
    const { canonical, linkedAt } = link;
    const known = await (cached ?? this.#sizes.get(canonical));
    if (known !== undefined) return { size: known, digest: canonical, linkedAt };
    const size = await findBlobData(this.#driver, canonical);
    if (size === undefined) return undefined;
    void this.#sizes.set(canonical, size);
    return { size, digest: canonical, linkedAt };
  }

  /**
   * Bytes of a blob that `stat` or `find` found. The caller iterates, or the file stays open.
   * @throws RegistryError BLOB_UNKNOWN when the data is gone.
   */
  async read(canonical: Digest, range?: ByteRange): Promise<AsyncIterable<Uint8Array>> {
    const path = blobDataPath(canonical);
    try {
      return await this.#driver.read(path, range);
    } catch (error) {
      if (!(error instanceof PathNotFoundError)) throw error;
      await this.#sizes.delete(canonical);
      if ((await findBlobData(this.#driver, canonical)) !== undefined) return this.#driver.read(path, range);
      throw new RegistryError({ code: 'BLOB_UNKNOWN', detail: { digest: canonical } }, { cause: error });
    }
  }

  /** Where a client can read a blob that `stat` or `find` found by itself, undefined when it has to read it here. */
  async redirectUrl(canonical: Digest, reader: Reader): Promise<string | undefined> {
    return this.#redirect(blobDataPath(canonical), reader);
  }

  /** Takes the blob out of the repository. The bytes stay for a collector. @throws RegistryError BLOB_UNKNOWN */
  async unlink(repository: RepositoryName, digest: Digest, permit: WritePermit): Promise<void> {
    const path = layerLinkPath(repository, digest);
    if ((await findLink(this.#driver, path, digest)) === undefined) {
      throw new RegistryError({ code: 'BLOB_UNKNOWN', detail: { digest } });
    }
    await permit.check();
    await forgetTrash(this.#driver, path);
    await this.#driver.delete(path);
  }

  /**
   * Links a blob of `from` into `to`. OCI distribution-spec, "Mounting a blob from another repository".
   * @returns the blob, undefined when `from` does not have it or is not named.
   */
  async mount(
    to: RepositoryName,
    from: RepositoryName | undefined,
    digest: Digest,
    permit: WritePermit,
  ): Promise<BlobStat | undefined> {
    const source = from && (await this.stat(from, digest));
    if (source === undefined) return undefined;
    const link = await findLink(this.#driver, layerLinkPath(to, digest), digest);
    if (link === undefined || this.#isOld(link.linkedAt)) {
      await this.#link(to, digest, source.digest, permit);
    }
    return source;
  }

  /**
   * Renews the age of a blob that a pusher is told exists, so that a collector does not take it before the manifest comes.
   * Best effort: what goes wrong is logged, and under a lease nothing is done.
   * @param found what `stat` said of the blob.
   */
  async refresh(repository: RepositoryName, digest: Digest, found: BlobStat, gate: WriteGate): Promise<void> {
    if (!this.#isOld(found.linkedAt)) return;
    try {
      using permit = await gate.tryBegin();
      if (permit) await this.#link(repository, digest, found.digest, permit);
    } catch (error) {
      this.#log.warn({ error, repository, digest }, 'the age of a blob could not be renewed');
    }
  }

  /** By sha256 as well, since docker distribution goes on from a link by sha512 by that. */
  async #link(
    repository: RepositoryName,
    digest: Digest,
    canonical: Digest,
    permit: WritePermit,
  ): Promise<void> {
    const content = linkContent(canonical);
    const links = [...new Set([canonical, digest])].map((name) => ({
      path: layerLinkPath(repository, name),
      content,
    }));
    await this.#driver.publish(links, () => permit.check());
  }

  #isOld(linkedAt: number): boolean {
    return this.#clock.now() - linkedAt > RENEW_AFTER;
  }
}
