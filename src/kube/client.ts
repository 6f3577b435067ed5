import { apiErrorFromStatus, isNotFound, type ApiError } from './api-error.ts';
import { readJsonLines } from './json-lines.ts';
import type { KubeObject, ObjectKey, ObjectMeta, Stored } from './object.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import type { Transport } from './transport.ts';

type Subresource = 'status';

/** An object with the fields that one manager wants to own; what is left out belongs to others. */
export type ApplyFields<T extends KubeObject> = Partial<Omit<T, 'apiVersion' | 'kind' | 'metadata'>> & {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
};

/** A JSON merge patch (RFC 7386): null removes, lists are replaced whole. */
type MergePatch = Readonly<Record<string, unknown>>;

export interface Selection {
  /** Absent: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

interface ListOptions extends Selection {
  readonly limit?: number | undefined;
  /** From the previous page. The server forgets them after some minutes: ApiError 410. */
  readonly continue?: string | undefined;
  /** `0` reads any state the server has at hand; absent reads the newest. */
  readonly resourceVersion?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ListPage<T extends KubeObject> {
  readonly items: readonly Stored<T>[];
  /** Of the list as a whole: what a watch continues from. */
  readonly resourceVersion: string;
  /** Absent on the last page. */
  readonly continue: string | undefined;
}

interface WatchOptions extends Selection {
  /** Of a list, a bookmark or the last event. */
  readonly resourceVersion: string;
  /** The server ends the watch after this long. */
  readonly timeoutSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Stored<T> }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ERROR'; readonly error: ApiError };

interface WriteOptions {
  readonly subresource?: Subresource | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface ApplyOptions extends WriteOptions {
  /** Instead of the client's own. Status takes a manager of its own, so that a spec apply never drops it. */
  readonly fieldManager?: string | undefined;
  /** False: a field that another manager owns is a conflict (409). True by default, as controllers do. */
  readonly force?: boolean | undefined;
}

interface DeleteOptions {
  /** Delete this very object and no successor of the same name: ApiError 409 otherwise. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  /** Of a pod: 0 removes the object at once, which is for the node that has ended the pod's processes. */
  readonly gracePeriodSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The API server, typed by kind. Every call throws ApiError for an answer that is no success, and what the network
 * threw otherwise; 429 and 503 with Retry-After have then been retried, and so has a reset connection where that is
 * safe.
 */
export interface KubeClient {
  /** Throws ApiError 404 when there is none. */
  get<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Stored<T>>;
  /** As get, but undefined when there is none. */
  find<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Stored<T> | undefined>;
  /** One page. */
  list<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Promise<ListPage<T>>;
  /** All pages (500 objects each unless `limit` says otherwise), of one consistent state. */
  listAll<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Promise<ListPage<T>>;
  create<T extends KubeObject>(
    type: ResourceType<T>,
    object: ApplyFields<T>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Stored<T>>;
  /** Server-side apply: makes the object or takes over the fields given, and drops what was applied before and is not given now. */
  apply<T extends KubeObject>(
    type: ResourceType<T>,
    object: ApplyFields<T>,
    options?: ApplyOptions,
  ): Promise<Stored<T>>;
  /** JSON merge patch. With `metadata.resourceVersion` in it, ApiError 409 when the object has changed since. */
  patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: MergePatch,
    options?: WriteOptions,
  ): Promise<Stored<T>>;
  /** True when the deletion was accepted, false when there was nothing to delete. */
  delete<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options?: DeleteOptions,
  ): Promise<boolean>;
  /** Changes after `resourceVersion`, bookmarks included. Ends when the server ends it; throws when it breaks. */
  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
}

const PAGE_SIZE = 500;

export function createKubeClient(options: {
  readonly transport: Transport;
  /** Who owns the fields that `apply` sends. Fixed for the life of a product: a new name owns nothing of the old one. */
  readonly fieldManager: string;
}): KubeClient {
  return new HttpKubeClient(options.transport, options.fieldManager);
}

class HttpKubeClient implements KubeClient {
  readonly #transport: Transport;
  readonly #fieldManager: string;

  constructor(transport: Transport, fieldManager: string) {
    this.#transport = transport;
    this.#fieldManager = fieldManager;
  }

  async get<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Stored<T>> {
    return this.#exchange(type, { method: 'GET', path: objectPath(type, key), signal: options.signal });
  }

  async find<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Stored<T> | undefined> {
    try {
      return await this.get(type, key, options);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<ListPage<T>> {
    const query = selectionQuery(options);
    if (options.limit !== undefined) query.set('limit', String(options.limit));
    if (options.continue !== undefined) query.set('continue', options.continue);
    if (options.resourceVersion !== undefined) query.set('resourceVersion', options.resourceVersion);
    const answer = await this.#transport.exchange({
      method: 'GET',
      path: collectionPath(type, options.namespace),
      query,
      signal: options.signal,
    });
    return parseList(type, answer);
  }

  async listAll<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions = {},
  ): Promise<ListPage<T>> {
    const items: Stored<T>[] = [];
    let page = await this.list(type, { limit: PAGE_SIZE, ...options });
    items.push(...page.items);
    while (page.continue !== undefined) {
      // A continue token carries the state it belongs to; the server refuses another resourceVersion beside it.
      page = await this.list(type, {
        limit: PAGE_SIZE,
        ...options,
        resourceVersion: undefined,
        continue: page.continue,
      });
      items.push(...page.items);
    }
    return { items, resourceVersion: page.resourceVersion, continue: undefined };
  }

  async create<T extends KubeObject>(
    type: ResourceType<T>,
    object: ApplyFields<T>,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Stored<T>> {
    return this.#exchange(type, {
      method: 'POST',
      path: collectionPath(type, requireNamespace(type, object.metadata)),
      query: new URLSearchParams({ fieldManager: this.#fieldManager }),
      body: stamped(type, object),
      signal: options.signal,
    });
  }

  async apply<T extends KubeObject>(
    type: ResourceType<T>,
    object: ApplyFields<T>,
    options: ApplyOptions = {},
  ): Promise<Stored<T>> {
    return this.#exchange(type, {
      method: 'PATCH',
      path: objectPath(type, object.metadata, options.subresource),
      query: new URLSearchParams({
        fieldManager: options.fieldManager ?? this.#fieldManager,
        force: String(options.force ?? true),
      }),
      contentType: 'application/apply-patch+yaml',
      body: stamped(type, object),
      signal: options.signal,
    });
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: MergePatch,
    options: WriteOptions = {},
  ): Promise<Stored<T>> {
    return this.#exchange(type, {
      method: 'PATCH',
      path: objectPath(type, key, options.subresource),
      query: new URLSearchParams({ fieldManager: this.#fieldManager }),
      contentType: 'application/merge-patch+json',
      body: patch,
      signal: options.signal,
    });
  }

  async delete<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<boolean> {
    const { uid, resourceVersion } = options;
    try {
      await this.#transport.exchange({
        method: 'DELETE',
        path: objectPath(type, key),
        body: {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          propagationPolicy: options.propagationPolicy,
          gracePeriodSeconds: options.gracePeriodSeconds,
          ...(uid === undefined && resourceVersion === undefined
            ? {}
            : { preconditions: { uid, resourceVersion } }),
        },
        signal: options.signal,
      });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async *watch<T extends KubeObject>(
    type: ResourceType<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const query = selectionQuery(options);
    query.set('watch', 'true');
    query.set('allowWatchBookmarks', 'true');
    query.set('resourceVersion', options.resourceVersion);
    if (options.timeoutSeconds !== undefined) query.set('timeoutSeconds', String(options.timeoutSeconds));
    const body = await this.#transport.open({
      method: 'GET',
      path: collectionPath(type, options.namespace),
      query,
      signal: options.signal,
    });
    for await (const line of readJsonLines(body)) yield parseWatchEvent(type, line);
  }

  async #exchange<T extends KubeObject>(
    type: ResourceType<T>,
    request: Parameters<Transport['exchange']>[0],
  ): Promise<Stored<T>> {
    return parseObject(type, await this.#transport.exchange(request));
  }
}

function selectionQuery(selection: Selection): URLSearchParams {
  const query = new URLSearchParams();
  if (selection.labelSelector !== undefined) query.set('labelSelector', selection.labelSelector);
  if (selection.fieldSelector !== undefined) query.set('fieldSelector', selection.fieldSelector);
  return query;
}

function collectionPath<T extends KubeObject>(type: ResourceType<T>, namespace: string | undefined): string {
  const root = type.group === '' ? '/api/' : '/apis/';
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${apiVersionOf(type)}${scope}/${type.plural}`;
}

function objectPath<T extends KubeObject>(
  type: ResourceType<T>,
  key: ObjectKey,
  subresource?: Subresource,
): string {
  const path = `${collectionPath(type, requireNamespace(type, key))}/${encodeURIComponent(key.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** A name without its namespace would reach another collection, so it is a fault of the caller, found before sending. */
function requireNamespace<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): string | undefined {
  if (type.namespaced !== (key.namespace !== undefined)) {
    throw new TypeError(`${type.kind} ${key.name} ${type.namespaced ? 'needs' : 'has no'} namespace`);
  }
  return key.namespace;
}

function stamped<T extends KubeObject>(type: ResourceType<T>, object: ApplyFields<T>): object {
  return { ...object, apiVersion: apiVersionOf(type), kind: type.kind };
}

function parseList<T extends KubeObject>(type: ResourceType<T>, answer: unknown): ListPage<T> {
  const { metadata, items } = asRecord(answer);
  const { resourceVersion, continue: next } = asRecord(metadata);
  if (!Array.isArray(items) || typeof resourceVersion !== 'string') {
    throw new Error(`the API server's list of ${type.plural} is not a list`);
  }
  return {
    items: items.map((item) => parseObject(type, item)),
    resourceVersion,
    continue: typeof next === 'string' && next !== '' ? next : undefined,
  };
}

function parseWatchEvent<T extends KubeObject>(type: ResourceType<T>, line: unknown): WatchEvent<T> {
  const event = asRecord(line);
  switch (event['type']) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event['type'], object: parseObject(type, event['object']) };
    case 'BOOKMARK': {
      const { resourceVersion } = asRecord(asRecord(event['object'])['metadata']);
      if (typeof resourceVersion !== 'string') throw new Error('a bookmark without a resourceVersion');
      return { type: 'BOOKMARK', resourceVersion };
    }
    case 'ERROR':
      return { type: 'ERROR', error: apiErrorFromStatus(event['object']) };
    default:
      throw new Error(`a watch event of unknown type ${JSON.stringify(event['type'])}`);
  }
}

/** Checks the identity of an object; lists leave out `apiVersion` and `kind` of built-in kinds, so they are set here. */
function parseObject<T extends KubeObject>(type: ResourceType<T>, value: unknown): Stored<T> {
  const object = asRecord(value);
  const metadata = asRecord(object['metadata']);
  for (const field of ['name', 'uid', 'resourceVersion']) {
    if (typeof metadata[field] !== 'string')
      throw new Error(`the API server's ${type.kind} has no metadata.${field}`);
  }
  // The rest has been validated against the kind's schema by the API server.
  return { ...object, apiVersion: apiVersionOf(type), kind: type.kind } as unknown as Stored<T>;
}

function asRecord(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null)
    throw new Error('the API server sent JSON of another shape');
  // A JSON object; arrays pass too and then lack every field that is asked for.
  return value as Record<string, unknown>;
}
