import type { UpstreamCredentials } from '../../contract/config/mirror-settings.ts';
import { digestAlgorithm, digestOf, parseDigest, type Digest } from '../../oci/digest.ts';
import { LARGEST_MANIFEST_BYTES } from '../../oci/manifest.ts';
import { bareMediaType, isIndexMediaType, isManifestMediaType } from '../../oci/media-type.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';
import { nextPage } from '../../oci-client/next-page.ts';
import { readBody } from '../../oci-client/read-body.ts';
import { RegistryRefusal } from '../../oci-client/refusal.ts';
import { ACCEPT_MANIFESTS, fallbackTag, pull } from '../../oci-client/registry-client.ts';
import type { ClientAnswer, ClientRequest } from '../../oci-client/registry-http.ts';
import { TransientError, withRetries, type RetryOptions } from '../../oci-client/retry.ts';
import type { Clock } from '../../process/clock.ts';
import {
  UpstreamError,
  type ReferrersPage,
  type ResolvedTag,
  type Upstream,
  type UpstreamBlob,
  type UpstreamManifest,
  type UpstreamPage,
} from '../upstream.ts';
import { Circuit } from './circuit.ts';
import { Connection } from './connection.ts';
import { credentialSource } from './credential-source.ts';

export interface UpstreamSettings {
  /** In lower case. */
  readonly host: string;
  /** Where it answers: scheme, host and port. */
  readonly url: URL;
  readonly credentials: UpstreamCredentials | undefined;
  /** A file of further certificates to trust, PEM; read anew for each request. */
  readonly ca: string | undefined;
  /** Hosts of token servers that may have the credentials though they are not within the upstream's own domain. */
  readonly realmHosts: readonly string[];
}

export interface UpstreamDependencies {
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
  /** For proxies, further certificates, and what a credential helper needs. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How long connecting may take, how long the headers of an answer, and each piece of its body; milliseconds. */
  readonly timeouts?: { readonly connect: number; readonly headers: number; readonly body: number };
}

/** How an upstream does, as far as requests have told. */
export interface UpstreamStatus {
  readonly host: string;
  /** Undefined until it has been asked. */
  readonly reachable: boolean | undefined;
  /** Why the last request failed; undefined when it went well, or what was asked for is not there. */
  readonly lastError: string | undefined;
  /** What Docker Hub says is left of its limit. */
  readonly rateLimitRemaining: number | undefined;
}

/** containerd waits 30 seconds for an answer of a mirror, and then asks it for the next thing: it must have one before. */
const TIMEOUTS = { connect: 5000, headers: 20_000, body: 20_000 };

/** Clients go elsewhere after some seconds, so no new attempt is made then. */
const RETRIES = 2;
const PATIENCE = 5000;

/** Bytes of a page of a list. */
const LONGEST_PAGE = 16 * 1024 * 1024;

/** How registries answer that do not know a method, or a part of the API. */
const UNKNOWN_METHOD = [400, 405, 501];

interface UpstreamRequest extends ClientRequest {
  readonly signal: AbortSignal;
  /** Docker Hub counts it. */
  readonly counted?: boolean;
}

/** Too many pulls. Requests that do not count as one still go well. */
class PullLimitError extends UpstreamError {}

/** A registry on the network, asked no more than it bears: what passes is tried again for some seconds, then it is left alone. */
export class RegistryUpstream implements Upstream {
  readonly host: string;
  readonly #url: URL;
  readonly #connection: Connection;
  readonly #hasCredentials: boolean;
  readonly #retry: RetryOptions;
  readonly #requests: Circuit;
  readonly #pulls: Circuit;
  #reachable: boolean | undefined;
  #lastError: string | undefined;
  #rateLimitRemaining: number | undefined;

  /** Asks nothing yet: an upstream may be away when its mirror starts. */
  constructor(settings: UpstreamSettings, deps: UpstreamDependencies) {
    const { host, url, credentials, ca, realmHosts } = settings;
    this.host = host;
    this.#url = url;
    this.#retry = { retries: RETRIES, patience: PATIENCE, clock: deps.clock, random: deps.random };
    this.#requests = new Circuit(deps);
    this.#pulls = new Circuit(deps);
    this.#hasCredentials = credentials !== undefined;
    this.#connection = new Connection({
      url,
      credentials: credentials && credentialSource(credentials, [url.host, host], deps),
      ca,
      realmHosts,
      timeouts: deps.timeouts ?? TIMEOUTS,
      environment: deps.environment,
      retry: this.#retry,
    });
  }

  get status(): UpstreamStatus {
    return {
      host: this.host,
      reachable: this.#reachable,
      lastError: this.#lastError,
      rateLimitRemaining: this.#rateLimitRemaining,
    };
  }

  /** Finds out how it does, for `status` alone. Throws nothing but the reason of the signal. */
  async look(signal: AbortSignal): Promise<void> {
    const request = { method: 'GET', target: '/v2/', scopes: [], expect: [200], signal } as const;
    try {
      await this.#ask(request, ({ body }) => body.dump());
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
    }
  }

  /** Breaks what is under way. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  async resolve(repository: RepositoryName, tag: Tag, signal: AbortSignal): Promise<ResolvedTag> {
    const request = {
      ...this.#request('HEAD', repository, `manifests/${tag}`, signal, { accept: ACCEPT_MANIFESTS }),
      expect: [200, ...UNKNOWN_METHOD],
    };
    const told = await this.#ask(request, async ({ status, headers, body }) => {
      await body.dump();
      const digest = parseDigest(headers['docker-content-digest'] ?? '');
      const mediaType = bareMediaType(headers['content-type'] ?? '');
      const size = parseSize(headers['content-length']);
      const isWhole = status === 200 && digest !== undefined && mediaType !== '' && size !== undefined;
      return isWhole ? { digest, mediaType, size } : undefined;
    });
    if (told !== undefined) return told;
    const content = await this.#manifest(repository, tag, signal);
    return { digest: content.digest, mediaType: content.mediaType, size: content.bytes.length, content };
  }

  manifest(repository: RepositoryName, digest: Digest, signal: AbortSignal): Promise<UpstreamManifest> {
    return this.#manifest(repository, digest, signal);
  }

  blob(
    repository: RepositoryName,
    digest: Digest,
    { start, signal }: { readonly start: number; readonly signal: AbortSignal },
  ): Promise<UpstreamBlob> {
    const range = start > 0 ? { range: `bytes=${start}-` } : undefined;
    const request = {
      ...this.#request('GET', repository, `blobs/${digest}`, signal, range),
      expect: [200, 206],
    };
    return this.#ask(request, async (answer) => {
      const place = placeOf(answer, start);
      // It may break before anybody reads it.
      answer.body.on('error', () => undefined);
      if (typeof place !== 'string') return { ...place, body: this.#read(request, answer.body) };
      answer.body.destroy();
      throw new UpstreamError('invalid', `${this.#name(request)}: ${place}`, { status: answer.status });
    });
  }

  tags(repository: RepositoryName, query: URLSearchParams, signal: AbortSignal): Promise<UpstreamPage> {
    const request = this.#request('GET', repository, `tags/list${search(query)}`, signal);
    return this.#ask(request, (answer) => this.#page(request, answer));
  }

  async referrers(
    repository: RepositoryName,
    digest: Digest,
    query: URLSearchParams,
    signal: AbortSignal,
  ): Promise<ReferrersPage | undefined> {
    const request = {
      ...this.#request('GET', repository, `referrers/${digest}${search(query)}`, signal),
      expect: [200, 404, ...UNKNOWN_METHOD],
    };
    const page = await this.#ask(request, async (answer) => {
      if (answer.status === 200 && isIndex(answer.headers['content-type'] ?? '')) {
        const filtersApplied = answer.headers['oci-filters-applied'];
        return {
          ...(await this.#page(request, answer)),
          ...(filtersApplied !== undefined && { filtersApplied }),
        };
      }
      await answer.body.dump();
      return undefined;
    });
    return page ?? this.#fallbackList(repository, digest, signal);
  }

  /** OCI distribution-spec, "Referrers Tag Schema". */
  async #fallbackList(
    repository: RepositoryName,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<UpstreamPage | undefined> {
    try {
      const { bytes, mediaType } = await this.#manifest(repository, fallbackTag(digest), signal);
      return isIndex(mediaType) ? { bytes, mediaType } : undefined;
    } catch (error) {
      if (error instanceof UpstreamError && error.kind === 'not-found') return undefined;
      throw error;
    }
  }

  #manifest(repository: RepositoryName, reference: string, signal: AbortSignal): Promise<UpstreamManifest> {
    const request = {
      ...this.#request('GET', repository, `manifests/${reference}`, signal, { accept: ACCEPT_MANIFESTS }),
      counted: true,
    };
    return this.#ask(request, async (answer) => {
      const bytes = await this.#whole(request, answer, LARGEST_MANIFEST_BYTES);
      const { headers } = answer;
      const named = parseDigest(reference) ?? parseDigest(headers['docker-content-digest'] ?? '');
      const digest = named ?? digestOf(bytes);
      if (digestOf(bytes, digestAlgorithm(digest)) !== digest) {
        throw new UpstreamError('invalid', `${this.#name(request)}: the bytes are not those of ${digest}`);
      }
      if (parseDigest(reference) === undefined) this.#assertDocument(request, bytes);
      return { digest, mediaType: bareMediaType(headers['content-type'] ?? ''), bytes };
    });
  }

  async #page(request: UpstreamRequest, answer: ClientAnswer): Promise<UpstreamPage> {
    const bytes = await this.#whole(request, answer, LONGEST_PAGE);
    this.#assertDocument(request, bytes);
    const link = nextPage(answer.headers['link']);
    const next = link === undefined ? undefined : URL.parse(link, this.#url)?.searchParams;
    return { bytes, mediaType: bareMediaType(answer.headers['content-type'] ?? ''), ...(next && { next }) };
  }

  async #whole(request: UpstreamRequest, { body }: ClientAnswer, most: number): Promise<Buffer> {
    const bytes = await readBody(body, most).catch((cause: unknown) => {
      throw new TransientError(`${this.#name(request)}: ${messageOf(cause)}`, { cause });
    });
    if (bytes !== undefined) return bytes;
    throw new UpstreamError('invalid', `${this.#name(request)}: the answer is longer than ${most} bytes`);
  }

  /** A network that wants a login answers everything with a page of its own. @throws UpstreamError */
  #assertDocument(request: UpstreamRequest, bytes: Buffer): void {
    if (isObject(bytes)) return;
    throw new UpstreamError('invalid', `${this.#name(request)}: the answer is no JSON object`);
  }

  async *#read(request: UpstreamRequest, body: ClientAnswer['body']): AsyncIterable<Uint8Array> {
    try {
      yield* body as AsyncIterable<Buffer>; // a body is a stream of bytes
    } catch (cause) {
      request.signal.throwIfAborted();
      throw new UpstreamError('unavailable', `${this.#name(request)}: ${messageOf(cause)}`, { cause });
    } finally {
      body.destroy();
    }
  }

  #request(
    method: 'GET' | 'HEAD',
    repository: RepositoryName,
    path: string,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
  ): UpstreamRequest {
    return {
      method,
      target: `/v2/${repository}/${path}`,
      scopes: [pull(repository)],
      headers: { 'accept-encoding': 'identity', ...headers },
      signal,
      expect: [200],
    };
  }

  /** @param take what is made of the answer; where that breaks, it is asked for again. @throws UpstreamError */
  async #ask<T>(request: UpstreamRequest, take: (answer: ClientAnswer) => Promise<T>): Promise<T> {
    const retry = { ...this.#retry, signal: request.signal };
    const ask = async (): Promise<T> => {
      try {
        const taken = await withRetries(retry, async () => take(await this.#once(request)));
        this.#note(undefined);
        return taken;
      } catch (error) {
        request.signal.throwIfAborted();
        const known = asUpstreamError(error);
        this.#note(known);
        throw known;
      }
    };
    const pass = (): Promise<T> => this.#requests.run((error) => !(error instanceof PullLimitError), ask);
    request.signal.throwIfAborted();
    return request.counted ? this.#pulls.run((error) => error instanceof PullLimitError, pass) : pass();
  }

  /** @throws UpstreamError for good; RegistryRefusal by its status; TransientError for what is worth another attempt. */
  async #once(request: UpstreamRequest): Promise<ClientAnswer> {
    const http = await this.#connection.http().catch((cause: unknown) => {
      throw new UpstreamError('unavailable', `${this.host}: ${messageOf(cause)}`, { cause });
    });
    const answer = await http.answer(request).catch((error: unknown) => {
      if (!(error instanceof RegistryRefusal)) throw error;
      this.#connection.wasRefused();
      // Whoever may not log in is refused, in whatever words.
      throw new UpstreamError('denied', error.message, { status: error.status });
    });
    const { status, headers } = answer;
    const remaining = Number.parseInt(headers['ratelimit-remaining'] ?? '', 10);
    if (!Number.isNaN(remaining)) this.#rateLimitRemaining = remaining;
    if (request.expect.includes(status)) return answer;
    if (answer.own && status === 401) this.#connection.wasRefused();
    const error = await http.refusal(request, answer);
    const { message } = error;
    const retryAfter = error instanceof TransientError ? error.retryAfter : 0;
    if (status === 429) {
      const ofPulls = request.counted && (remaining === 0 || /pull rate limit/i.test(message));
      throw new (ofPulls ? PullLimitError : UpstreamError)('busy', message, { status, retryAfter });
    }
    if (retryAfter > 0) throw new UpstreamError('unavailable', message, { status, retryAfter });
    // Not the registry refuses, but the store that it sent us to: a signature has run out.
    if (!answer.own && [401, 403].includes(status)) throw new TransientError(message, { status });
    throw error;
  }

  #note(error: UpstreamError | undefined): void {
    this.#reachable = error?.kind !== 'unavailable';
    // Who comes without credentials is refused what is not there.
    const isUsual = error?.kind === 'not-found' || (error?.kind === 'denied' && !this.#hasCredentials);
    this.#lastError = isUsual ? undefined : error?.message;
  }

  #name({ method, target }: UpstreamRequest): string {
    return `${method} ${this.#url.host}${target}`;
  }
}

const BUSY: ReadonlySet<number | undefined> = new Set([408, 425, 429]);

function asUpstreamError(error: unknown): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const cause = error;
  if (error instanceof TransientError) {
    const { message, status } = error;
    const kind = BUSY.has(status) ? 'busy' : 'unavailable';
    return new UpstreamError(kind, message, { cause, ...(status !== undefined && { status }) });
  }
  if (!(error instanceof RegistryRefusal)) return new UpstreamError('invalid', messageOf(error), { cause });
  const { message, status } = error;
  if (status === 404 || status === 410) return new UpstreamError('not-found', message, { status, cause });
  const denied = status === 401 || status === 403;
  return new UpstreamError(denied ? 'denied' : 'invalid', message, { status, cause });
}

/** Where the bytes of an answer belong, or what is wrong with it. */
function placeOf(
  { status, headers }: ClientAnswer,
  start: number,
): { readonly size: number; readonly start: number } | string {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') return `it came as ${encoding}`;
  if (status === 200) {
    const size = parseSize(headers['content-length']);
    return size === undefined ? 'it came without a length' : { size, start: 0 };
  }
  const range = /^bytes (\d+)-\d+\/(\d+)$/i.exec(headers['content-range'] ?? '');
  if (range === null || Number(range[1]) !== start) return 'another part came than was asked for';
  return { size: Number(range[2]), start };
}

function isObject(bytes: Buffer): boolean {
  try {
    const document: unknown = JSON.parse(bytes.toString());
    return typeof document === 'object' && document !== null && !Array.isArray(document);
  } catch {
    return false;
  }
}

function parseSize(header: string | undefined): number | undefined {
  return /^\d+$/.test(header ?? '') ? Number(header) : undefined;
}

function isIndex(contentType: string): boolean {
  const mediaType = bareMediaType(contentType);
  return isManifestMediaType(mediaType) && isIndexMediaType(mediaType);
}

function search(query: URLSearchParams): string {
  return query.size === 0 ? '' : `?${query.toString()}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
