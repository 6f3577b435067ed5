/** `Authorization: Basic …`, RFC 7617. @returns undefined for any other scheme and for damaged ones. */
export function parseBasicCredentials(
  header: string | undefined,
): { readonly user: string; readonly password: string } | undefined {
  const match = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? '');
  if (match === null) return undefined;
  const text = Buffer.from(match[1] ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
