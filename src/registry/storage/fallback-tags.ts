import { digestOf, type Digest } from '../../oci/digest.ts';
import type { Descriptor } from '../../oci/manifest.ts';
import { mediaTypes } from '../../oci/media-type.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import { KeyedLock } from '../../process/keyed-lock.ts';
import type { Logger } from '../../process/logger.ts';
import { RegistryError } from '../errors.ts';
import type { WritePermit } from '../lease/write-gate.ts';
import type { NewManifest } from './manifest-store.ts';
import { fallbackTag, type Referrers } from './referrers.ts';
import type { TagStore } from './tag-store.ts';

/** How often a list is written anew because somebody changed what it lists meanwhile. */
const ROUNDS = 20;

/**
 * Lists the referrers of a manifest under its fallback tag, as clients do where a registry has no referrers API: docker
 * distribution has none, and these lists are what it can serve. OCI distribution-spec, "Referrers Tag Schema". The lists
 * that a new one replaces stay as untagged manifests for a collector.
 */
export class FallbackTags {
  readonly #referrers: Referrers;
  readonly #tags: TagStore;
  readonly #put: (repository: RepositoryName, index: NewManifest, permit: WritePermit) => Promise<unknown>;
  readonly #log: Logger;
  readonly #updates = new KeyedLock();

  constructor(deps: {
    readonly referrers: Referrers;
    readonly tags: TagStore;
    readonly put: (repository: RepositoryName, index: NewManifest, permit: WritePermit) => Promise<unknown>;
    readonly log: Logger;
  }) {
    this.#referrers = deps.referrers;
    this.#tags = deps.tags;
    this.#put = deps.put;
    this.#log = deps.log;
  }

  /**
   * Brings the list up to date after a referrer came, or before `without` goes. It is derived from what is there and
   * looked at again once written: so of several servers that write at the same time, the last to write also sees what the
   * others brought.
   */
  async update(
    repository: RepositoryName,
    subject: Digest,
    permit: WritePermit,
    without?: Digest,
  ): Promise<void> {
    await this.#updates.run(`${repository}@${subject}`, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        if (await this.#isWritten(repository, subject, permit, without)) return;
      }
      this.#log.warn(
        { repository, subject },
        'the list of referrers under a fallback tag changes all the time',
      );
    });
  }

  /** @returns whether the list was right; otherwise it was written and has to be looked at again. */
  async #isWritten(
    repository: RepositoryName,
    subject: Digest,
    permit: WritePermit,
    without: Digest | undefined,
  ): Promise<boolean> {
    const tag = fallbackTag(subject);
    if (tag === undefined) return true;
    const all = await this.#referrers.of(repository, subject);
    const listed = all.filter(({ digest }) => digest !== without);
    const current = await this.#tags.resolve(repository, tag);
    if (listed.length === 0) {
      if (current !== undefined) await ignore('MANIFEST_UNKNOWN', this.#tags.remove(repository, tag, permit));
      return current === undefined;
    }
    const bytes = indexOf(listed);
    if (current === digestOf(bytes)) return true;
    // A referrer that somebody deleted meanwhile is not listed in the next round.
    const index = { bytes, mediaType: mediaTypes.ociIndex, tags: [tag] };
    await ignore('MANIFEST_BLOB_UNKNOWN', this.#put(repository, index, permit));
    return false;
  }
}

function indexOf(manifests: readonly Descriptor[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
}

async function ignore(code: RegistryError['code'], work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== code) throw error;
  }
}
