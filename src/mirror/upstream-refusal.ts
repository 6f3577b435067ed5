import { RegistryError, type ErrorCode } from '../registry/errors.ts';
import type { UpstreamError } from './upstream.ts';

/** Seconds after which a client may try again, where the upstream does not say. */
const RETRY_AFTER = 5;

/**
 * What a client is told of an upstream that did not give what it was asked for. 404 and 503 make containerd and docker go
 * to the next place at once; 401 would be answered with secrets that are not for a mirror, 408 and 429 with more of the
 * same requests, and a redirect with an error. Clients that have no other place read the message.
 * @param unknown the code for what the upstream does not have
 */
export function upstreamRefusal(error: UpstreamError, host: string, unknown: ErrorCode): RegistryError {
  const detail = { upstream: host, ...(error.status !== undefined && { status: error.status }) };
  const says = `${host}: ${error.message}`;
  if (error.kind === 'not-found') return new RegistryError({ code: unknown, message: says, detail });
  if (error.kind === 'denied') return new RegistryError({ code: 'NAME_UNKNOWN', message: says, detail });
  const seconds = error.retryAfter === undefined ? RETRY_AFTER : Math.ceil(error.retryAfter / 1000);
  const headers = { 'Retry-After': String(Math.max(1, seconds)) };
  return new RegistryError({ code: 'UNAVAILABLE', message: says, detail }, { headers });
}
