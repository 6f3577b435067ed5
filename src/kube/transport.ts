import { request as send, type Dispatcher } from 'undici';
import type { Clock } from '../process/clock.ts';
import { apiErrorFromResponse, type ApiError } from './api-error.ts';
import type { Credentials } from './credentials.ts';
import type { KubeMetrics } from './metrics.ts';

interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly body?: object;
  /** Of the body; JSON when absent. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Requests to one API server, with authentication, retries and metrics. Knows no kinds. */
export interface Transport {
  /** Sends JSON, reads JSON. Throws ApiError for an answer that is no success. */
  exchange(request: ApiRequest): Promise<unknown>;
  /** Answers with the body as it comes, for watches. Throws as exchange does until the body begins. */
  open(request: ApiRequest): Promise<AsyncIterable<Uint8Array>>;
  /** Cuts every connection. */
  close(): Promise<void>;
}

const MAX_RETRIES = 5;
/** A server that asks for more patience than this gets its answer passed on: the caller's own backoff is better then. */
const LONGEST_RETRY_AFTER_MS = 10_000;
/** Until the headers, and between two chunks of a body that is no watch. */
const ANSWER_TIMEOUT_MS = 30_000;

export function createTransport(options: {
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly metrics: KubeMetrics;
  readonly userAgent: string;
}): Transport {
  const { credentials, clock, metrics, userAgent } = options;

  async function attempt(request: ApiRequest, bodyTimeout: number): Promise<Dispatcher.ResponseData> {
    const { server, dispatcher, headers } = await credentials.current();
    const query =
      request.query === undefined || request.query.size === 0 ? '' : `?${request.query.toString()}`;
    const url = `${server.href.replace(/\/$/, '')}${request.path}${query}`;
    let code = '<error>';
    try {
      const response = await send(url, {
        dispatcher,
        method: request.method,
        headers: {
          ...headers,
          accept: 'application/json',
          'user-agent': userAgent,
          ...(request.body && { 'content-type': request.contentType ?? 'application/json' }),
        },
        body: request.body ? JSON.stringify(request.body) : null,
        signal: request.signal ?? null,
        headersTimeout: ANSWER_TIMEOUT_MS,
        bodyTimeout,
      });
      code = String(response.statusCode);
      return response;
    } finally {
      metrics.requests.inc({ code, method: request.method, host: server.host });
    }
  }

  async function run<T>(
    request: ApiRequest,
    bodyTimeout: number,
    read: (response: Dispatcher.ResponseData) => Promise<T>,
  ): Promise<T> {
    let resets = 0;
    let refusals = 0;
    for (let retries = 0; ; retries++) {
      try {
        const response = await attempt(request, bodyTimeout);
        if (response.statusCode < 300) return await read(response);
        const error = await readError(response);
        if (error.status === 401 && refusals++ === 0) {
          // A token that was rotated since we read it, or a CA and server that were made anew.
          credentials.forget();
          continue;
        }
        const pause = pauseBeforeRetry(error, retries);
        if (pause === undefined) throw error;
        await clock.sleep(pause, request.signal);
      } catch (error) {
        if (!isConnectionReset(error) || request.method === 'POST' || resets++ > 0) throw error;
      }
      request.signal?.throwIfAborted();
    }
  }

  return {
    exchange: (request) => run(request, ANSWER_TIMEOUT_MS, async (response) => response.body.json()),
    open: (request) => run(request, 0, async (response) => response.body as AsyncIterable<Uint8Array>),
    close: () => credentials.close(),
  };
}

async function readError(response: Dispatcher.ResponseData): Promise<ApiError> {
  const retryAfter = response.headers['retry-after'];
  const first = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  return apiErrorFromResponse(response.statusCode, first, await response.body.text());
}

/** How long to wait before the same request once more, or undefined to give up. 429 and 503 mean: nothing was done. */
function pauseBeforeRetry(error: ApiError, retries: number): number | undefined {
  const wanted = error.status === 429 || error.status === 503 ? error.retryAfterMs : undefined;
  if (wanted === undefined || wanted > LONGEST_RETRY_AFTER_MS || retries >= MAX_RETRIES) return undefined;
  return wanted;
}

/**
 * The server closed a kept-alive connection just as we used it. All verbs but POST may be sent once more: an apply or
 * merge patch that had landed changes nothing the second time, or conflicts by its resourceVersion; a delete finds
 * nothing, or its uid guards the successor.
 */
function isConnectionReset(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET';
}
