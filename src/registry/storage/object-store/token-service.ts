import { RegistryError } from '../../errors.ts';
import type { AccessToken } from './access-token.ts';
import type { StoreClient, StoreRequest } from './store-client.ts';

/**
 * Asks a service for an access token, as OAuth 2.0 has it (RFC 6749 section 5).
 * @param form the fields of a POST; without it the request is a GET.
 * @throws RegistryError UNAVAILABLE with the service's word for the reason.
 */
export async function requestToken(
  client: StoreClient,
  url: URL,
  { form, headers }: { readonly form?: Readonly<Record<string, string>>; readonly headers?: Headers },
): Promise<AccessToken> {
  const request: StoreRequest =
    form === undefined
      ? { method: 'GET', url, headers: { ...headers } }
      : {
          method: 'POST',
          url,
          headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
          body: new URLSearchParams(form).toString(),
        };
  const answer = await askForJson(client, request);
  const value = answer['access_token'];
  if (typeof value !== 'string') throw refusedToken(url, 'an answer without access_token');
  // Some services write numbers as strings, and some tell when the token ends instead of how long it lasts.
  const endsAt = Number(answer['expires_on'] ?? 0);
  const lifetime = answer['expires_in'] ?? endsAt - client.storeTime() / 1000;
  return { value, lifetime: Number(lifetime) };
}

type Headers = Readonly<Record<string, string>>;

/** The JSON object that a token service answers. @throws RegistryError UNAVAILABLE for anything but 200. */
export async function askForJson(
  client: StoreClient,
  request: StoreRequest,
): Promise<Readonly<Record<string, unknown>>> {
  const { status, body } = await client.fetch(request);
  const answer = parseObject(body.toString());
  if (status === 200 && answer !== undefined) return answer;
  const words = [status, answer?.['error'], answer?.['error_description']].filter(
    (word) => typeof word === 'string' || typeof word === 'number',
  );
  throw refusedToken(request.url, words.join(' '));
}

export function refusedToken(from: URL | string, reason: string): RegistryError {
  const place = from instanceof URL ? `${from.origin}${from.pathname}` : from;
  return new RegistryError(
    { code: 'UNAVAILABLE', message: 'the registry was refused an access token for its storage' },
    { cause: new Error(`${place}: ${reason}`) },
  );
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}
