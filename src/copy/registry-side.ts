import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/repository-name.ts';
import { pushBlob, type BlobContent } from '../oci-client/push-blob.ts';
import type { RegistryClient } from '../oci-client/registry-client.ts';
import { mountBlob, putManifest } from '../oci-client/registry-writer.ts';
import { KeyedLock } from '../process/keyed-lock.ts';
import type { BlobOutcome, ImageDestination, ImageSource } from './sides.ts';

export function registrySource(
  client: RegistryClient,
  registry: string,
  repository: RepositoryName,
): ImageSource {
  return {
    title: `${registry}/${repository}`,
    origin: { registry, repository },
    manifest: (reference) => client.manifest(repository, reference),
    blob: (digest, start) => client.blob(repository, digest, start),
    async tags() {
      const tags = await client.tags(repository);
      if (tags === undefined) throw new Error(`${registry} has no repository ${repository}`);
      return tags;
    },
    referrers: (subject) => client.referrers(repository, subject),
  };
}

/** What a run knows of a registry that it writes to. */
export class KnownBlobs {
  /** Which repository has a blob. */
  readonly in = new Map<Digest, RepositoryName>();
  /** Images share layers: whoever wants one that is on its way waits for it, and finds it there or mounts it. */
  readonly onTheirWay = new KeyedLock();
}

export function registryDestination(
  client: RegistryClient,
  registry: string,
  repository: RepositoryName,
  known: KnownBlobs,
): ImageDestination {
  const put = async (
    content: BlobContent,
    source: ImageSource,
    sent: (bytes: number) => void,
  ): Promise<BlobOutcome> => {
    const { digest } = content;
    if (await client.hasBlob(repository, digest)) return 'there';
    const sameRegistry = source.origin?.registry === registry ? source.origin.repository : undefined;
    const from = known.in.get(digest) ?? sameRegistry;
    const other = from === repository ? undefined : from;
    if (other !== undefined && (await mountBlob(client, repository, other, digest))) return 'mounted';
    await pushBlob(client.http, repository, content, sent);
    return 'copied';
  };
  return {
    title: `${registry}/${repository}`,
    takesIndexes: true,
    resolve: (reference) => client.resolve(repository, reference),
    async putBlob(content, source, sent) {
      const outcome = await known.onTheirWay.run(content.digest, () => put(content, source, sent));
      known.in.set(content.digest, repository);
      return outcome;
    },
    putManifest: (manifest, tag) => putManifest(client, repository, manifest, tag),
  };
}
