import { nearestName } from '../nearest-name.ts';
import type { Field, ObjectField, StringField } from './fields.ts';
import { expectedOfString, scalarRules, type ScalarRules } from './scalars.ts';

/** What is wrong at a place of the configuration. `path` is dotted, or the name of an environment variable. */
export interface ConfigProblem {
  readonly path: string;
  readonly message: string;
}

/** A file that the configuration names and that must be readable. */
export interface ConfigFile {
  readonly path: string;
  readonly file: string;
}

/** Collects what decoding finds; decoding goes on after an error, so that all of them are told at once. */
export interface Findings {
  readonly errors: ConfigProblem[];
  /** Most likely a mistake: what docker distribution ignores without a word. */
  readonly warnings: ConfigProblem[];
  /** Right in docker distribution, and without effect here. */
  readonly notices: ConfigProblem[];
  readonly files: ConfigFile[];
}

/** What YAML gives when scalars stay strings: the type of the field decides what they mean, as in Go. */
export type Raw = null | string | readonly Raw[] | { readonly [key: string]: Raw };

/** Decodes an object, reporting unknown keys. Missing values get their defaults. */
export function decodeObject(
  field: ObjectField,
  raw: Raw | undefined,
  path: string,
  found: Findings,
): Readonly<Record<string, unknown>> {
  const source = asObject(field, raw, path, found);
  for (const key of Object.keys(source)) {
    if (!Object.hasOwn(field.fields, key)) reportUnknown(field, key, join(path, key), found);
  }
  const decoded: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(field.fields)) {
    const value = Object.hasOwn(source, key) ? source[key] : undefined;
    decoded[key] = decode(child, value, join(path, key), found);
  }
  return decoded;
}

/** Turns `htpasswd` into `{htpasswd: {}}` where the schema allows it. */
export function expandBareKey(field: Field, raw: Raw | undefined): Raw | undefined {
  return field.type === 'object' && field.bareKey && typeof raw === 'string' ? { [raw]: {} } : raw;
}

export function isRawObject(raw: Raw | undefined): raw is { readonly [key: string]: Raw } {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw);
}

function asObject(
  field: ObjectField,
  raw: Raw | undefined,
  path: string,
  found: Findings,
): Readonly<Record<string, Raw>> {
  const value = expandBareKey(field, raw);
  if (value === undefined || value === null) return {};
  if (isRawObject(value)) return field.aliases ? withoutAliases(value, field.aliases, path, found) : value;
  found.errors.push({ path, message: `must be a map, not ${describe(value)}` });
  return {};
}

function withoutAliases(
  value: { readonly [key: string]: Raw },
  aliases: Readonly<Record<string, string>>,
  path: string,
  found: Findings,
): Readonly<Record<string, Raw>> {
  const result: Record<string, Raw> = { ...value };
  for (const [alias, name] of Object.entries(aliases)) {
    const item = result[alias];
    if (item === undefined) continue;
    delete result[alias];
    if (Object.hasOwn(value, name)) {
      found.warnings.push({ path: join(path, alias), message: `is ignored: it is an old name of ${name}` });
    } else {
      result[name] = item;
    }
  }
  return result;
}

function decode(field: Field, raw: Raw | undefined, path: string, found: Findings): unknown {
  if (field.type === 'object') {
    if (field.optional && (raw === undefined || (!field.namedByKey && isNothing(raw)))) return undefined;
    return decodeObject(field, raw, path, found);
  }
  if (field.type === 'obsolete') {
    if (!isEmpty(raw ?? null)) found.notices.push({ path, message: `has no effect: ${field.description}` });
    return undefined;
  }
  if (field.type === 'string') return decodeString(field, raw, path, found);
  if (field.type === 'map') {
    return field.of === 'list' ? decodeLists(raw, path, found) : decodeStrings(raw, path, found);
  }
  if (field.type === 'list') return decodeItems(field.of, raw, path, found);
  return decodeScalar(raw, path, found, scalarRules(field));
}

function decodeItems(of: Field, raw: Raw | undefined, path: string, found: Findings): readonly unknown[] {
  if (raw === undefined || raw === null) return [];
  const items = Array.isArray(raw) ? (raw as readonly Raw[]) : [raw];
  return items.map((item, index) => decode(of, item, join(path, String(index)), found));
}

function decodeScalar(raw: Raw | undefined, path: string, found: Findings, rules: ScalarRules): unknown {
  if (raw === undefined || raw === null) {
    if (rules.required) found.errors.push({ path, message: 'is required' });
    return rules.whenAbsent;
  }
  const value = typeof raw === 'string' ? rules.parse(raw) : undefined;
  if (value !== undefined) return value;
  found.errors.push({ path, message: `must be ${rules.expected}, not ${describe(raw)}` });
  return rules.whenAbsent;
}

function isNothing(raw: Raw): boolean {
  return raw === null || (isRawObject(raw) && Object.keys(raw).length === 0);
}

function decodeString(
  field: StringField,
  raw: Raw | undefined,
  path: string,
  found: Findings,
): string | undefined {
  if (raw === undefined || raw === null || raw === '') {
    if (field.default === undefined && !field.optional) found.errors.push({ path, message: 'is required' });
    return field.default;
  }
  if (typeof raw !== 'string') {
    found.errors.push({ path, message: `must be a string, not ${describe(raw)}` });
    return field.default;
  }
  const text = field.anyCase ? raw.toLowerCase() : raw;
  const expected = expectedOfString(field, text);
  if (expected !== undefined) {
    const but = field.secret ? '' : `, not ${describe(raw)}`;
    found.errors.push({ path, message: `must be ${expected}${but}` });
  } else if (field.format === 'file') found.files.push({ path, file: text });
  return field.format === 'url-path' ? normalizePath(text) : text;
}

/** `registry`, `/registry` and `/registry/` are `/registry`; nothing and `/` are `/`. */
function normalizePath(text: string): string {
  return `/${text.split('/').filter(Boolean).join('/')}`;
}

function decodeStrings(raw: Raw | undefined, path: string, found: Findings): Record<string, string> {
  const decoded: Record<string, string> = {};
  for (const [key, value] of mapEntries(raw, path, found)) {
    if (typeof value === 'string') decoded[key] = value;
    else if (value !== null) found.errors.push({ path: join(path, key), message: 'must be a single value' });
  }
  return decoded;
}

function decodeLists(raw: Raw | undefined, path: string, found: Findings): Record<string, readonly string[]> {
  const decoded: Record<string, readonly string[]> = {};
  for (const [key, value] of mapEntries(raw, path, found)) {
    // Go's YAML takes a single value where a list is wanted.
    const items = Array.isArray(value) ? (value as readonly Raw[]) : [value];
    const strings = items.filter((item) => typeof item === 'string');
    if (strings.length === items.length) decoded[key] = strings;
    else found.errors.push({ path: join(path, key), message: 'must be a list of strings' });
  }
  return decoded;
}

function mapEntries(raw: Raw | undefined, path: string, found: Findings): [string, Raw][] {
  if (raw === undefined || raw === null) return [];
  if (isRawObject(raw)) return Object.entries(raw);
  found.errors.push({ path, message: `must be a map, not ${describe(raw)}` });
  return [];
}

function reportUnknown(field: ObjectField, key: string, path: string, found: Findings): void {
  const nearest = nearestName(key, Object.keys(field.fields));
  const hint = nearest === undefined ? '' : `, did you mean ${nearest}?`;
  found.warnings.push({ path, message: `is not an option and is ignored${hint}` });
}

/** `reporting: {bugsnag: }` asks for nothing. */
function isEmpty(value: Raw): boolean {
  if (value === null || value === '') return true;
  return typeof value !== 'string' && Object.values(value).every((item: Raw) => isEmpty(item));
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function describe(raw: Raw): string {
  if (typeof raw === 'string') return JSON.stringify(raw);
  return Array.isArray(raw) ? 'a list' : 'a map';
}
