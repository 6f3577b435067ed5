import { LRUCache } from 'lru-cache';
import { digestOf, type Digest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import type { Logger } from '../../process/logger.ts';
import { readBlobData } from './blob-data.ts';
import type { StorageDriver } from './driver.ts';

const DEFAULT_CACHE_BYTES = 32 * 1024 * 1024;

/** What an entry costs beside its bytes, about. */
const ENTRY_BYTES = 512;

export interface ManifestContent {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

/**
 * Bytes of manifests by sha256 digest, kept in memory. Content never changes under its digest, so nothing here grows
 * old; whether a repository has a manifest is another question, which its link answers.
 */
export class ManifestContents {
  readonly #driver: StorageDriver;
  readonly #log: Logger;
  readonly #cache: LRUCache<Digest, ManifestContent>;

  constructor(deps: { readonly driver: StorageDriver; readonly log: Logger; readonly cacheBytes?: number }) {
    this.#driver = deps.driver;
    this.#log = deps.log;
    this.#cache = new LRUCache({
      maxSize: deps.cacheBytes ?? DEFAULT_CACHE_BYTES,
      sizeCalculation: ({ bytes }) => bytes.length + ENTRY_BYTES,
    });
  }

  /** @returns undefined when the data is missing, or is not what its digest says. */
  async load(canonical: Digest): Promise<ManifestContent | undefined> {
    const cached = this.#cache.get(canonical);
    if (cached) return cached;
    const bytes = await this.read(canonical);
    return bytes && this.keep(canonical, bytes);
  }

  /** Reads past the cache, for those who look at many and come back to none. */
  async read(canonical: Digest): Promise<Buffer | undefined> {
    const bytes = await readBlobData(this.#driver, canonical);
    if (bytes === undefined || digestOf(bytes) === canonical) return bytes;
    this.#log.error({ digest: canonical, size: bytes.length }, 'a stored manifest is damaged');
    return undefined;
  }

  keep(canonical: Digest, bytes: Buffer): ManifestContent {
    const content = { bytes, mediaType: storedMediaType(bytes) };
    this.#cache.set(canonical, content);
    return content;
  }
}

/** The type of stored bytes: of kinds that this registry takes no more, what the document says of itself. */
export function storedMediaType(bytes: Buffer): string {
  try {
    return parseManifest(bytes, undefined).mediaType;
  } catch {
    return ownMediaType(bytes) ?? 'application/octet-stream';
  }
}

function ownMediaType(bytes: Buffer): string | undefined {
  try {
    const document: unknown = JSON.parse(bytes.toString());
    if (typeof document !== 'object' || document === null || !('mediaType' in document)) return undefined;
    return typeof document.mediaType === 'string' && document.mediaType !== ''
      ? document.mediaType
      : undefined;
  } catch {
    return undefined;
  }
}
