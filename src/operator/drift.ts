import { createHash } from 'node:crypto';
import { isObject } from '../api/defaults.ts';
import { quantityValue } from './quantity.ts';

/**
 * Whether somebody changed what the operator wants of an object: some field of `desired` is missing in `live` or
 * differs. Fields that `desired` leaves out belong to others. Fields that it no longer has are found by
 * `fingerprint`.
 */
export function hasDrifted(desired: unknown, live: unknown): boolean {
  return !covers(live, desired);
}

/** `field`: under which the two are found. `inMap`: whether their names are free. */
function covers(live: unknown, desired: unknown, field = '', inMap = false): boolean {
  if (desired === undefined) return true;
  // The API server leaves out fields that are an empty text. In a map, that is a value like others.
  if (desired === '' && live === undefined) return !inMap;
  if (Array.isArray(desired)) return coversList(Array.isArray(live) ? live : [], desired);
  if (isObject(desired)) {
    const fields = Object.entries(desired);
    const isMap = FREE_KEYS.has(field);
    // The API server leaves out some objects that are empty.
    if (live === undefined) return fields.length === 0;
    return (
      isObject(live) &&
      fields.every(([key, value]) =>
        QUANTITIES.has(key)
          ? coversQuantities(live[key], value)
          : covers(live[key], value, isMap ? '' : key, isMap),
      )
    );
  }
  return live === desired;
}

/** Fields that are maps by names that people choose. */
const FREE_KEYS: ReadonlySet<string> = new Set([
  'labels',
  'annotations',
  'data',
  'nodeSelector',
  'matchLabels',
]);

/** Fields with a quantity, or with quantities by the name of a resource. The API server rewrites them. */
const QUANTITIES: ReadonlySet<string> = new Set(['requests', 'limits', 'sizeLimit']);

function coversQuantities(live: unknown, desired: unknown): boolean {
  if (!isObject(desired)) return quantityValue(live) === quantityValue(desired);
  return Object.entries(desired).every(
    ([resource, quantity]) => isObject(live) && quantityValue(live[resource]) === quantityValue(quantity),
  );
}

/** Others may add items to a list of objects, such as a sidecar; a list of plain values is one value. */
function coversList(live: readonly unknown[], desired: readonly unknown[]): boolean {
  if (desired.some(isObject)) return desired.every((item) => live.some((other) => covers(other, item)));
  return live.length === desired.length && desired.every((item, index) => item === live[index]);
}

/** Changes with every change of `desired`, and does not depend on the order of its keys. */
export function fingerprint(desired: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(desired)))
    .digest('hex')
    .slice(0, 16);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, sorted(value[key])]),
  );
}
