import { digestAlgorithm, parseDigest, type Digest, type DigestAlgorithm } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { listIfThere } from '../storage/if-there.ts';
import { tagFolder, tagIndexLinkPath } from '../storage/paths.ts';

const ALGORITHMS: ReadonlySet<DigestAlgorithm> = new Set(['sha256', 'sha512']);

/** The links of all that a tag ever said; of `only` these manifests. */
export async function* tagHistory(
  driver: StorageDriver,
  repository: RepositoryName,
  tag: Tag,
  only?: ReadonlySet<Digest>,
): AsyncIterable<string> {
  for (const algorithm of only ? new Set([...only].map(digestAlgorithm)) : ALGORITHMS) {
    for (const hex of await listIfThere(driver, `${tagFolder(repository, tag)}/index/${algorithm}`)) {
      const digest = parseDigest(`${algorithm}:${hex}`);
      if (digest === undefined || only?.has(digest) === false) continue;
      yield tagIndexLinkPath(repository, tag, digest);
    }
  }
}
