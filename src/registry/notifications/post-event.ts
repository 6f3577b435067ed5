import type { EndpointConfig } from '../../contract/config/notifications-section.ts';
import type { Clock } from '../../process/clock.ts';
import { parseRetryAfter } from '../../process/retry-after.ts';
import { EVENTS_MEDIA_TYPE } from './event.ts';
import { signatureHeaders } from './signature.ts';

/** What became of one try to hand an event over. */
export type Outcome =
  | { readonly kind: 'accepted'; readonly status: number }
  /** The endpoint does not want this event. */
  | { readonly kind: 'refused'; readonly status: number }
  /** It cannot take any event now. `retryAfter`: milliseconds that it asks to be left alone. */
  | {
      readonly kind: 'unavailable';
      readonly status?: number;
      readonly reason: string;
      readonly retryAfter: number;
    };

/** Statuses that say nothing about the event. */
const BUSY: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504]);

/** What is needed of undici's `request`, which follows redirects. `fetch` would refuse some ports. */
export type Send = (
  url: string,
  request: {
    readonly method: 'POST';
    readonly headers: Record<string, string | string[]>;
    readonly body: string;
    readonly signal: AbortSignal;
  },
) => Promise<{
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: { dump(): Promise<void> };
}>;

type Recipient = Pick<EndpointConfig, 'url' | 'headers' | 'timeout'> & {
  readonly secret: string | undefined;
};

/** Posts one event, following redirects. Never throws. */
export async function postEvent(
  endpoint: Recipient,
  event: { readonly id: string; readonly body: string },
  deps: { readonly clock: Clock; readonly send: Send },
): Promise<Outcome> {
  const { clock } = deps;
  const { timeout, secret } = endpoint;
  const ended = new AbortController();
  const late = clock.sleep(timeout, ended.signal).then(
    () => ended.abort(new Error(`no answer within ${timeout} ms`)),
    () => undefined,
  );
  const signature = secret === undefined ? {} : signatureHeaders(secret, { ...event, time: clock.now() });
  try {
    const { url, headers } = addressed(endpoint);
    const answer = await deps.send(url, {
      method: 'POST',
      headers: { 'content-type': EVENTS_MEDIA_TYPE, ...headers, ...signature },
      body: event.body,
      signal: ended.signal,
    });
    // Read to its end, the connection can be used again; what it says does not count.
    await answer.body.dump().catch(() => undefined);
    const { statusCode: status } = answer;
    if (status >= 200 && status < 400) return { kind: 'accepted', status };
    if (!BUSY.has(status)) return { kind: 'refused', status };
    const retryAfter = parseRetryAfter(answer.headers['retry-after']?.toString(), clock.now());
    return { kind: 'unavailable', status, reason: `status ${status}`, retryAfter };
  } catch (error) {
    return { kind: 'unavailable', reason: reasonOf(error), retryAfter: 0 };
  } finally {
    ended.abort();
    await late;
  }
}

/** Credentials that stand in the URL are sent as Basic authentication, as Go does. */
function addressed({ url = '', headers }: Recipient): {
  url: string;
  headers: Record<string, string | string[]>;
} {
  const own = Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, [...values]]));
  const target = new URL(url);
  const { username, password } = target;
  if (username === '' && password === '') return { url, headers: own };
  target.username = '';
  target.password = '';
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  const isSet = Object.keys(own).some((name) => name.toLowerCase() === 'authorization');
  return { url: target.href, headers: isSet ? own : { ...own, authorization } };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
