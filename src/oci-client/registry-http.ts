import { Readable } from 'node:stream';
import { request as send, type Dispatcher } from 'undici';
import { parseRetryAfter } from '../process/retry-after.ts';
import { unlessAborted } from '../process/unless-aborted.ts';
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
  readonly signal?: AbortSignal;
  /** Statuses that are answers; all others are errors. */
  readonly expect: readonly number[];
}

/** An answer with its body still on the way: read it to its end, or `dump` it. */
export interface ClientAnswer {
  readonly status: number;
  /** Of those that came more than once all values, with commas. */
  readonly headers: Readonly<Record<string, string>>;
  /** The registry itself has answered, no host that it redirects to. */
  readonly own: boolean;
  readonly body: Dispatcher.ResponseData['body'];
}

/** An answer with its body. */
export interface WholeAnswer extends Omit<ClientAnswer, 'body' | 'own'> {
  readonly bytes: Buffer;
}

const MOST_REDIRECTS = 10;
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
    const answer = await this.answer(request);
    if (request.expect.includes(answer.status)) return answer;
    throw await this.refusal(request, answer);
  }

  /**
   * Whatever the registry answers, once, after a login and redirects.
   * @throws RegistryRefusal when there is no login; TransientError when there is no answer.
   */
  async answer(request: ClientRequest): Promise<ClientAnswer> {
    const { authorization } = this.#deps;
    const { scopes, signal } = request;
    let header = await unlessAborted(authorization.header(scopes), signal);
    const first = await this.#follow(request, header);
    // Another host must not say who is given the credentials.
    if (first.status !== 401 || !first.own) return first;
    await first.body.dump();
    if (!authorization.learn(first.headers['www-authenticate'], scopes, header)) {
      throw new RegistryRefusal(`${this.#name(request)}: 401, the credentials are missing or wrong`, 401);
    }
    header = await unlessAborted(authorization.header(scopes), signal);
    // What was sent of a stream is gone.
    if (isStream(request.body)) throw new TransientError(`${this.#name(request)}: 401`, { status: 401 });
    return this.#follow(request, header);
  }

  async #follow(request: ClientRequest, authorization: string | undefined): Promise<ClientAnswer> {
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
      const next = redirected ? URL.parse(location, url) : null;
      if (next === null || redirects >= MOST_REDIRECTS || isStream(request.body)) return { ...answer, own };
      await answer.body.dump();
      url = next;
    }
  }

  async #ask(
    request: ClientRequest,
    url: URL,
    headers: Readonly<Record<string, string>>,
  ): Promise<Omit<ClientAnswer, 'own'>> {
    const { dispatcher, retry } = this.#deps;
    const { signal = retry.signal } = request;
    try {
      const answer = await send(url, {
        dispatcher,
        method: request.method,
        headers: { 'user-agent': 'stevedore', ...request.headers, ...headers },
        body: isStream(request.body)
          ? Readable.from(request.body, { objectMode: false })
          : (request.body ?? null),
        ...(signal && { signal }),
      });
      return { status: answer.statusCode, headers: flat(answer.headers), body: answer.body };
    } catch (error) {
      return this.#broken(request, error);
    }
  }

  #broken(request: ClientRequest, error: unknown): never {
    this.#deps.retry.signal?.throwIfAborted();
    request.signal?.throwIfAborted();
    // The source of a body met it.
    if (error instanceof RegistryRefusal) throw error;
    throw new TransientError(`${this.#name(request)}: ${messageOf(error)}`, { cause: error });
  }

  /** What an answer that was not expected means. Reads it. */
  async refusal(
    request: ClientRequest,
    { status, headers, body }: ClientAnswer,
  ): Promise<RegistryRefusal | TransientError> {
    const bytes = await readBody(body, LONGEST_ERROR).catch(() => undefined);
    const message = `${this.#name(request)}: ${status}${reasonOf(String(bytes))}`;
    if (!PASSING_STATUSES.has(status)) return new RegistryRefusal(message, status);
    const retryAfter = parseRetryAfter(headers['retry-after'], this.#deps.retry.clock.now());
    return new TransientError(message, { status, retryAfter });
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
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
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
