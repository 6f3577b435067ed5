import type { Digest } from '../../oci/digest.ts';
import { ManifestError, parseManifest } from '../../oci/manifest.ts';
import { referencesOf } from '../../registry/collect/references.ts';
import type { ManifestEntry } from './cache-index.ts';

/** What a manifest needs to be of use. Of a kind that is not known, everything that looks like a digest. */
export function needsOf(bytes: Uint8Array): Pick<ManifestEntry, 'blobs' | 'children'> {
  const { blobs, manifests } = referencesOf(bytes);
  const sizes = describedSizes(bytes);
  return {
    blobs: [...new Set(blobs)].map((digest) => ({ digest, size: sizes.get(digest) })),
    children: manifests,
  };
}

function describedSizes(bytes: Uint8Array): ReadonlyMap<Digest, number> {
  try {
    const { blobs, manifests } = parseManifest(bytes, undefined);
    return new Map([...blobs, ...manifests].map(({ digest, size }) => [digest, size]));
  } catch (error) {
    if (error instanceof ManifestError) return new Map();
    throw error;
  }
}
