import { digestOf, type Digest } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-type.ts';
import { imageManifest, type Named } from '../support/store-fixture.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
}

/** Docker distribution does not take a wildcard for manifests. */
const ACCEPT = [mediaTypes.ociManifest, mediaTypes.ociIndex, '*/*'].join();

/** An answer that was not asked for. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer';
  readonly answer: HttpAnswer;

  constructor(request: string, answer: HttpAnswer) {
    super(`${request}: ${answer.status} ${answer.bytes.toString().slice(0, 500)}`);
    this.answer = answer;
  }
}

/** Whether a request ended without a whole answer: fetch throws a TypeError with one of these two messages. */
export function isBrokenConnection(error: unknown): boolean {
  return error instanceof TypeError && ['fetch failed', 'terminated'].includes(error.message);
}

interface RequestOptions {
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** The only status that is right. Without it any is. */
  readonly expect?: number;
  /** Gives the request up. */
  readonly signal?: AbortSignal;
}

/** How the bytes of a blob are sent. */
export type PushWay = 'whole' | 'put' | 'chunks';
const WAYS: readonly PushWay[] = ['whole', 'put', 'chunks'];

/** A registry without TLS and users. Each method throws UnexpectedAnswer, or what isBrokenConnection knows. */
export class HttpRegistry {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async send(method: string, path: string, options: RequestOptions = {}): Promise<HttpAnswer> {
    const { body, expect, signal } = options;
    const headers = { accept: ACCEPT, ...options.headers };
    const response = await fetch(new URL(path, this.url), {
      method,
      headers,
      ...(body && { body }),
      ...(signal && { signal }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const answer = { status: response.status, headers: response.headers, bytes };
    if (expect !== undefined && answer.status !== expect)
      throw new UnexpectedAnswer(`${method} ${path}`, answer);
    return answer;
  }

  /** Begins an upload; returns its path, which holds after a restart too. */
  async startUpload(repository: string): Promise<string> {
    return this.locationOf(await this.send('POST', `/v2/${repository}/blobs/uploads/`, { expect: 202 }));
  }

  /** Appends a chunk; returns where the upload goes on. */
  async patch(location: string, chunk: Buffer, start: number): Promise<string> {
    const headers = {
      'content-type': 'application/octet-stream',
      'content-range': `${start}-${start + chunk.length - 1}`,
    };
    return this.locationOf(await this.send('PATCH', location, { body: chunk, headers, expect: 202 }));
  }

  async finish(location: string, digest: Digest, body?: Buffer): Promise<void> {
    const separator = location.includes('?') ? '&' : '?';
    const headers = { 'content-type': 'application/octet-stream' };
    const path = `${location}${separator}digest=${digest}`;
    await this.send('PUT', path, { ...(body && { body, headers }), expect: 201 });
  }

  async pushBlob(repository: string, bytes: Buffer, way: PushWay = 'put'): Promise<Digest> {
    const digest = digestOf(bytes);
    if (way === 'whole') {
      const headers = { 'content-type': 'application/octet-stream' };
      const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
      await this.send('POST', path, { body: bytes, headers, expect: 201 });
      return digest;
    }
    let location = await this.startUpload(repository);
    if (way === 'put') {
      await this.finish(location, digest, bytes);
      return digest;
    }
    const half = Math.floor(bytes.length / 2);
    if (half > 0) location = await this.patch(location, bytes.subarray(0, half), 0);
    if (bytes.length > half) location = await this.patch(location, bytes.subarray(half), half);
    await this.finish(location, digest);
    return digest;
  }

  async mount(repository: string, from: string, digest: Digest): Promise<Digest> {
    const path = `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${from}`;
    await this.send('POST', path, { expect: 201 });
    return digest;
  }

  /** @returns the digest of the bytes. */
  async pushManifest(
    repository: string,
    reference: string,
    bytes: Uint8Array,
    mediaType: string = mediaTypes.ociManifest,
  ): Promise<Digest> {
    const headers = { 'content-type': mediaType };
    await this.send('PUT', `/v2/${repository}/manifests/${reference}`, { body: bytes, headers, expect: 201 });
    return digestOf(bytes);
  }

  async tags(repository: string): Promise<readonly string[]> {
    const { bytes } = await this.send('GET', `/v2/${repository}/tags/list`, { expect: 200 });
    // The shape that the specification gives.
    const { tags } = JSON.parse(bytes.toString()) as { readonly tags: readonly string[] | null };
    return (tags ?? []).toSorted();
  }

  async catalog(): Promise<readonly string[]> {
    const { bytes } = await this.send('GET', '/v2/_catalog', { expect: 200 });
    // The shape that distribution gives.
    const { repositories } = JSON.parse(bytes.toString()) as { readonly repositories: readonly string[] };
    return repositories.toSorted();
  }

  /** Where an upload goes on, as a path. */
  locationOf({ headers }: HttpAnswer): string {
    const location = headers.get('location');
    if (location === null) throw new Error('there is no Location');
    const { pathname, search } = new URL(location, this.url);
    return `${pathname}${search}`;
  }
}

/** An image that no other call makes: of a config and up to three layers, of nothing to `largest` bytes each. */
export interface RandomImage {
  readonly blobs: readonly Buffer[];
  readonly manifest: Buffer;
}

export function randomImage(random: SeededRandom, largest = 1024 * 1024): RandomImage {
  const layers = Array.from({ length: 1 + random.integer(3) }, () =>
    // Half of them small enough to stay in memory until they are whole.
    random.bytes(random.integer(random.integer(2) === 0 ? Math.min(largest, 20_000) : largest)),
  );
  const config = Buffer.from(JSON.stringify({ id: random.bytes(8).toString('hex') }));
  const named = (bytes: Buffer): Named => ({ digest: digestOf(bytes), size: bytes.length });
  const manifest = imageManifest(named(config), layers.map(named));
  return { blobs: [config, ...layers], manifest };
}

export function randomWay(random: SeededRandom): PushWay {
  return WAYS[random.integer(WAYS.length)] ?? 'put';
}
