import { mediaTypes } from '../oci/media-type.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/repository-name.ts';
import type { Tag } from '../oci/tag.ts';
import type { AccessController } from '../registry/auth/access-controller.ts';
import { RegistryError, type ErrorCode } from '../registry/errors.ts';
import { authorize } from '../registry/http/access.ts';
import type { Api } from '../registry/http/app.ts';
import { blobHeaders, matchesEtag, sendBlob } from '../registry/http/blobs.ts';
import type { CacheOutcome, Exchange } from '../registry/http/exchange.ts';
import type { Links } from '../registry/http/links.ts';
import { answerTags, listCatalog } from '../registry/http/listings.ts';
import type { Route, RouteOf } from '../registry/http/route.ts';
import type { EventSink } from '../registry/notifications/event-sink.ts';
import type { StorageDriver } from '../registry/storage/driver.ts';
import type { MirrorCache } from './cache/mirror-cache.ts';
import type { FoundPage, Lists } from './lists.ts';
import type { Manifests } from './manifests.ts';
import type { AnswerType, MirrorMetrics } from './mirror-metrics.ts';
import type { MirroredRegistry } from './mirrored-registry.ts';
import type { Target } from './routing.ts';
import { UpstreamError, type ReferrersPage, type UpstreamPage } from './upstream.ts';
import { upstreamRefusal } from './upstream-refusal.ts';

export interface MirrorContext {
  readonly driver: StorageDriver;
  readonly cache: MirrorCache;
  readonly manifests: Manifests;
  readonly tags: Lists<UpstreamPage>;
  readonly referrers: Lists<ReferrersPage>;
  /** @throws RegistryError NAME_UNKNOWN */
  readonly route: (name: RepositoryName, ns: string | null) => Target<MirroredRegistry>;
  readonly links: Links;
  readonly events: EventSink;
  readonly metrics: MirrorMetrics;
  /** Largest `n` of a catalog request. */
  readonly catalogMaxEntries: number;
  /** Largest page of tags, where they are not the upstream's. */
  readonly tagsMaxPage: number;
  /** Ends what is asked of upstreams. */
  readonly stopped: AbortSignal;
}

type Found = Target<MirroredRegistry>;

/** What a mirror does: GET and HEAD, of whatever its upstreams have. docs/decisions/0019-mirror.md. */
export function mirrorApi(context: MirrorContext, controller: AccessController): Api {
  const api = new MirrorApi(context, controller);
  return {
    authorize: (exchange, route) => api.authorize(exchange, route),
    handlers: {
      base: { GET: (exchange) => exchange.answerJson(200, {}) },
      catalog: { GET: (exchange) => listCatalog(exchange, context) },
      tags: { GET: (exchange, route) => api.tags(exchange, route) },
      manifest: { GET: (exchange, route) => api.manifest(exchange, route) },
      blob: { GET: (exchange, route) => api.blob(exchange, route) },
      referrers: { GET: (exchange, route) => api.referrers(exchange, route) },
      uploads: {},
      upload: {},
    },
  };
}

class MirrorApi {
  readonly #context: MirrorContext;
  readonly #controller: AccessController;

  constructor(context: MirrorContext, controller: AccessController) {
    this.#context = context;
    this.#controller = controller;
  }

  /** Pushes are refused whoever asks. Names in rules of access are those of the storage. */
  async authorize(exchange: Exchange, route: Route): Promise<void> {
    const { links } = this.#context;
    const { method } = exchange.request;
    if (route.kind === 'base' || route.kind === 'catalog') {
      return authorize(exchange, route, this.#controller, links);
    }
    if ((method !== 'GET' && method !== 'HEAD') || route.kind === 'uploads' || route.kind === 'upload') {
      throw this.#takesNoPushes(exchange, route.repository);
    }
    const { stored, repository, upstream } = this.#target(exchange, route.repository);
    try {
      await authorize(exchange, { ...route, repository: stored }, this.#controller, links);
    } catch (error) {
      throw exchange.query.has('ns') ? unasked(error) : error;
    }
    if (upstream.allows(repository)) return;
    const message = `this mirror may not fetch ${repository} from ${upstream.host} (allowedrepositories)`;
    throw new RegistryError({ code: 'NAME_UNKNOWN', message, detail: { name: repository } });
  }

  /** GET and HEAD /v2/<name>/manifests/<reference>. */
  async manifest(exchange: Exchange, { repository, reference }: RouteOf<'manifest'>): Promise<void> {
    const { manifests, events } = this.#context;
    const target = this.#target(exchange, repository);
    const digest = parseDigest(reference);
    const { manifest, outcome, staleBecause } = await this.#ask(target, 'MANIFEST_UNKNOWN', () =>
      digest === undefined
        ? manifests.byTag(target, reference as Tag, exchange.signal) // no digest, so a tag
        : manifests.byDigest(target, digest, exchange.signal),
    );
    this.#note(exchange, target, 'manifest', outcome, staleBecause);
    const etag = `"${manifest.digest}"`;
    const headers = { 'docker-content-digest': manifest.digest, etag, ...warning(staleBecause) };
    if (matchesEtag(exchange.request.headers['if-none-match'], etag)) return exchange.answer(304, headers);
    events.record(exchange, {
      action: 'pull',
      repository: target.stored,
      manifest,
      ...(digest === undefined && { tag: reference }),
    });
    exchange.answer(200, { ...headers, 'content-type': manifest.mediaType }, manifest.bytes);
  }

  /** GET and HEAD /v2/<name>/blobs/<digest>. */
  async blob(exchange: Exchange, { repository, digest }: RouteOf<'blob'>): Promise<void> {
    const { cache, events } = this.#context;
    const target = this.#target(exchange, repository);
    const isHead = exchange.request.method === 'HEAD';
    const size = isHead ? cache.blobSize(target.stored, digest) : undefined;
    if (size !== undefined) {
      this.#note(exchange, target, 'blob', 'hit');
      return answerHead(exchange, digest, size);
    }
    const { upstream } = target.upstream;
    await using blob = await this.#ask(target, 'BLOB_UNKNOWN', () =>
      cache.openBlob(
        target.stored,
        digest,
        (start, signal) => upstream.blob(target.repository, digest, { start, signal }),
        exchange.signal,
      ),
    );
    exchange.cache = blob.outcome;
    const { etag } = blobHeaders(digest);
    try {
      if (isHead) answerHead(exchange, digest, blob.size);
      else if (matchesEtag(exchange.request.headers['if-none-match'], etag))
        exchange.answer(304, blobHeaders(digest));
      else
        await sendBlob(exchange, {
          digest,
          size: blob.size,
          read: (range) => this.#ask(target, 'BLOB_UNKNOWN', () => blob.read(range)),
        });
    } finally {
      this.#note(exchange, target, 'blob', blob.outcome);
    }
    events.record(exchange, {
      action: 'pull',
      repository: target.stored,
      blob: { digest, size: blob.size },
    });
  }

  /** GET /v2/<name>/tags/list: of the upstream, and of what is kept while that fails. */
  async tags(exchange: Exchange, route: RouteOf<'tags'>): Promise<void> {
    const { cache, links, stopped, tags, tagsMaxPage } = this.#context;
    const target = this.#target(exchange, route.repository);
    const query = forwarded(exchange.query, ['n', 'last']);
    const { repository, upstream } = target;
    try {
      const found = await tags.get(
        `${target.stored}?${query.toString()}`,
        upstream,
        () => upstream.upstream.tags(repository, query, stopped),
        exchange.signal,
      );
      this.#answerPage(exchange, target, found, `${links.prefix}/v2/${route.repository}/tags/list`);
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      const kept = cache.tags(target.stored);
      if (error.kind === 'not-found' || error.kind === 'denied' || kept.length === 0)
        throw upstreamRefusal(error, upstream.host, 'NAME_UNKNOWN');
      this.#note(exchange, target, 'list', 'stale', error);
      answerTags(exchange, route, kept, { links, tagsMaxPage }, warning(error));
    }
  }

  /** GET /v2/<name>/referrers/<digest>: of the upstream, which may have them under its fallback tag. */
  async referrers(exchange: Exchange, { repository, digest }: RouteOf<'referrers'>): Promise<void> {
    const { links, referrers, stopped } = this.#context;
    const target = this.#target(exchange, repository);
    const query = forwarded(exchange.query, ['artifactType', 'n', 'last']);
    const { upstream } = target;
    const found = await this.#ask(target, 'NAME_UNKNOWN', () =>
      referrers.get(
        `${target.stored}@${digest}?${query.toString()}`,
        upstream,
        async () =>
          (await upstream.upstream.referrers(target.repository, digest, query, stopped)) ?? NO_REFERRERS,
        exchange.signal,
      ),
    );
    const { filtersApplied } = found.page;
    this.#answerPage(exchange, target, found, `${links.prefix}/v2/${repository}/referrers/${digest}`, {
      ...(filtersApplied !== undefined && { 'oci-filters-applied': filtersApplied }),
    });
  }

  #answerPage(
    exchange: Exchange,
    target: Found,
    { page, outcome, staleBecause }: FoundPage<UpstreamPage>,
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    this.#note(exchange, target, 'list', outcome, staleBecause);
    const ns = exchange.query.get('ns');
    const next = page.next && new URLSearchParams([...page.next, ...(ns === null ? [] : [['ns', ns]])]);
    exchange.answer(
      200,
      {
        ...headers,
        ...warning(staleBecause),
        'content-type': page.mediaType,
        ...(next && { link: `<${path}?${next.toString()}>; rel="next"` }),
      },
      page.bytes,
    );
  }

  #target(exchange: Exchange, name: RepositoryName): Found {
    const ns = exchange.query.get('ns');
    const target = this.#context.route(name, ns);
    if (ns !== null) exchange.response.setHeader('oci-namespace', ns);
    return target;
  }

  /** @param unknown the code for what the upstream does not have. @throws RegistryError in place of UpstreamError */
  async #ask<T>({ upstream }: Found, unknown: ErrorCode, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof UpstreamError ? upstreamRefusal(error, upstream.host, unknown) : error;
    }
  }

  #note(
    exchange: Exchange,
    { upstream: { host } }: Found,
    type: AnswerType,
    outcome: CacheOutcome,
    staleBecause?: UpstreamError,
  ): void {
    exchange.cache = outcome;
    this.#context.metrics.answered({ host, type, outcome, bytes: exchange.sentBytes, staleBecause });
  }

  #takesNoPushes(exchange: Exchange, name: RepositoryName): RegistryError {
    const at = this.#whereToPush(exchange, name);
    const message = `this server is a mirror, which takes no pushes and deletes nothing: use ${at} instead`;
    return new RegistryError({ code: 'UNSUPPORTED', message }, { headers: { allow: 'GET, HEAD' } });
  }

  #whereToPush(exchange: Exchange, name: RepositoryName): string {
    try {
      const { upstream, repository } = this.#context.route(name, exchange.query.get('ns'));
      return `${upstream.host}/${repository}`;
    } catch {
      return 'the registry that the image is for';
    }
  }
}

/**
 * Only containerd names the upstream, and it answers a question for credentials with those that a pod has for the
 * upstream: it is refused without being asked, and goes on to the registry itself. docs/decisions/0019-mirror.md.
 */
function unasked(error: unknown): unknown {
  if (!(error instanceof RegistryError) || error.code !== 'UNAUTHORIZED') return error;
  const message =
    'this mirror knows its clients by a certificate, or by the header that hosts.toml gives them, and neither came';
  return new RegistryError({ code: 'DENIED', message });
}

/** For an upstream that knows no referrers. */
const NO_REFERRERS: ReferrersPage = {
  mediaType: mediaTypes.ociIndex,
  bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] })),
};

function answerHead(exchange: Exchange, digest: Digest, size: number): void {
  exchange.begin(200, { ...blobHeaders(digest), 'content-length': size });
  exchange.response.end();
}

/** Parameters that the upstream is given as well. */
function forwarded(query: URLSearchParams, names: readonly string[]): URLSearchParams {
  return new URLSearchParams([...query].filter(([name]) => names.includes(name)));
}

/** RFC 7234 §5.5: what is answered may not be true any more. */
function warning(staleBecause: UpstreamError | undefined): { readonly warning?: string } {
  if (staleBecause === undefined) return {};
  return { warning: '110 - "Response is Stale", 111 - "Revalidation Failed"' };
}
