import {
  FAILSAFE_SCHEMA,
  YAMLException,
  defineMappingTag,
  load,
  mergeTag,
  nullYaml11Tag,
  type Schema,
} from 'js-yaml';
import { isRawObject, type Findings, type Raw } from './decode.ts';

/** Scalars stay strings: whether `0.1`, `yes` or `1h` is text, a number or a duration is the field's to say. */
const untypedScalars = FAILSAFE_SCHEMA.withTags(nullYaml11Tag, mergeTag);

/**
 * A section that stands in a file twice, as in docker distribution's own example: Go decodes the second into what the
 * first gave.
 */
const joinedMaps = untypedScalars.withTags(
  defineMappingTag<Map<string, Raw>, Raw>('tag:yaml.org,2002:map', {
    create: () => new Map(),
    addPair(carrier, key, value) {
      const there = carrier.get(String(key));
      const added = value as Raw; // what this schema makes
      carrier.set(String(key), there === undefined ? added : joined(there, added));
      return '';
    },
    has: (carrier, key) => carrier.has(String(key)),
    keys: (result) => (isRawObject(result) ? Object.keys(result) : []),
    get: (result, key) => (isRawObject(result) ? result[String(key)] : undefined),
    finalize: (carrier) => Object.fromEntries(carrier),
    identify: () => false,
  }),
);

function joined(first: Raw, second: Raw): Raw {
  if (!isRawObject(first) || !isRawObject(second)) return second;
  const result: Record<string, Raw> = { ...first };
  for (const [key, value] of Object.entries(second)) {
    const there = result[key];
    result[key] = there === undefined ? value : joined(there, value);
  }
  return result;
}

/**
 * Parses YAML as docker distribution's parser does, but for the scalars, which stay strings.
 * @param path what the text is, for the message. @returns undefined after reporting that it is no YAML.
 */
export function parseYaml(text: string, path: string, found: Findings): Raw | undefined {
  // js-yaml takes no document for an error; Go takes it for null.
  if (/^\s*(?:#.*\s*)*$/.test(text)) return null;
  const result = parse(text, untypedScalars, false);
  if ('document' in result) return result.document;
  if (result.reason !== 'duplicated mapping key') {
    found.errors.push({ path, message: `is not YAML: ${result.reason}${result.place}` });
    return undefined;
  }
  found.warnings.push({ path, message: `has the same key twice${result.place}: write it once` });
  const again = parse(text, joinedMaps, true);
  if ('document' in again) return again.document;
  found.errors.push({ path, message: `is not YAML: ${again.reason}${again.place}` });
  return undefined;
}

function parse(
  text: string,
  schema: Schema,
  json: boolean,
): { readonly document: Raw } | { readonly reason: string; readonly place: string } {
  try {
    return { document: load(text, { schema, json }) as Raw }; // maps, lists, strings and nulls are all the schemas know
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const place = error.mark ? ` at line ${error.mark.line + 1}, column ${error.mark.column + 1}` : '';
    // Some reasons quote what they found, which may be a part of a password.
    return { reason: error.reason.replace(/[\s:]*["'`<{].*$/s, ''), place };
  }
}
