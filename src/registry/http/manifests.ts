import type { IncomingMessage } from 'node:http';
import { parseDigest } from '../../oci/digest.ts';
import { LARGEST_MANIFEST_BYTES } from '../../oci/manifest.ts';
import { bareMediaType, mediaTypes } from '../../oci/media-type.ts';
import { parseTag, type Tag } from '../../oci/tag.ts';
import { RegistryError } from '../errors.ts';
import { matchesEtag } from './blobs.ts';
import { writeCondition } from './conditions.ts';
import type { Exchange } from './exchange.ts';
import type { HandlerContext } from './handler-context.ts';
import { requireDeletes } from './require-deletes.ts';
import type { RouteOf } from './route.ts';

/** Of one PUT by digest. The spec asks for at least 10. */
const MOST_TAG_PARAMETERS = 100;

/**
 * GET and HEAD /v2/<name>/manifests/<reference>: the stored bytes with their own type, whatever Accept says. Converting
 * would answer with another digest than the one stored, and refusing would answer curl with 404.
 */
export async function getManifest(
  exchange: Exchange,
  route: RouteOf<'manifest'>,
  context: HandlerContext,
): Promise<void> {
  const { repository, reference } = route;
  const manifest = await context.manifests.get(repository, reference);
  if (manifest === undefined) throw new RegistryError({ code: 'MANIFEST_UNKNOWN', detail: { reference } });
  // For rules of retention who has it already pulls it as well; webhooks are not told, as by docker distribution.
  context.pulls?.record(repository, reference);
  const etag = `"${manifest.digest}"`;
  const headers = { 'docker-content-digest': manifest.digest, etag };
  if (matchesEtag(exchange.request.headers['if-none-match'], etag)) return exchange.answer(304, headers);
  context.events.record(exchange, {
    action: 'pull',
    repository,
    manifest,
    ...(manifest.digest !== reference && { tag: reference }),
  });
  exchange.answer(200, { ...headers, 'content-type': manifest.mediaType }, manifest.bytes);
}

/** PUT /v2/<name>/manifests/<reference>, with `?tag=` once for each further tag of a digest. "Pushing manifests". */
export async function putManifest(
  exchange: Exchange,
  route: RouteOf<'manifest'>,
  context: HandlerContext,
): Promise<void> {
  const { repository, reference } = route;
  const { request } = exchange;
  const digest = parseDigest(reference);
  const tags = digest === undefined ? [reference as Tag] : tagParameters(exchange.query); // not a digest, so a tag
  const bytes = await readManifest(request);
  exchange.receivedBytes = bytes.length;
  const contentType = request.headers['content-type'];
  const mediaType = contentType === undefined ? undefined : bareMediaType(contentType);
  // For a digest there is nothing to rule out: it always names the same bytes.
  const condition = digest === undefined ? writeCondition(request.headers) : undefined;
  condition?.(await context.tags.resolve(repository, reference as Tag)); // no digest, so a tag
  using permit = await context.gate.begin('manifest', exchange.signal);
  const content = { bytes, mediaType, ...(digest && { digest }), tags, ...(condition && { condition }) };
  const stored = await context.manifests.put(repository, content, permit);
  const manifest = { ...stored, bytes };
  for (const tag of tags.length > 0 ? tags : [undefined]) {
    context.events.record(exchange, { action: 'push', repository, manifest, ...(tag && { tag }) });
  }
  exchange.answer(201, {
    location: context.links.location(request, context.links.manifest(repository, stored.digest)),
    'docker-content-digest': stored.digest,
    ...(stored.subject && { 'oci-subject': stored.subject }),
    ...(digest !== undefined && tags.length > 0 && { 'oci-tag': [...tags] }),
  });
}

/** DELETE /v2/<name>/manifests/<reference>: a digest goes with all its tags; a tag goes alone. */
export async function deleteManifest(
  exchange: Exchange,
  route: RouteOf<'manifest'>,
  context: HandlerContext,
): Promise<void> {
  requireDeletes(context);
  const { repository, reference } = route;
  using permit = await context.gate.begin('delete', exchange.signal);
  const digest = parseDigest(reference);
  if (digest === undefined) {
    await context.tags.remove(repository, reference as Tag, permit); // not a digest, so a tag
    context.events.record(exchange, { action: 'delete', repository, tag: reference });
  } else {
    const tags = await context.manifests.delete(repository, digest, permit);
    context.events.record(exchange, { action: 'delete', repository, digest });
    for (const tag of tags) context.events.record(exchange, { action: 'delete', repository, tag });
  }
  exchange.answer(202);
}

/** GET /v2/<name>/referrers/<digest>: always 200, also for what nobody has. "Listing Referrers". */
export async function getReferrers(
  exchange: Exchange,
  route: RouteOf<'referrers'>,
  context: HandlerContext,
): Promise<void> {
  const wanted = exchange.query.get('artifactType');
  const all = await context.manifests.referrers(route.repository, route.digest);
  const manifests = wanted === null ? all : all.filter((referrer) => referrer.artifactType === wanted);
  exchange.answerJson(
    200,
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests },
    {
      'content-type': mediaTypes.ociIndex,
      ...(wanted !== null && { 'oci-filters-applied': 'artifactType' }),
    },
  );
}

function tagParameters(query: URLSearchParams): Tag[] {
  const texts = query.getAll('tag');
  if (texts.length > MOST_TAG_PARAMETERS) {
    throw new RegistryError({
      code: 'TOO_MANY_TAGS',
      message: `at most ${MOST_TAG_PARAMETERS} tags at once`,
    });
  }
  return [...new Set(texts)].map((text) => {
    const tag = parseTag(text);
    if (tag === undefined) {
      throw new RegistryError({ code: 'TAG_INVALID', message: 'invalid tag', detail: { tag: text } });
    }
    return tag;
  });
}

/** @throws RegistryError MANIFEST_TOO_LARGE before more than the limit was read */
async function readManifest(request: IncomingMessage): Promise<Buffer> {
  const tooLarge = (): RegistryError =>
    new RegistryError({
      code: 'MANIFEST_TOO_LARGE',
      message: `a manifest has at most ${LARGEST_MANIFEST_BYTES} bytes`,
    });
  if (Number(request.headers['content-length'] ?? 0) > LARGEST_MANIFEST_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // Not `for await`: leaving its loop would destroy the request, and the answer with it.
  await new Promise<void>((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > LARGEST_MANIFEST_BYTES) reject(tooLarge());
      else chunks.push(chunk);
    });
    request.once('end', resolve);
    request.once('error', reject);
    request.once('close', () => reject(new Error('the body ended early')));
  });
  return Buffer.concat(chunks, size);
}
