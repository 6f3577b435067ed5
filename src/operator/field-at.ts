import { isObject } from '../api/defaults.ts';

/** The field at a path of an object as it came, which may not fit its schema; undefined where there is none. */
export function fieldAt(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((found, key) => (isObject(found) ? found[key] : undefined), value);
}
