import { metaOf, resourceOf } from '../stored-object.ts';
import { fieldOf } from '../fields/json.ts';
import type { FieldError, Json, JsonObject, Kind } from '../kind.ts';
import { forbiddenField, notOneOf } from '../kinds/read.ts';
import { parseFieldSelector, parseLabelSelector, type Matcher } from '../selectors.ts';
import { badRequest, internal, invalid, StatusError } from '../status-error.ts';
import { ForgottenError, type Store } from '../store.ts';

/** What a list or watch asks for. */
export interface ListOptions {
  readonly matches: Matcher;
  readonly hasSelector: boolean;
  readonly limit: number;
  readonly continue: string;
  readonly resourceVersion: string;
  readonly isWatch: boolean;
  readonly allowBookmarks: boolean;
  readonly timeoutSeconds: number | undefined;
}

/** @throws {StatusError} 400, 422 */
export function parseListOptions(kind: Kind, query: URLSearchParams): ListOptions {
  // As Go reads them: anything but these is true.
  const isTrue = (name: string) => !['false', '0'].includes(query.get(name) ?? 'false');
  const errors: FieldError[] = [
    // Clients then list before they watch.
    ...(isTrue('sendInitialEvents')
      ? [forbiddenField('sendInitialEvents', 'this server begins no watch with a list')]
      : []),
    ...notOneOf('resourceVersionMatch', query.get('resourceVersionMatch') ?? '', ['', 'NotOlderThan']),
  ];
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors);
  const [labels, fields] = [query.get('labelSelector') ?? '', query.get('fieldSelector') ?? ''];
  const byLabel = parseLabelSelector(labels);
  const byField = parseFieldSelector(kind, fields);
  return {
    resourceVersion: query.get('resourceVersion') ?? '',
    continue: query.get('continue') ?? '',
    isWatch: isTrue('watch'),
    limit: integer(query, 'limit') ?? 0,
    timeoutSeconds: integer(query, 'timeoutSeconds'),
    allowBookmarks: isTrue('allowWatchBookmarks'),
    hasSelector: labels !== '' || fields !== '',
    matches: (object) => byLabel(object) && byField(object),
  };
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** A resourceVersion as a number; 0 when it says nothing. @throws {StatusError} 400, or 500 of a watch */
export function parseVersion(version: string, isWatch: boolean): number {
  if (version === '') return 0;
  if (/^\d+$/.test(version)) return Number(version);
  const value = JSON.stringify(version);
  const message = `resourceVersion: Invalid value: ${value}: strconv.ParseUint: parsing ${value}: invalid syntax`;
  throw isWatch ? internal(message) : badRequest(`invalid resource version: ${message}`);
}

export interface Page {
  readonly objects: readonly JsonObject[];
  readonly metadata: JsonObject;
}

/** One page of a list, of one state. `staleBy`: how many revisions a stale answer lies back. @throws {StatusError} */
export function listPage(
  store: Store,
  kind: Kind,
  namespace: string | undefined,
  options: ListOptions,
  staleBy: number,
): Page {
  const prefix = namespace === undefined ? '' : `${namespace}/`;
  const token = options.continue === '' ? undefined : parseToken(options.continue);
  parseVersion(options.resourceVersion, false);
  checkNotAhead(store, options.resourceVersion);
  // A token that comes with a refusal goes on from its place in the present state.
  const isFixed = token !== undefined && token.revision >= 0;
  const revision = isFixed ? token.revision : store.revision - staleBy;
  let entries: ReturnType<Store['list']>;
  try {
    entries =
      revision === store.revision
        ? store.list(resourceOf(kind), prefix)
        : store.listAt(resourceOf(kind), prefix, revision);
  } catch (error) {
    if (!(error instanceof ForgottenError)) throw error;
    throw expiredToken(token ?? { revision, start: '' });
  }
  const start = token?.start ?? '';
  const found = entries.filter(
    ([key, object]) => key.slice(prefix.length) >= start && options.matches(object),
  );
  const isCut = options.limit > 0 && found.length > options.limit;
  const page = isCut ? found.slice(0, options.limit) : found;
  const last = page.at(-1)?.[0].slice(prefix.length) ?? '';
  return {
    objects: page.map(([, object]) => object),
    metadata: {
      resourceVersion: String(revision),
      ...(isCut && { continue: formatToken({ revision, start: `${last}\0` }) }),
      // As the API server, which would have to look at them all to tell.
      ...(isCut && !options.hasSelector && { remainingItemCount: found.length - page.length }),
    },
  };
}

interface Token {
  readonly revision: number;
  readonly start: string;
}

function formatToken({ revision, start }: Token): string {
  const token = { v: 'meta.k8s.io/v1', rv: revision, start: `/${start}` };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function parseToken(text: string): Token {
  try {
    const token = JSON.parse(Buffer.from(text, 'base64url').toString()) as Json;
    const [rv, start] = ['rv', 'start'].map((name) => fieldOf(token, name));
    if (typeof rv === 'number' && typeof start === 'string') return { revision: rv, start: start.slice(1) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw badRequest('invalid continue token: continue key is not valid: it is none of this server');
}

function expiredToken(token: Token): StatusError {
  const message =
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';
  return new StatusError({
    code: 410,
    reason: 'Expired',
    message,
    metadata: { continue: formatToken({ ...token, revision: -1 }) },
  });
}

/** @throws {StatusError} 504 for a resourceVersion that is still to come */
export function checkNotAhead(store: Store, version: string): void {
  const wanted = Number(version);
  const current = store.revision;
  if (!(wanted > current)) return;
  throw new StatusError({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: Too large resource version: ${wanted}, current: ${current}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}

/** Whether an object is in a namespace; all are when none is given. */
export function isIn(object: JsonObject, namespace: string | undefined): boolean {
  return namespace === undefined || metaOf(object)['namespace'] === namespace;
}
