import { parseDigest, type Digest, type DigestAlgorithm } from '../../oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../../oci/repository-name.ts';
import { RegistryError } from '../errors.ts';
import type { WritePermit } from '../lease/write-gate.ts';
import type { Upload } from '../storage/upload-store.ts';
import { parseContentRange } from './byte-range.ts';
import type { Exchange } from './exchange.ts';
import type { HandlerContext } from './handler-context.ts';
import { invalidDigest, type RouteOf } from './route.ts';

/** POST /v2/<name>/blobs/uploads/: opens an upload, mounts a blob or takes a whole one. "Pushing blobs". */
export async function postUpload(
  exchange: Exchange,
  route: RouteOf<'uploads'>,
  context: HandlerContext,
): Promise<void> {
  const { repository } = route;
  const { query } = exchange;
  const mount = query.has('mount') ? requireDigest(query.get('mount')) : undefined;
  const whole = query.has('digest') ? requireDigest(query.get('digest')) : undefined;
  const algorithm = requireAlgorithm(query.get('digest-algorithm'));
  using permit = await context.gate.begin('open', exchange.signal);
  if (mount !== undefined) {
    const from = query.get('from');
    const source = from === null ? undefined : readableRepository(exchange, from);
    // A name that cannot exist, and one that the client may not read, is a source that does not have the blob.
    const blob =
      from === null || source ? await context.blobs.mount(repository, source, mount, permit) : undefined;
    if (blob !== undefined) {
      context.events.record(exchange, {
        action: 'mount',
        repository,
        blob,
        ...(source && { fromRepository: source }),
      });
      return answerBlobCreated(exchange, context, repository, mount);
    }
  }
  const upload = await context.uploads.open(repository, { ...(algorithm && { algorithm }) }, permit);
  if (whole === undefined) {
    await upload.share();
    return answerUpload(exchange, 202, upload, repository, context);
  }
  try {
    await append(exchange, upload, permit, repository, context);
    await commit(exchange, upload, whole, permit, repository, context);
  } catch (error) {
    // The client was never told of the upload, so nobody could go on with it or give it up.
    await upload.discard();
    throw error;
  }
}

/** PATCH /v2/<name>/blobs/uploads/<id>: adds a chunk, or a stream of any length. */
export async function patchUpload(
  exchange: Exchange,
  route: RouteOf<'upload'>,
  context: HandlerContext,
): Promise<void> {
  const upload = await context.uploads.find(route.repository, route.id);
  using permit = await context.gate.begin('upload', exchange.signal);
  await append(exchange, upload, permit, route.repository, context);
  await upload.share();
  answerUpload(exchange, 202, upload, route.repository, context);
}

/** PUT /v2/<name>/blobs/uploads/<id>?digest=…: ends an upload, with or without last bytes. */
export async function putUpload(
  exchange: Exchange,
  route: RouteOf<'upload'>,
  context: HandlerContext,
): Promise<void> {
  const digest = requireDigest(exchange.query.get('digest'));
  const upload = await context.uploads.find(route.repository, route.id);
  using permit = await context.gate.begin('upload', exchange.signal);
  if (exchange.hasBody) await append(exchange, upload, permit, route.repository, context);
  await commit(exchange, upload, digest, permit, route.repository, context);
}

/** GET /v2/<name>/blobs/uploads/<id>: how far an upload is. */
export async function getUpload(
  exchange: Exchange,
  route: RouteOf<'upload'>,
  context: HandlerContext,
): Promise<void> {
  const upload = await context.uploads.find(route.repository, route.id);
  answerUpload(exchange, 204, upload, route.repository, context);
}

/** DELETE /v2/<name>/blobs/uploads/<id>: gives an upload up. */
export async function deleteUpload(
  exchange: Exchange,
  route: RouteOf<'upload'>,
  context: HandlerContext,
): Promise<void> {
  const upload = await context.uploads.find(route.repository, route.id);
  using _permit = await context.gate.begin('upload', exchange.signal);
  await upload.cancel();
  exchange.answer(204, { 'docker-upload-uuid': route.id });
}

async function append(
  exchange: Exchange,
  upload: Upload,
  permit: WritePermit,
  repository: RepositoryName,
  context: HandlerContext,
): Promise<void> {
  const { headers } = exchange.request;
  const contentLength =
    headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
  const before = upload.size;
  try {
    await upload.append(exchange.request, expectation(headers['content-range'], contentLength), permit);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'RANGE_INVALID') throw error;
    // Tells the client where to go on.
    const resume = uploadHeaders(exchange, upload, repository, context);
    throw new RegistryError(error.items, { headers: { ...error.headers, ...resume }, cause: error.cause });
  } finally {
    exchange.receivedBytes += upload.size - before;
  }
}

async function commit(
  exchange: Exchange,
  upload: Upload,
  digest: Digest,
  permit: WritePermit,
  repository: RepositoryName,
  context: HandlerContext,
): Promise<void> {
  const { size } = await upload.commit(digest, permit);
  context.events.record(exchange, { action: 'push', repository, blob: { digest, size } });
  answerBlobCreated(exchange, context, repository, digest);
}

function expectation(
  contentRange: string | undefined,
  contentLength: number | undefined,
): { start?: number; length?: number } {
  if (contentRange === undefined) return contentLength === undefined ? {} : { length: contentLength };
  const range = parseContentRange(contentRange);
  if (range === undefined)
    throw new RegistryError({ code: 'RANGE_INVALID', message: 'malformed Content-Range' });
  const length = range.last - range.first + 1;
  if (contentLength !== undefined && contentLength !== length)
    throw new RegistryError({ code: 'SIZE_INVALID' });
  return { start: range.first, length };
}

function readableRepository(exchange: Exchange, text: string): RepositoryName | undefined {
  const name = parseRepositoryName(text);
  return name !== undefined && exchange.grant.permits(name, 'pull') ? name : undefined;
}

function answerUpload(
  exchange: Exchange,
  status: 202 | 204,
  upload: Upload,
  repository: RepositoryName,
  context: HandlerContext,
): void {
  exchange.answer(status, uploadHeaders(exchange, upload, repository, context));
}

function uploadHeaders(
  exchange: Exchange,
  upload: Upload,
  repository: RepositoryName,
  context: HandlerContext,
): Record<string, string> {
  return {
    location: context.links.location(exchange.request, context.links.upload(repository, upload.id)),
    // Nothing and one byte look alike here; clients have learned to live with it.
    range: `0-${Math.max(0, upload.size - 1)}`,
    'docker-upload-uuid': upload.id,
  };
}

function answerBlobCreated(
  exchange: Exchange,
  context: HandlerContext,
  repository: RepositoryName,
  digest: Digest,
): void {
  exchange.answer(201, {
    location: context.links.location(exchange.request, context.links.blob(repository, digest)),
    'docker-content-digest': digest,
  });
}

function requireDigest(text: string | null): Digest {
  const digest = text === null ? undefined : parseDigest(text);
  if (digest === undefined) throw invalidDigest(text);
  return digest;
}

function requireAlgorithm(text: string | null): DigestAlgorithm | undefined {
  if (text === null) return undefined;
  if (text === 'sha256' || text === 'sha512') return text;
  throw new RegistryError({ code: 'DIGEST_INVALID', message: 'digest-algorithm must be sha256 or sha512' });
}
