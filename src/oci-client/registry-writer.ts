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

/** Gives up an upload that a mount has begun instead. */
const NO_MOUNT = 202;

/**
 * Links a blob of another repository of the same registry. OCI distribution-spec, "Mounting a blob from another repository".
 * @returns false when the registry does not do that.
 */
export async function mountBlob(
  { http }: RegistryClient,
  repository: string,
  from: string,
  digest: Digest,
): Promise<boolean> {
  const scopes = [push(repository), pull(from)];
  const answer = await http.send({
    method: 'POST',
    target: `/v2/${repository}/blobs/uploads/?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`,
    scopes,
    expect: [201, NO_MOUNT],
  });
  await answer.body.dump();
  if (answer.status !== NO_MOUNT) return true;
  const { location } = answer.headers;
  if (location === undefined) return false;
  // Registries purge what is left; none has to know this method.
  const cancelled = await http.send({
    method: 'DELETE',
    target: location,
    scopes,
    expect: [204, 202, 400, 404, 405],
  });
  await cancelled.body.dump();
  return false;
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
  await addToFallbackTag(client, repository, subject.digest, {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  });
}

async function addToFallbackTag(
  client: RegistryClient,
  repository: string,
  subject: Digest,
  entry: ReferrerEntry,
): Promise<void> {
  const tag = fallbackTag(subject);
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
