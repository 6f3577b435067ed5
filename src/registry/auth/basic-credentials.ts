/** User and password of an Authorization header. */
export interface BasicCredentials {
  readonly user: string;
  readonly password: string;
}

/**
 * `Authorization: Basic …`, RFC 7617.
 * @returns undefined for any other scheme and for damaged ones; `nobody` for an empty user with an empty password, which is
 * what some clients send when they have none.
 */
export function parseBasicCredentials(header: string | undefined): BasicCredentials | 'nobody' | undefined {
  const match = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? '');
  return match === null ? undefined : decodeCredentials(match[1] ?? '');
}

/** The part behind the scheme: base64 of `user:password`. */
export function decodeCredentials(encoded: string): BasicCredentials | 'nobody' | undefined {
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  if (text === ':') return 'nobody';
  const colon = text.indexOf(':');
  return colon < 1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
