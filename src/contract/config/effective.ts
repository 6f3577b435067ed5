import { formatDuration } from '../duration.ts';
import type { Field } from './fields.ts';
import { configSchema, type Config } from './schema.ts';

/** What stands for the value of a secret. */
const HIDDEN = '(hidden)';

/** A configuration as it would be written: with defaults and overrides, without secrets. For dumping as YAML or JSON. */
export function effectiveConfig(config: Config): unknown {
  return shown(configSchema, config);
}

/** @returns undefined for what is not there, which YAML and JSON leave out. */
function shown(field: Field, value: unknown): unknown {
  if (value === undefined || field.type === 'obsolete') return undefined;
  switch (field.type) {
    case 'object':
      // The decoded value has the shape of its field; so it is for each case below.
      return shownFields(field.fields, value as Readonly<Record<string, unknown>>);
    case 'string':
      if (field.secret) return HIDDEN;
      return field.format === 'url' ? withoutCredentials(value as string) : value;
    case 'duration':
      return formatDuration(value as number);
    case 'list':
      return (value as readonly unknown[]).map((item) => shown(field.of, item));
    case 'map':
      return field.secret ? hideValues(value as object) : value;
    case 'boolean':
    case 'integer':
      break;
  }
  return value;
}

function shownFields(
  fields: Readonly<Record<string, Field>>,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const entries = Object.entries(fields).map(([key, field]) => [key, shown(field, values[key])] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function hideValues(map: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [key, Array.isArray(value) ? [HIDDEN] : HIDDEN]),
  );
}

function withoutCredentials(url: string): string {
  return url.replace(/^([a-z]+:\/\/)[^/?#]*@/i, `$1${HIDDEN}@`);
}
