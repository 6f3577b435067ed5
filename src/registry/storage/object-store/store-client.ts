import { Readable } from 'node:stream';
import { request as send, type Dispatcher } from 'undici';
import type { Clock } from '../../../process/clock.ts';
import { createOutgoing } from '../../../process/outgoing.ts';
import { parseRetryAfter } from '../../../process/retry-after.ts';
import { RegistryError } from '../../errors.ts';

export interface StoreRequest {
  readonly method: 'DELETE' | 'GET' | 'HEAD' | 'POST' | 'PUT';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Its URL is all the authorization that it needs. */
  readonly isAuthorized?: boolean;
}

/** An answer with its body still on the way: read it to its end, or `dump` it. */
export interface OpenAnswer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly body: Dispatcher.ResponseData['body'];
}

export interface StoreAnswer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly body: Buffer;
  /** True when the store may have carried out an earlier attempt whose answer got lost. */
  readonly retried: boolean;
}

export interface StoreClientOptions {
  readonly clock: Clock;
  /** Milliseconds before the n-th retry (from 1); undefined gives up. */
  readonly retryDelay: (retry: number) => number | undefined;
  /** Signs a request. Asked again for each attempt, because signatures age. */
  readonly authorize?: (request: StoreRequest) => Promise<StoreRequest> | StoreRequest;
  /** Whether a failure that an answer tells of in its own words may pass by itself, whatever its status. */
  readonly mayPass?: (answer: StoreAnswer, request: StoreRequest) => boolean;
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are looked up. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Accepts any certificate. */
  readonly skipVerify?: boolean;
}

/** The longest Retry-After that is waited for: a client of the registry waits as well. */
const LONGEST_WAIT_MS = 60_000;

/**
 * HTTP to an object store, on connections that are kept. Tries again what a store asks to have tried again and what the
 * network lost, as long as the body can be sent anew; so what is sent has to bear being carried out twice.
 */
export class StoreClient {
  readonly #options: StoreClientOptions;
  readonly #dispatcher: Dispatcher;
  /** A `Date` of the store, and the monotonic time when it came. */
  #stamp: { readonly date: number; readonly at: number } | undefined;

  constructor(options: StoreClientOptions) {
    this.#options = options;
    const { environment, skipVerify } = options;
    const timeouts = { connect: 10_000, headers: 60_000, body: 60_000 };
    this.#dispatcher = createOutgoing({ environment, timeouts, ...(skipVerify && { skipVerify }) });
  }

  /** Sends a request and reads the whole answer. @throws RegistryError UNAVAILABLE when none comes. */
  fetch(request: StoreRequest): Promise<StoreAnswer> {
    return this.#retry(request, (retried) => this.#fetchOnce(request, retried));
  }

  /** As `fetch`, but never sends it twice. */
  async fetchOnce(request: StoreRequest): Promise<StoreAnswer> {
    try {
      return await this.#fetchOnce(request, false);
    } catch (error) {
      throw noAnswer(request, error);
    }
  }

  /** As `fetch`, but the body of a success is left to the caller. */
  open(request: StoreRequest): Promise<OpenAnswer | StoreAnswer> {
    return this.#retry<OpenAnswer | StoreAnswer>(request, async (retried) => {
      const answer = await this.#send(request);
      return answer.status < 300 ? answer : readWhole(answer, retried);
    });
  }

  /**
   * Milliseconds since the epoch by the store's clock, for what the store is to refuse later: never ahead of that clock,
   * and a second or two behind it. Before the first answer with a date by our own.
   */
  storeTime(): number {
    const { clock } = this.#options;
    return this.#stamp ? this.#stamp.date + clock.monotonic() - this.#stamp.at : clock.now();
  }

  async close(): Promise<void> {
    await this.#dispatcher.close();
  }

  async #fetchOnce(request: StoreRequest, retried: boolean): Promise<StoreAnswer> {
    return readWhole(await this.#send(request), retried);
  }

  async #send(request: StoreRequest): Promise<OpenAnswer> {
    const { authorize, clock } = this.#options;
    const { method, url, headers, body } = request.isAuthorized
      ? request
      : ((await authorize?.(request)) ?? request);
    const answer = await send(url, {
      method,
      ...sendable(body, headers),
      dispatcher: this.#dispatcher,
      // After a HEAD too, where undici would give the connection up for servers that send a body.
      reset: false,
    });
    const date = Date.parse(String(answer.headers.date));
    if (!Number.isNaN(date)) this.#stamp = { date, at: clock.monotonic() };
    return { status: answer.statusCode, headers: answer.headers, body: answer.body };
  }

  #mayPass(answer: OpenAnswer | StoreAnswer, request: StoreRequest): boolean {
    if (isPassing(answer.status)) return true;
    return 'retried' in answer && (this.#options.mayPass?.(answer, request) ?? false);
  }

  async #retry<T extends OpenAnswer | StoreAnswer>(
    request: StoreRequest,
    attempt: (retried: boolean) => Promise<T>,
  ): Promise<T> {
    const { clock, retryDelay } = this.#options;
    for (let retry = 1; ; retry++) {
      const outcome = await settle(attempt(retry > 1));
      if ('answer' in outcome && !this.#mayPass(outcome.answer, request)) return outcome.answer;
      const delay = retryDelay(retry);
      const asked =
        'answer' in outcome
          ? parseRetryAfter(outcome.answer.headers['retry-after']?.toString(), clock.now())
          : 0;
      if (delay === undefined || asked > LONGEST_WAIT_MS) {
        if ('answer' in outcome) return outcome.answer;
        throw noAnswer(request, outcome.error);
      }
      await clock.sleep(Math.max(delay, asked));
    }
  }
}

/** Bytes of a body that are handed to a connection at once. */
const PIECE = 256 * 1024;

/**
 * A long body goes in pieces: when a store answers before it has read it, the connection is given up, with a piece on it at
 * most. Of one buffer the rest would follow, in the way of the next request, and from memory that is free by then.
 */
function sendable(body: StoreRequest['body'], headers: StoreRequest['headers']) {
  if (body === undefined || typeof body === 'string' || body.length <= PIECE) {
    return { headers: { ...headers }, body: body ?? null };
  }
  return {
    headers: { ...headers, 'content-length': String(body.length) },
    body: Readable.from(piecesOf(body), { objectMode: false }),
  };
}

function* piecesOf(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += PIECE) yield body.subarray(at, at + PIECE);
}

async function readWhole(answer: OpenAnswer, retried: boolean): Promise<StoreAnswer> {
  return { ...answer, body: Buffer.from(await answer.body.arrayBuffer()), retried };
}

type Outcome<T> = { readonly answer: T } | { readonly error: unknown };

async function settle<T>(attempt: Promise<T>): Promise<Outcome<T>> {
  try {
    return { answer: await attempt };
  } catch (error) {
    // Signing has failed for good when it says so.
    if (error instanceof RegistryError) throw error;
    return { error };
  }
}

/** Exponential with full jitter, as clouds recommend: up to 0.2, 0.4, … 6.4 seconds, six times. */
export function jitteredDelay(random: () => number): (retry: number) => number | undefined {
  return (retry) => (retry <= 6 ? 100 * 2 ** retry * random() : undefined);
}

/** A failure that may pass by itself. */
function isPassing(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

function noAnswer(request: StoreRequest, error: unknown): RegistryError {
  const cause = new Error(`${describe(request)}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
  return new RegistryError(
    { code: 'UNAVAILABLE', message: 'the storage of the registry does not answer' },
    { cause },
  );
}

/**
 * What a store refused, as clients see it: 503 with its word for the reason. The log, which has the cause, tells of what.
 * @param reason the store's code, such as `AccessDenied`.
 * @param message the store's sentence, for the log.
 */
export function storeRefusal(
  request: StoreRequest,
  status: number,
  reason: string | undefined,
  message?: string,
): RegistryError {
  const answer = [status, reason].filter((part) => part !== undefined).join(' ');
  return new RegistryError(
    { code: 'UNAVAILABLE', message: `the storage of the registry answered ${answer}` },
    { cause: new Error([describe(request), answer, message].filter(Boolean).join(': ')) },
  );
}

/** Without the query, which may hold a signature. */
function describe({ method, url }: StoreRequest): string {
  return `${method} ${url.origin}${url.pathname}`;
}
