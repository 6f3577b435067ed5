import { RegistryError } from '../errors.ts';
import { listRepositories } from '../storage/catalog.ts';
import type { Exchange } from './exchange.ts';
import type { HandlerContext } from './handler-context.ts';
import type { RouteOf } from './route.ts';

/** What docker distribution answers with when no `n` is given. */
const CATALOG_PAGE = 100;

/** GET /v2/<name>/tags/list?n=&last=. Without `n` all tags. "Listing Tags". */
export async function listTags(
  exchange: Exchange,
  route: RouteOf<'tags'>,
  context: HandlerContext,
): Promise<void> {
  answerTags(exchange, route, await context.tags.list(route.repository), context);
}

/** Answers with the page of tags that is asked for. @param all sorted bytewise @param headers of the answer, beside its own */
export function answerTags(
  exchange: Exchange,
  { repository }: RouteOf<'tags'>,
  all: readonly string[],
  { links, tagsMaxPage }: Pick<HandlerContext, 'links' | 'tagsMaxPage'>,
  headers: Readonly<Record<string, string>> = {},
): void {
  const wanted = pageSize(exchange.query);
  const last = exchange.query.get('last');
  const rest = last === null ? all : all.slice(firstAfter(all, last));
  const limit = wanted === undefined ? rest.length : Math.min(wanted, tagsMaxPage);
  const tags = rest.slice(0, limit);
  const path = `${links.prefix}/v2/${repository}/tags/list`;
  const next = rest.length > limit ? nextPage(path, tags.at(-1), limit) : {};
  exchange.answerJson(200, { name: repository, tags }, { ...headers, ...next });
}

/** GET /v2/_catalog?n=&last=: docker distribution's list of repositories. */
export async function listCatalog(
  exchange: Exchange,
  context: Pick<HandlerContext, 'driver' | 'links' | 'catalogMaxEntries'>,
): Promise<void> {
  const limit = pageSize(exchange.query) ?? Math.min(CATALOG_PAGE, context.catalogMaxEntries);
  if (limit > context.catalogMaxEntries) {
    throw new RegistryError({
      code: 'PAGINATION_NUMBER_INVALID',
      message: `n is at most ${context.catalogMaxEntries}`,
      detail: { n: limit },
    });
  }
  const last = exchange.query.get('last');
  // One more than wanted tells whether there is a next page.
  const options = {
    ...(last !== null && { last }),
    limit: limit === 0 ? 0 : limit + 1,
    isWanted: (repository: string) => exchange.grant.permits(repository, 'list'),
  };
  const found = await listRepositories(context.driver, options);
  const repositories = found.slice(0, limit);
  const more = found.length > limit;
  const headers = more ? nextPage(`${context.links.prefix}/v2/_catalog`, repositories.at(-1), limit) : {};
  exchange.answerJson(200, { repositories }, headers);
}

function pageSize(query: URLSearchParams): number | undefined {
  const text = query.get('n');
  if (text === null || text === '') return undefined;
  const size = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(size)) return size;
  throw new RegistryError({ code: 'PAGINATION_NUMBER_INVALID', detail: { n: text } });
}

/** Index of the first name that sorts after `last`, which need not be there. Names are ASCII, so `>` is bytewise. */
function firstAfter(names: readonly string[], last: string): number {
  const index = names.findIndex((name) => name > last);
  return index === -1 ? names.length : index;
}

/** RFC 8288, with a path, as docker distribution writes it. An empty page has no next one: it would not move. */
function nextPage(path: string, last: string | undefined, limit: number): Record<string, string> {
  if (last === undefined) return {};
  const query = new URLSearchParams({ last, n: String(limit) });
  return { link: `<${path}?${query.toString()}>; rel="next"` };
}
