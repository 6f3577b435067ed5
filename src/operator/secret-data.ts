/** Data of Secrets, which is base64 on the wire. */
export function encodeData(data: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'utf8').toString('base64')]),
  );
}

/** The bytes of one key, or undefined when there is none. */
export function dataBytes(
  secret: { readonly data?: Readonly<Record<string, string>> } | undefined,
  key: string,
): Buffer | undefined {
  const data = secret?.data;
  const value = data !== undefined && Object.hasOwn(data, key) ? data[key] : undefined;
  return value === undefined ? undefined : Buffer.from(value, 'base64');
}

/** The text of one key, or undefined when there is none. */
export function dataText(
  secret: { readonly data?: Readonly<Record<string, string>> } | undefined,
  key: string,
): string | undefined {
  return dataBytes(secret, key)?.toString('utf8');
}
