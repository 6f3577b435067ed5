import type { IncomingMessage } from 'node:http';
import type { Digest } from '../../oci/digest.ts';
import { RegistryError } from '../errors.ts';
import type { ByteRange } from '../storage/driver.ts';
import type { Reader } from '../storage/middleware/redirect.ts';
import { parseRange } from './byte-range.ts';
import { ClientGoneError, type Exchange } from './exchange.ts';
import type { HandlerContext } from './handler-context.ts';
import { remoteIp } from './remote-address.ts';
import { framed, multipart, parseParts } from './multi-range.ts';
import { requireDeletes } from './require-deletes.ts';
import type { RouteOf } from './route.ts';

/** GET and HEAD /v2/<name>/blobs/<digest>. OCI distribution-spec, "Pulling blobs". */
export async function getBlob(
  exchange: Exchange,
  route: RouteOf<'blob'>,
  context: HandlerContext,
): Promise<void> {
  const { repository, digest } = route;
  const { request } = exchange;
  // A pusher who is told by HEAD that a blob exists leaves it out, so that answer comes from the store alone.
  const blob = await (request.method === 'HEAD'
    ? context.blobs.stat(repository, digest)
    : context.blobs.find(repository, digest));
  if (blob === undefined) throw new RegistryError({ code: 'BLOB_UNKNOWN', detail: { digest } });
  const pulled = (): void => context.events.record(exchange, { action: 'pull', repository, blob });
  const headers = blobHeaders(digest);
  // A pusher who asks whether a blob is there may leave it out: let it count as young from now on.
  if (request.method === 'HEAD' && exchange.grant.permits(repository, 'push')) {
    await context.blobs.refresh(repository, digest, blob, context.gate);
  }
  if (request.method === 'GET' && matchesEtag(request.headers['if-none-match'], headers.etag)) {
    pulled();
    return exchange.answer(304, headers);
  }
  const location = context.redirectsEnabled
    ? await context.blobs.redirectUrl(blob.digest, readerOf(request))
    : undefined;
  if (location !== undefined) {
    pulled();
    return exchange.answer(307, { location, 'docker-content-digest': digest });
  }
  if (request.method === 'HEAD') {
    pulled();
    exchange.begin(200, { ...headers, 'content-length': blob.size });
    exchange.response.end();
    return;
  }
  await sendBlob(exchange, {
    digest,
    size: blob.size,
    read: (range) => context.blobs.read(blob.digest, range),
  });
  pulled();
}

/** Of every answer about a blob. */
export function blobHeaders(digest: Digest) {
  return {
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
    'cache-control': 'max-age=31536000',
    'content-type': 'application/octet-stream',
  };
}

/** The whole, a part or several parts, as the request asks. RFC 9110 §14. */
export async function sendBlob(
  exchange: Exchange,
  blob: {
    /** As the client calls it. */
    readonly digest: Digest;
    readonly size: number;
    /** What it throws before it has resolved is still answered. */
    read(range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
  },
): Promise<void> {
  const headers = blobHeaders(blob.digest);
  const { 'if-range': ifRange, range: header } = exchange.request.headers;
  const asked = ifRange === undefined || ifRange === headers.etag ? header : undefined;
  const parts = parseParts(asked, blob.size);
  if (parts !== undefined) {
    const content = { size: blob.size, contentType: headers['content-type'] };
    const frame = multipart(parts, content, exchange.requestId);
    exchange.begin(206, { ...headers, 'content-type': frame.contentType, 'content-length': frame.length });
    return sendContent(
      exchange,
      framed(frame, parts, (part) => blob.read(part)),
    );
  }
  const range = parseRange(asked, blob.size);
  if (range === 'unsatisfiable') {
    throw new RegistryError(
      { code: 'RANGE_INVALID', message: `the blob has ${blob.size} bytes` },
      { headers: { 'content-range': `bytes */${blob.size}` } },
    );
  }
  const { start, end } = range === 'all' ? { start: 0, end: blob.size } : range;
  const content = await blob.read(range === 'all' ? undefined : range);
  exchange.begin(range === 'all' ? 200 : 206, {
    ...headers,
    'content-length': end - start,
    ...(range !== 'all' && { 'content-range': `bytes ${start}-${end - 1}/${blob.size}` }),
  });
  await sendContent(exchange, content);
}

function readerOf(request: IncomingMessage): Reader {
  return { method: request.method === 'HEAD' ? 'HEAD' : 'GET', address: remoteIp(request) };
}

/** DELETE /v2/<name>/blobs/<digest>: the blob leaves this repository. */
export async function deleteBlob(
  exchange: Exchange,
  route: RouteOf<'blob'>,
  context: HandlerContext,
): Promise<void> {
  requireDeletes(context);
  using permit = await context.gate.begin('delete', exchange.signal);
  await context.blobs.unlink(route.repository, route.digest, permit);
  context.events.record(exchange, { action: 'delete', ...route });
  exchange.answer(202);
}

/** RFC 9110 §13.1.2: a list of tags, weak ones included, or `*`. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((item) => item.trim() === '*' || item.trim().replace(/^W\//, '') === etag);
}

/**
 * Sends chunk after chunk. A chunk's buffer is used again for the next one, so each must have left before that is asked
 * for. Leaving the loop, also when the client goes away, closes the file.
 */
async function sendContent(exchange: Exchange, content: AsyncIterable<Uint8Array>): Promise<void> {
  const { response } = exchange;
  let settle: ((error?: Error | null) => void) | undefined;
  const closed = (): void => settle?.(new ClientGoneError());
  response.once('close', closed);
  for await (const chunk of content) {
    if (exchange.clientIsGone) throw new ClientGoneError();
    await new Promise<void>((resolve, reject) => {
      settle = (error) => (error ? reject(error) : resolve());
      response.write(chunk, settle);
    });
    exchange.sentBytes += chunk.length;
  }
  response.off('close', closed);
  response.end();
}
