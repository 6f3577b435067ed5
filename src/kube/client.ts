import { apiErrorFromResponse, apiErrorFromStatus, isNotFound, type ApiError } from './api-error.ts';
import { readJsonLines } from './json-lines.ts';
import { formatKey, keyOf, type KubeObject, type ObjectKey, type ObjectMeta, type Stored } from './object.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import type { Transport } from './transport.ts';

export type Subresource = 'status';

/** An object with the fields that one manager wants to own; what is left out belongs to others. */
export type ApplyFields<T extends KubeObject> = Partial<Omit<T, 'apiVersion' | 'kind' | 'metadata'>> & {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
};

/** A JSON merge patch (RFC 7386): null removes, lists are replaced whole. */
export type MergePatch = Readonly<Record<string, unknown>>;

export interface Selection {
  /** Absent: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface ListOptions extends Selection {
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

export interface WatchOptions extends Selection {
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

export interface WriteOptions {
  readonly subresource?: Subresource | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ApplyOptions extends WriteOptions {
  /** Instead of the client's own. Status takes a manager of its own, so that a spec apply never drops it. */
  readonly fieldManager?: string | undefined;
  /** False: a field that another manager owns is a conflict (409). True by default, as controllers do. */
  readonly force?: boolean | undefined;
}

export interface DeleteOptions {
  /** Delete this very object and no successor of the same name: ApiError 409 otherwise. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
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
