import { isDeepStrictEqual } from 'node:util';
import type { Answer, Json } from './scenario.ts';

/** What differs between two answers, a line a place: `body.metadata.name: expected "a", got "b"`. Empty when nothing does. */
export function differences(expected: Answer, actual: Answer): readonly string[] {
  return compare(expected as unknown as Json, actual as unknown as Json, '');
}

function compare(expected: Json | undefined, actual: Json | undefined, path: string): readonly string[] {
  if (isDeepStrictEqual(expected, actual)) return [];
  const isBranch = (value: unknown): value is object => typeof value === 'object' && value !== null;
  if (!isBranch(expected) || !isBranch(actual) || Array.isArray(expected) !== Array.isArray(actual)) {
    return [`${path}: expected ${show(expected)}, got ${show(actual)}`];
  }
  const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  return [...keys].flatMap((key) =>
    compare(
      (expected as unknown as Readonly<Record<string, Json>>)[key],
      (actual as unknown as Readonly<Record<string, Json>>)[key],
      path === '' ? key : Array.isArray(expected) ? `${path}[${key}]` : `${path}.${key}`,
    ),
  );
}

function show(value: Json | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
