/** What a registry asks for in `WWW-Authenticate`. RFC 9110 §11.6.1. */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  /** By names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

const SEPARATOR = /[\s,]*/y;
// A value that begins with `=` would be the padding of a token68.
const PARAMETER = /([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"=][^\s,"]*))/y;
const SCHEME = /([\w!#$%&'*+.^`|~-]+)(?=[\s,]|$)/y;
const TOKEN68 = /[\w.~+/-]+=*(?=\s*(?:,|$))/y;

/** @param header one or several challenges, with commas between them. Reads as far as it makes sense. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { readonly scheme: string; readonly parameters: Record<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    const comma = take(SEPARATOR)?.[0].includes(',') ?? false;
    if (at === header.length) return challenges;
    const current = challenges.at(-1);
    const parameter = current && take(PARAMETER);
    if (parameter) {
      const [, name = '', quoted, plain] = parameter;
      current.parameters[name.toLowerCase()] ??= plain ?? (quoted ?? '').replaceAll(/\\(.)/g, '$1');
      continue;
    }
    // After a scheme and a space: credentials of a kind that nothing here speaks.
    if (current && !comma && Object.keys(current.parameters).length === 0 && take(TOKEN68)) continue;
    const scheme = take(SCHEME);
    if (scheme === null) return challenges;
    challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters: {} });
  }
}
