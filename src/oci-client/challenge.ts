/** What a registry asks for in `WWW-Authenticate`. RFC 9110 §11.6.1. */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const PARAMETER = /([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi;

/** @returns the first challenge of a header, undefined when there is none. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  const match = /^\s*([a-z]+)(?:\s+|$)/i.exec(header ?? '');
  if (header === undefined || match === null) return undefined;
  const parameters: Record<string, string> = {};
  for (const [, name = '', quoted, plain] of header.slice(match[0].length).matchAll(PARAMETER)) {
    parameters[name.toLowerCase()] ??= plain ?? (quoted ?? '').replaceAll(/\\(.)/g, '$1');
  }
  return { scheme: (match[1] ?? '').toLowerCase(), parameters };
}
