import { digestAlgorithm, digestHex, digestOf, parseDigest, type Digest } from '../oci/digest.ts';
import { LARGEST_MANIFEST_BYTES } from '../oci/manifest.ts';
import { bareMediaType, mediaTypes } from '../oci/media-type.ts';
import { KeyedLock } from '../process/keyed-lock.ts';
import { nextPage } from './next-page.ts';
import type { ClientRequest, RegistryHttp, WholeAnswer } from './registry-http.ts';
import { pause, TransientError } from './retry.ts';

export interface FetchedManifest {
  /** The digest that was asked for, else the sha256 of the bytes. */
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** What a list of referrers says of each. */
export interface ReferrerEntry {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** All that a registry may keep a manifest as. */
export const ACCEPT_MANIFESTS = [...Object.values(mediaTypes), '*/*'].join(', ');

/** The scopes of token servers. */
export const pull = (repository: string): string => `repository:${repository}:pull`;
export const push = (repository: string): string => `repository:${repository}:pull,push`;

/** Reads a registry. OCI distribution-spec. Every method throws RegistryRefusal, or TransientError when retries did not help. */
export class RegistryClient {
  readonly http: RegistryHttp;
  /** By fallback tag. Such a list is read and written anew: of two that do so at once, one would lose its entry. */
  readonly referrerLists = new KeyedLock();

  constructor(http: RegistryHttp) {
    this.http = http;
  }

  /** @param reference a tag or a digest. @returns undefined when it is not there. */
  async manifest(repository: string, reference: string): Promise<FetchedManifest | undefined> {
    const { status, headers, bytes } = await this.#manifestRequest('GET', repository, reference);
    if (status === 404) return undefined;
    const wanted = parseDigest(reference);
    const digest = wanted ?? digestOf(bytes);
    if (wanted !== undefined && digestOf(bytes, digestAlgorithm(wanted)) !== wanted) {
      throw new Error(`${repository}: manifest ${reference} is damaged`);
    }
    return { digest, mediaType: bareMediaType(headers['content-type'] ?? ''), bytes };
  }

  /** The digest that a tag or digest leads to. @returns undefined when it is not there, or the registry does not say. */
  async resolve(repository: string, reference: string): Promise<Digest | undefined> {
    const { status, headers } = await this.#manifestRequest('HEAD', repository, reference);
    return status === 404 ? undefined : parseDigest(headers['docker-content-digest'] ?? '');
  }

  async hasBlob(repository: string, digest: Digest): Promise<boolean> {
    const { status } = await this.http.read({
      method: 'HEAD',
      target: `/v2/${repository}/blobs/${digest}`,
      scopes: [push(repository)],
      expect: [200, 404],
    });
    return status === 200;
  }

  /** Bytes of a blob from `start` on. A download that breaks goes on where it was. */
  async *blob(repository: string, digest: Digest, start = 0): AsyncIterable<Uint8Array> {
    const { retry } = this.http;
    let at = start;
    for (let failures = 0; ;) {
      try {
        for await (const chunk of this.#blobOnce(repository, digest, at)) {
          yield chunk;
          at += chunk.length;
          failures = 0;
        }
        return;
      } catch (error) {
        if (!(error instanceof TransientError) || failures >= retry.retries) throw error;
        await pause(retry, failures++, error.retryAfter);
      }
    }
  }

  /** @returns undefined when there is no such repository. */
  tags(repository: string): Promise<readonly string[] | undefined> {
    return this.#list(`/v2/${repository}/tags/list?n=1000`, [pull(repository)], 'tags');
  }

  async repositories(): Promise<readonly string[]> {
    return (await this.#list('/v2/_catalog?n=1000', ['registry:catalog:*'], 'repositories')) ?? [];
  }

  /** By the referrers API, or by the fallback tag where there is none. OCI distribution-spec, "Listing Referrers". */
  async referrers(repository: string, subject: Digest): Promise<readonly ReferrerEntry[]> {
    const { status, bytes } = await this.http.read({
      method: 'GET',
      target: `/v2/${repository}/referrers/${subject}`,
      scopes: [pull(repository)],
      expect: [200, 400, 404, 405],
    });
    if (status === 200) return parseEntries(bytes);
    const index = await this.manifest(repository, fallbackTag(subject));
    return index === undefined ? [] : parseEntries(index.bytes);
  }

  async *#blobOnce(repository: string, digest: Digest, start: number): AsyncIterable<Uint8Array> {
    const answer = await this.http.send({
      method: 'GET',
      target: `/v2/${repository}/blobs/${digest}`,
      scopes: [pull(repository)],
      ...(start > 0 && { headers: { range: `bytes=${start}-` } }),
      expect: [200, 206],
    });
    // A registry may send all though a part was asked for.
    let skip = start > 0 && answer.status === 200 ? start : 0;
    const chunks = answer.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>; // a body is a stream of bytes
    try {
      for (;;) {
        const next = await chunks.next().catch((cause: unknown) => {
          this.http.retry.signal?.throwIfAborted();
          throw new TransientError(`${repository}: blob ${digest} broke off`, { cause });
        });
        if (next.done) return;
        if (skip < next.value.length) yield next.value.subarray(skip);
        skip = Math.max(0, skip - next.value.length);
      }
    } finally {
      answer.body.destroy();
    }
  }

  #manifestRequest(method: 'GET' | 'HEAD', repository: string, reference: string): Promise<WholeAnswer> {
    const request: ClientRequest = {
      method,
      target: `/v2/${repository}/manifests/${reference}`,
      scopes: [pull(repository)],
      headers: { accept: ACCEPT_MANIFESTS },
      expect: [200, 404],
    };
    return this.http.read(request, LARGEST_MANIFEST_BYTES);
  }

  /** All pages of a list. */
  async #list(first: string, scopes: readonly string[], field: string): Promise<string[] | undefined> {
    const names: string[] = [];
    for (let target: string | undefined = first; target !== undefined;) {
      const { status, headers, bytes }: WholeAnswer = await this.http.read({
        method: 'GET',
        target,
        scopes,
        expect: [200, 404],
      });
      if (status === 404) return undefined;
      const page = JSON.parse(bytes.toString()) as Readonly<Record<string, readonly string[] | null>>; // as specified
      for (const name of page[field] ?? []) names.push(name);
      target = nextPage(headers['link']);
    }
    return names;
  }
}

/** Where clients list the referrers of a manifest for registries without the API. OCI distribution-spec, "Referrers Tag Schema". */
export function fallbackTag(subject: Digest): string {
  return `${digestAlgorithm(subject)}-${digestHex(subject).slice(0, 64)}`;
}

export function parseEntries(index: Buffer): readonly ReferrerEntry[] {
  const { manifests } = JSON.parse(index.toString()) as {
    readonly manifests?: readonly ReferrerEntry[] | null;
  }; // an index
  return (manifests ?? []).filter(({ digest }) => parseDigest(digest) !== undefined);
}
