import type { IncomingHttpHeaders } from 'node:http';
import { RegistryError } from '../errors.ts';

/**
 * If-Match and If-None-Match of a write, RFC 9110 §13.1: what a tag must point at, or must not. With them a tag can be
 * changed only from what one has seen (`If-Match: "sha256:…"`), or made but never moved (`If-None-Match: *`).
 * @returns throws RegistryError PRECONDITION_FAILED for a digest that they do not allow; undefined without conditions.
 */
export function writeCondition(
  headers: IncomingHttpHeaders,
): ((current: string | undefined) => void) | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return (current) => {
    const matches = ifMatch === undefined || names(ifMatch, current);
    if (matches && !(ifNoneMatch !== undefined && names(ifNoneMatch, current))) return;
    const message =
      current === undefined
        ? 'the tag is not there'
        : `the tag points at ${current}, which the request rules out`;
    throw new RegistryError({ code: 'PRECONDITION_FAILED', message, detail: { current: current ?? null } });
  };
}

/** A weak tag never matches: a manifest is its bytes. */
function names(header: string, current: string | undefined): boolean {
  if (current === undefined) return false;
  return header.split(',').some((item) => item.trim() === '*' || item.trim() === `"${current}"`);
}
