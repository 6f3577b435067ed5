import { parseDigest, type Digest } from '../../oci/digest.ts';
import { parseManifest, type Manifest } from '../../oci/manifest.ts';
import { isManifestMediaType } from '../../oci/media-type.ts';

/** What a stored manifest keeps alive. Content never changes under its digest, so this can be remembered. */
export interface References {
  /** Config and layers; of an index what it lists beside manifests, as BuildKit's cache does. */
  readonly blobs: readonly Digest[];
  /** Children of an index: manifests of the same repository. */
  readonly manifests: readonly Digest[];
  readonly subject?: Digest;
}

/**
 * Reads the references of a stored manifest. A document of a kind that this registry does not accept for a push, but that
 * an older server stored (Docker schema 1, the withdrawn artifact manifest), keeps alive all that looks like a digest in
 * it: too much is safe, too little is not.
 */
export function referencesOf(bytes: Uint8Array): References {
  const manifest = tryParse(bytes);
  if (manifest === undefined) {
    const digests = allDigests(Buffer.from(bytes).toString('latin1'));
    return { blobs: digests, manifests: digests };
  }
  const listed = manifest.manifests.filter(({ mediaType }) => !isManifestMediaType(mediaType));
  return {
    blobs: [...manifest.blobs, ...listed].map(({ digest }) => digest),
    manifests: manifest.manifests.map(({ digest }) => digest),
    ...(manifest.subject && { subject: manifest.subject.digest }),
  };
}

function tryParse(bytes: Uint8Array): Manifest | undefined {
  try {
    return parseManifest(bytes, undefined);
  } catch {
    return undefined;
  }
}

function allDigests(text: string): Digest[] {
  const found = text.match(/sha256:[0-9a-f]{64}(?![0-9a-f])|sha512:[0-9a-f]{128}(?![0-9a-f])/g) ?? [];
  return [...new Set(found)].flatMap((match) => parseDigest(match) ?? []);
}
