import { Semaphore } from '../../../process/semaphore.ts';
import type { ByteRange } from '../driver.ts';
import { noBytes, rangeHeader } from '../object-store/byte-range.ts';
import { storeRefusal, type StoreAnswer } from '../object-store/store-client.ts';
import type { SwiftConnection } from './connection.ts';
import { child, items, parseJson, text } from './json.ts';

export interface SwiftObject {
  /** Bytes; of a large object those of the segments that the store lists. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
  /** Of a large object: what the names of its segments begin with. */
  readonly segments: string | undefined;
}

export type ListedName =
  /** `size` is 0 for a large object. */
  | { readonly kind: 'object'; readonly name: string; readonly size: number; readonly modifiedAt: number }
  | { readonly kind: 'prefix'; readonly name: string };

/** Names asked for at once. Every server allows that many. */
const PAGE = 1000;

/** Requests for one action that are on their way at once. */
const AT_ONCE = 16;

export interface ContainerOptions {
  readonly connection: SwiftConnection;
  readonly container: string;
  /** How many objects one request may delete; undefined when the store has no such request. */
  readonly deletesAtOnce: number | undefined;
}

/** The objects of one container, by their whole names. */
export class SwiftContainer {
  readonly #options: ContainerOptions;
  readonly #connection: SwiftConnection;

  constructor(options: ContainerOptions) {
    this.#options = options;
    this.#connection = options.connection;
  }

  async head(name: string): Promise<SwiftObject | undefined> {
    const answer = await this.#connection.fetch({ method: 'HEAD', object: name }, [404]);
    return answer.status === 404 ? undefined : objectOf(answer);
  }

  async get(name: string): Promise<Buffer | undefined> {
    const answer = await this.#connection.fetch({ method: 'GET', object: name }, [404]);
    return answer.status === 404 ? undefined : answer.body;
  }

  /** Bytes as they come: none for a range behind the end. */
  async read(name: string, range: ByteRange = { start: 0 }): Promise<AsyncIterable<Uint8Array> | undefined> {
    const headers = rangeHeader(range);
    const answer = await this.#connection.open({ method: 'GET', object: name, headers }, [404, 416]);
    if (answer.status === 404) return undefined;
    return Buffer.isBuffer(answer.body) ? noBytes() : answer.body;
  }

  /** @param headers more of them, as for a large object. */
  async put(name: string, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const type = { 'content-type': 'application/octet-stream' };
    await this.#connection.fetch({ method: 'PUT', object: name, headers: { ...type, ...headers }, body });
  }

  /** Makes a large object of the segments whose names begin so. */
  async putLargeObject(name: string, segments: string): Promise<void> {
    await this.put(name, Buffer.alloc(0), { 'x-object-manifest': `${this.#options.container}/${segments}` });
  }

  /** Copies an object that is not large. @returns false when `from` does not exist. */
  async copy(from: string, to: string): Promise<boolean> {
    const source = [this.#options.container, ...from.split('/')].map(encodeURIComponent).join('/');
    const answer = await this.#connection.fetch(
      { method: 'PUT', object: to, headers: { 'x-copy-from': source }, body: Buffer.alloc(0) },
      [404],
    );
    return answer.status !== 404;
  }

  /** Removes objects, and no segments of theirs. */
  async remove(names: readonly string[]): Promise<void> {
    const { deletesAtOnce } = this.#options;
    if (deletesAtOnce === undefined || names.length < 2) {
      await atOnce(names, (name) => this.#connection.fetch({ method: 'DELETE', object: name }, [404]));
      return;
    }
    for (let start = 0; start < names.length; start += deletesAtOnce) {
      await this.#removeTogether(names.slice(start, start + deletesAtOnce));
    }
  }

  /**
   * Names that begin with `prefix`, in their order; with `shallow` as a folder shows them.
   * @param limit the caller looks at no more.
   */
  async *list(
    prefix: string,
    { shallow, limit = PAGE }: { readonly shallow: boolean; readonly limit?: number },
  ): AsyncIterable<readonly ListedName[]> {
    const asked = Math.min(limit, PAGE);
    for (let marker = ''; ;) {
      const query = {
        format: 'json',
        limit: String(asked),
        prefix,
        ...(shallow && { delimiter: '/' }),
        marker,
      };
      const { body } = await this.#connection.fetch({ method: 'GET', query });
      const page = items(parseJson(body)).flatMap(listedName);
      if (page.length > 0) yield page;
      if (page.length < asked || limit < PAGE) return;
      marker = page.at(-1)?.name ?? '';
    }
  }

  async #removeTogether(names: readonly string[]): Promise<void> {
    const lines = names.map((name) =>
      [this.#options.container, ...name.split('/')].map(encodeURIComponent).join('/'),
    );
    const answer = await this.#connection.fetchAccount({
      method: 'POST',
      query: { 'bulk-delete': '' },
      headers: { 'content-type': 'text/plain', accept: 'application/json' },
      body: `${lines.join('\n')}\n`,
    });
    const result = parseJson(answer.body);
    const status = text(child(result, 'Response Status')) ?? 'no status';
    // 404 says that none of them was there.
    if (/^(?:2\d\d|404)/.test(status)) return;
    const failures = items(child(result, 'Errors')).flatMap(items);
    const url = new URL(await this.#connection.storageUrl());
    throw storeRefusal({ method: 'DELETE', url }, Number.parseInt(status, 10), undefined, failures.join(' '));
  }
}

/** Does something for each, not for all of them at a time. */
export async function atOnce<T, R>(values: readonly T[], action: (value: T) => Promise<R>): Promise<R[]> {
  const turns = new Semaphore(AT_ONCE);
  return Promise.all(values.map((value) => turns.run(() => action(value))));
}

function objectOf({ headers }: Pick<StoreAnswer, 'headers'>): SwiftObject {
  const timestamp = Number(headers['x-timestamp']);
  const modified = Date.parse(text(headers['last-modified']) ?? '');
  return {
    size: Number(headers['content-length'] ?? 0),
    modifiedAt: Number.isNaN(timestamp) ? modified : timestamp * 1000,
    segments: segmentsIn(text(headers['x-object-manifest'])),
  };
}

/** `container/prefix`; the container is ours. */
function segmentsIn(manifest: string | undefined): string | undefined {
  return manifest?.slice(manifest.indexOf('/') + 1).replace(/\/$/, '');
}

function listedName(entry: unknown): ListedName[] {
  const prefix = text(child(entry, 'subdir'));
  if (prefix !== undefined) return [{ kind: 'prefix', name: prefix }];
  const name = text(child(entry, 'name'));
  // OpenStack leaves out that it is UTC.
  const date = text(child(entry, 'last_modified'))?.replace(/Z?$/, 'Z') ?? '';
  const size = Number(child(entry, 'bytes'));
  return name === undefined ? [] : [{ kind: 'object', name, size, modifiedAt: Date.parse(date) }];
}
