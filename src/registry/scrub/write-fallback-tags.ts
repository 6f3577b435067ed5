import { randomUUID } from 'node:crypto';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { ServerLease } from '../lease/server-lease.ts';
import { BlobStore } from '../storage/blob-store.ts';
import type { StorageDriver } from '../storage/driver.ts';
import type { ManifestRules } from '../storage/manifest-rules.ts';
import { ManifestStore } from '../storage/manifest-store.ts';
import { TagStore } from '../storage/tag-store.ts';

/** Lists the referrers of manifests under tags, where docker distribution and old clients find them. */
export interface FallbackTagWriter extends AsyncDisposable {
  /** @throws RegistryError when a collection holds writes for long, or the registry is read-only by configuration */
  write(repository: RepositoryName, subjects: ReadonlySet<Digest>): Promise<void>;
}

/** Writes as a server does, so that a collection beside it waits for it or is waited for. */
export async function openFallbackTagWriter(deps: {
  readonly driver: StorageDriver;
  readonly clock: Clock;
  readonly log: Logger;
  readonly rules: ManifestRules;
  readonly readOnly: boolean;
}): Promise<FallbackTagWriter> {
  const lease = new ServerLease({ ...deps, serverId: randomUUID() });
  await lease.start();
  const tags = new TagStore({ driver: deps.driver, lookups: 8 });
  const manifests = new ManifestStore({ ...deps, tags, blobs: new BlobStore(deps), fallbackTags: true });
  return {
    async write(repository, subjects) {
      for (const subject of subjects) {
        using permit = await lease.begin('manifest');
        await manifests.updateFallbackTag(repository, subject, permit);
      }
    },
    [Symbol.asyncDispose]: () => lease.stop(),
  };
}
