import { resourceOf } from '../stored-object.ts';
import type { JsonObject, Kind } from '../kind.ts';
import { forbiddenField, notOneOf } from '../kinds/read.ts';
import { parseFieldSelector, parseLabelSelector, type Matcher } from '../selectors.ts';
import { badRequest, expired, invalid } from '../status-error.ts';
import { ForgottenError, type Store } from '../store.ts';

/** What a list or watch asks for. */
export interface ListOptions {
  readonly matches: Matcher;
  /** 0 when it says nothing. */
  readonly resourceVersion: number;
  readonly isWatch: boolean;
  readonly allowBookmarks: boolean;
  readonly timeoutSeconds: number | undefined;
}

/** Every list is whole, as the API allows it: `limit` is only a wish. @throws {StatusError} 400, 422 */
export function parseListOptions(kind: Kind, query: URLSearchParams): ListOptions {
  // As Go reads them: anything but these is true.
  const isTrue = (name: string) => !['false', '0'].includes(query.get(name) ?? 'false');
  const errors = [
    // Clients then list before they watch.
    ...(isTrue('sendInitialEvents')
      ? [forbiddenField('sendInitialEvents', 'this server begins no watch with a list')]
      : []),
    ...notOneOf('continue', query.get('continue') ?? '', ['']),
    ...notOneOf('resourceVersionMatch', query.get('resourceVersionMatch') ?? '', ['', 'NotOlderThan']),
  ];
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors);
  const byLabel = parseLabelSelector(query.get('labelSelector') ?? '');
  const byField = parseFieldSelector(kind, query.get('fieldSelector') ?? '');
  return {
    resourceVersion: wholeNumber(query, 'resourceVersion') ?? 0,
    isWatch: isTrue('watch'),
    timeoutSeconds: wholeNumber(query, 'timeoutSeconds'),
    allowBookmarks: isTrue('allowWatchBookmarks'),
    matches: (object) => byLabel(object) && byField(object),
  };
}

/** @throws {StatusError} 400 */
export function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? '';
  if (text === '') return undefined;
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
}

interface List {
  readonly objects: readonly JsonObject[];
  readonly revision: number;
}

/** What there is, of one state. `staleBy`: how many revisions a stale answer lies back. @throws {StatusError} 410 */
export function listObjects(
  store: Store,
  kind: Kind,
  namespace: string | undefined,
  { matches, resourceVersion }: ListOptions,
  staleBy = 0,
): List {
  if (resourceVersion > store.revision) throw expired(`resourceVersion ${resourceVersion} is still to come`);
  const prefix = namespace === undefined ? '' : `${namespace}/`;
  const revision = store.revision - staleBy;
  try {
    const entries = store.listAt(resourceOf(kind), prefix, revision);
    return { objects: entries.map(([, object]) => object).filter(matches), revision };
  } catch (error) {
    if (!(error instanceof ForgottenError)) throw error;
    throw expired(`too old resource version: ${revision} (${error.oldest})`);
  }
}
