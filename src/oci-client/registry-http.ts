import { Readable } from 'node:stream';
import { request as send, type Dispatcher } from 'undici';
import { parseRetryAfter } from '../process/retry-after.ts';
import type { Authorization } from './authorization.ts';
import { readBody } from './read-body.ts';
import { PASSING_STATUSES, RegistryRefusal } from './refusal.ts';
import { TransientError, withRetries, type RetryOptions } from './retry.ts';

export interface ClientRequest {
  readonly method: 'DELETE' | 'GET' | 'HEAD' | 'PATCH' | 'POST' | 'PUT';
  /** A path, or a URL that the registry gave. */
  readonly target: string;
  /** What the request needs, as in `repository:team/app:pull`. */
  readonly scopes: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | AsyncIterable<Uint8Array>;
  /** Statuses that are answers; all others are errors. */
  readonly expect: readonly number[];
}

/** An answer with its body still on the way: read it to its end, or `dump` it. */
export interface ClientAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Dispatcher.ResponseData['body'];
}

/** An answer with its body. */
export interface WholeAnswer extends Omit<ClientAnswer, 'body'> {
  readonly bytes: Buffer;
}

const MOST_REDIRECTS = 5;
const LONGEST_ERROR = 64 * 1024;

/** A page of a list, of which some registries have one alone, whatever is asked for. */
const LONGEST_DOCUMENT = 64 * 1024 * 1024;

/** Requests to one registry: logs in when asked to, follows redirects, and tries again what may go well the next time. */
export class RegistryHttp {
  readonly #base: URL;
  readonly #deps: {
    readonly dispatcher: Dispatcher;
    readonly authorization: Authorization;
    readonly retry: RetryOptions;
  };

  /** @param base scheme and host. */
  constructor(
    base: URL,
    deps: {
      readonly dispatcher: Dispatcher;
      readonly authorization: Authorization;
      readonly retry: RetryOptions;
    },
  ) {
    this.#base = base;
    this.#deps = deps;
  }

  get retry(): RetryOptions {
    return this.#deps.retry;
  }

  /** @throws RegistryRefusal; TransientError when it has failed too often. */
  send(request: ClientRequest): Promise<ClientAnswer> {
    return withRetries(this.#deps.retry, () => this.sendOnce(request));
  }

  /**
   * As `send`, and reads the body, which it asks for again when it breaks.
   * @param most bytes that the body may have. @throws as `send`
   */
  read(request: ClientRequest, most = LONGEST_DOCUMENT): Promise<WholeAnswer> {
    return withRetries(this.#deps.retry, async () => {
      const { status, headers, body } = await this.sendOnce(request);
      const bytes = await readBody(body, most).catch((error: unknown) => this.#broken(request, error));
      if (bytes !== undefined) return { status, headers, bytes };
      throw new RegistryRefusal(`${this.#name(request)}: the answer is longer than ${most} bytes`, status);
    });
  }

  /** For a body that cannot be sent twice. @throws RegistryRefusal; TransientError when it may go well another time. */
  async sendOnce(request: ClientRequest): Promise<ClientAnswer> {
    const { authorization } = this.#deps;
    let header = await authorization.header(request.scopes);
    const first = await this.#follow(request, header);
    let { answer } = first;
    // Another host must not say who is given the credentials.
    if (answer.status === 401 && first.own) {
      await answer.body.dump();
      if (!authorization.learn(answer.headers['www-authenticate'], request.scopes, header)) {
        throw new RegistryRefusal(`${this.#name(request)}: 401, the credentials are missing or wrong`, 401);
      }
      header = await authorization.header(request.scopes);
      // What was sent of a stream is gone.
      if (isStream(request.body)) throw new TransientError(`${this.#name(request)}: 401`);
      ({ answer } = await this.#follow(request, header));
    }
    if (request.expect.includes(answer.status)) return answer;
    throw await this.#refusal(request, answer);
  }

  /** @returns `own`: the registry itself has answered, no host that it redirects to. */
  async #follow(
    request: ClientRequest,
    authorization: string | undefined,
  ): Promise<{ readonly answer: ClientAnswer; readonly own: boolean }> {
    let url = new URL(request.target, this.#base);
    for (let redirects = 0; ; redirects++) {
      // Another host, such as a bucket's, must not see the credentials.
      const own = url.origin === this.#base.origin;
      const answer = await this.#ask(
        request,
        url,
        own && authorization !== undefined ? { authorization } : {},
      );
      const { location } = answer.headers;
      const redirected = [301, 302, 307, 308].includes(answer.status) && location !== undefined;
      if (!redirected || redirects >= MOST_REDIRECTS || isStream(request.body)) return { answer, own };
      await answer.body.dump();
      url = new URL(location, url);
    }
  }

  async #ask(
    request: ClientRequest,
    url: URL,
    headers: Readonly<Record<string, string>>,
  ): Promise<ClientAnswer> {
    const { dispatcher, retry } = this.#deps;
    try {
      const answer = await send(url, {
        dispatcher,
        method: request.method,
        headers: { 'user-agent': 'stevedore', ...request.headers, ...headers },
        body: isStream(request.body)
          ? Readable.from(request.body, { objectMode: false })
          : (request.body ?? null),
        ...(retry.signal && { signal: retry.signal }),
      });
      return { status: answer.statusCode, headers: flat(answer.headers), body: answer.body };
    } catch (error) {
      return this.#broken(request, error);
    }
  }

  #broken(request: ClientRequest, error: unknown): never {
    this.#deps.retry.signal?.throwIfAborted();
    // The source of a body met it.
    if (error instanceof RegistryRefusal) throw error;
    throw new TransientError(`${this.#name(request)}: ${messageOf(error)}`, { cause: error });
  }

  async #refusal(request: ClientRequest, { status, headers, body }: ClientAnswer): Promise<Error> {
    const bytes = await readBody(body, LONGEST_ERROR).catch(() => undefined);
    const message = `${this.#name(request)}: ${status}${reasonOf(String(bytes))}`;
    if (!PASSING_STATUSES.has(status)) return new RegistryRefusal(message, status);
    const retryAfter = parseRetryAfter(headers['retry-after'], this.#deps.retry.clock.now());
    return new TransientError(message, { retryAfter });
  }

  /** Without the query, where signatures and states are. */
  #name({ method, target }: ClientRequest): string {
    const { host, pathname } = new URL(target, this.#base);
    return `${method} ${host}${pathname}`;
  }
}

function isStream(body: ClientRequest['body']): body is AsyncIterable<Uint8Array> {
  return body !== undefined && !Buffer.isBuffer(body);
}

function flat(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? (value[0] ?? '') : (value ?? ''),
    ]),
  );
}

/** The first error of a registry's body, as in `: MANIFEST_UNKNOWN manifest unknown`. */
function reasonOf(text: string): string {
  try {
    const { errors } = JSON.parse(text) as {
      readonly errors?: readonly { readonly code?: string; readonly message?: string }[];
    }; // the format of the specification
    const [first] = errors ?? [];
    return first === undefined ? '' : ` ${first.code ?? ''} ${first.message ?? ''}`.trimEnd();
  } catch {
    return '';
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
