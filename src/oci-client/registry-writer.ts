import type { Digest } from '../oci/digest.ts';
import { parseManifest } from '../oci/manifest.ts';
import { mediaTypes } from '../oci/media-type.ts';
import {
  fallbackTag,
  parseEntries,
  pull,
  push,
  type FetchedManifest,
  type ReferrerEntry,
  type RegistryClient,
} from './registry-client.ts';
import { RegistryRefusal } from './refusal.ts';

/** The registry has begun an upload instead of a mount. */
const NO_MOUNT = 202;

/**
 * Links a blob of another repository of the same registry. OCI distribution-spec, "Mounting a blob from another repository".
 * @returns false when the registry does not do that, or not for this user: then the blob has to be sent.
 */
export async function mountBlob(
  { http }: RegistryClient,
  repository: string,
  from: string,
  digest: Digest,
): Promise<boolean> {
  const scopes = [push(repository), pull(from)];
  const answer = await unlessRefused(
    http.read({
      method: 'POST',
      target: `/v2/${repository}/blobs/uploads/?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`,
      scopes,
      expect: [201, NO_MOUNT],
    }),
  );
  if (answer?.status === 201) return true;
  const location = answer?.headers['location'];
  if (location === undefined) return false;
  // Registries purge what is left; none has to know this method, or let those who may push use it.
  await unlessRefused(http.read({ method: 'DELETE', target: location, scopes, expect: [204] }));
  return false;
}

async function unlessRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RegistryRefusal) return undefined;
    throw error;
  }
}

/**
 * Puts a manifest under a tag or, without one, under its digest. Where the registry does not list referrers itself, a
 * manifest with a subject goes into the fallback tag as well. OCI distribution-spec, "Pushing Manifests with Subject".
 */
export async function putManifest(
  client: RegistryClient,
  repository: string,
  manifest: FetchedManifest,
  tag: string | undefined,
): Promise<void> {
  const { headers } = await client.http.read({
    method: 'PUT',
    target: `/v2/${repository}/manifests/${tag ?? manifest.digest}`,
    scopes: [push(repository)],
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
    expect: [201],
  });
  const { subject, artifactType, annotations } = parseManifest(manifest.bytes, manifest.mediaType);
  if (subject === undefined || headers['oci-subject'] !== undefined) return;
  const list = fallbackTag(subject.digest);
  const entry: ReferrerEntry = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  };
  await client.referrerLists.run(`${repository}:${list}`, () => addToList(client, repository, list, entry));
}

async function addToList(
  client: RegistryClient,
  repository: string,
  tag: string,
  entry: ReferrerEntry,
): Promise<void> {
  const before = await client.manifest(repository, tag);
  const entries = before === undefined ? [] : parseEntries(before.bytes);
  if (entries.some(({ digest }) => digest === entry.digest)) return;
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...entries, entry] };
  await client.http.read({
    method: 'PUT',
    target: `/v2/${repository}/manifests/${tag}`,
    scopes: [push(repository)],
    headers: { 'content-type': mediaTypes.ociIndex },
    body: Buffer.from(JSON.stringify(index)),
    expect: [201],
  });
}
