import { isJsonObject, type Json, type JsonObject } from '../kind.ts';
import { isJsonArray, objectOf } from './json.ts';

/**
 * JSON merge patch (RFC 7386): null removes a field. As Kubernetes has it, a list that comes to a field that was
 * not there loses the nulls in the objects in it.
 */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const patched = new Map<string, Json | undefined>(Object.entries(target));
  for (const [name, value] of Object.entries(patch)) {
    const current = patched.get(name);
    if (value === null) patched.delete(name);
    else if (isJsonObject(current) && isJsonObject(value)) patched.set(name, mergePatch(current, value));
    else patched.set(name, isJsonObject(current) ? value : withoutNulls(value));
  }
  return objectOf(patched);
}

function withoutNulls(value: Json): Json {
  if (isJsonArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([, item]) => item !== null);
  return objectOf(kept.map(([name, item]) => [name, withoutNulls(item)]));
}
