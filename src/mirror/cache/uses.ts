import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';
import type { CacheIndex } from './cache-index.ts';

/** When what was used, as the last process knew it; milliseconds since the epoch. */
export interface Uses {
  manifest(repository: RepositoryName, digest: Digest): number | undefined;
  layer(repository: RepositoryName, digest: Digest): number | undefined;
  /** When the upstream was asked what the tag says. */
  tag(repository: RepositoryName, tag: Tag): number | undefined;
}

const VERSION = 1;

/** Layers are those alone that no manifest needs: the others are used with their image. */
export function encodeUses(index: CacheIndex): Buffer {
  const repositories = Object.fromEntries(
    [...index.uses()].map(({ repository, manifests, layers, tags }) => [
      repository,
      {
        manifests: Object.fromEntries([...manifests].map(({ digest, usedAt }) => [digest, usedAt])),
        layers: Object.fromEntries([...layers].map(({ digest, usedAt }) => [digest, usedAt])),
        tags: Object.fromEntries([...tags].map(([tag, { checkedAt }]) => [tag, checkedAt])),
      },
    ]),
  );
  return Buffer.from(`${JSON.stringify({ version: VERSION, repositories })}\n`);
}

/** What is damaged, missing or of a newer version says nothing: then the dates of the files have to do. */
export function decodeUses(bytes: Uint8Array | undefined): Uses {
  const document = bytes && parse(Buffer.from(bytes).toString('utf8'));
  const repositories = field(document, 'version') === VERSION ? field(document, 'repositories') : undefined;
  const timeOf = (kind: string) => (repository: string, name: string) => {
    const time = field(field(field(repositories, repository), kind), name);
    return typeof time === 'number' && Number.isFinite(time) ? time : undefined;
  };
  return { manifest: timeOf('manifests'), layer: timeOf('layers'), tag: timeOf('tags') };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An own field: names of repositories and tags may be those of what every object has. */
function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined;
}
