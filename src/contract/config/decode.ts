import { parseDuration } from '../duration.ts';
import type {
  BooleanField,
  DurationField,
  Field,
  IntegerField,
  ObjectField,
  StringField,
  StringFormat,
} from './fields.ts';
import { unsupportedOptions } from './schema.ts';

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
  readonly warnings: ConfigProblem[];
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
    if (!Object.hasOwn(field.fields, key))
      reportUnknown(field, key, source[key] ?? null, join(path, key), found);
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
  if (isRawObject(value)) return field.aliases ? withoutAliases(value, field.aliases) : value;
  found.errors.push({ path, message: `must be a map, not ${describe(value)}` });
  return {};
}

function withoutAliases(
  value: { readonly [key: string]: Raw },
  aliases: Readonly<Record<string, string>>,
): Readonly<Record<string, Raw>> {
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      Object.hasOwn(aliases, key) ? (aliases[key] ?? key) : key,
      item,
    ]),
  );
}

function decode(field: Field, raw: Raw | undefined, path: string, found: Findings): unknown {
  if (field.type === 'object') {
    if (field.optional && (raw === undefined || (!field.namedByKey && isNothing(raw)))) return undefined;
    return decodeObject(field, raw, path, found);
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

interface ScalarRules {
  readonly whenAbsent: unknown;
  readonly required: boolean;
  readonly expected: string;
  readonly parse: (text: string) => unknown;
}

function scalarRules(field: BooleanField | IntegerField | DurationField): ScalarRules {
  if (field.type === 'boolean') {
    return { whenAbsent: field.default, required: false, expected: 'true or false', parse: parseBoolean };
  }
  if (field.type === 'integer') {
    const { minimum, maximum } = field;
    const expected = maximum === undefined ? `${minimum} or more` : `${minimum} to ${maximum}`;
    return {
      whenAbsent: field.default,
      required: isRequired(field),
      expected: `a whole number, ${expected}`,
      parse: (text) => within(minimum, maximum, parseInteger(text)),
    };
  }
  return {
    whenAbsent: field.default === undefined ? undefined : parseDuration(field.default),
    required: isRequired(field),
    expected: 'a duration such as 30s or 1h30m',
    parse: (text) => {
      const nanoseconds = parseInteger(text);
      return within(0, undefined, nanoseconds === undefined ? parseDuration(text) : nanoseconds / 1e6);
    },
  };
}

function isRequired(field: IntegerField | DurationField): boolean {
  return field.default === undefined && !field.optional;
}

function within(
  minimum: number,
  maximum = Number.MAX_SAFE_INTEGER,
  value: number | undefined,
): number | undefined {
  return value !== undefined && value >= minimum && value <= maximum ? value : undefined;
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
  if (raw === undefined || raw === null || (raw === '' && (field.optional || field.default !== undefined))) {
    if (field.default === undefined && !field.optional) found.errors.push({ path, message: 'is required' });
    return field.default;
  }
  if (typeof raw !== 'string') {
    found.errors.push({ path, message: `must be a string, not ${describe(raw)}` });
    return field.default;
  }
  const problem = checkString(field, raw);
  if (problem !== undefined) found.errors.push({ path, message: problem });
  else if (field.format === 'file') found.files.push({ path, file: raw });
  return field.format === 'url-path' ? normalizePath(raw) : raw;
}

const formats: Partial<
  Readonly<Record<StringFormat, { expected: string; holds: (text: string) => boolean }>>
> = {
  'absolute-path': { expected: 'an absolute path', holds: (text) => text.startsWith('/') },
  'url-path': {
    expected: 'a path such as /registry/',
    holds: (text) => /^\/?[A-Za-z0-9._~\-/]*$/.test(text),
  },
  regexp: { expected: 'a regular expression', holds: isRegularExpression },
  url: { expected: 'a URL such as https://registry.example.com', holds: isWebUrl },
};

function checkString(field: StringField, text: string): string | undefined {
  if (text === '') return 'is required';
  if (field.values && !field.values.includes(text)) {
    return `must be ${field.values.join(', ')}, not ${describe(text)}`;
  }
  const format = field.format && formats[field.format];
  if (format === undefined || format.holds(text)) return undefined;
  return `must be ${format.expected}, not ${describe(text)}`;
}

function isWebUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return (url?.protocol === 'https:' || url?.protocol === 'http:') && url.host !== '';
}

function isRegularExpression(text: string): boolean {
  try {
    return RegExp(text, 'u').unicode;
  } catch {
    return false;
  }
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

/** YAML 1.1's words, which Go takes for a field that is a boolean, quoted or not. */
function parseBoolean(text: string): boolean | undefined {
  switch (text.toLowerCase()) {
    case 'true':
    case 'yes':
    case 'on':
    case 'y':
      return true;
    case 'false':
    case 'no':
    case 'off':
    case 'n':
      return false;
    default:
      return undefined;
  }
}

/** YAML 1.1's integers: `1_000`, `0x1f`, `0b11`, `0o17` and `017`. */
function parseInteger(text: string): number | undefined {
  const plain = text.replaceAll('_', '');
  if (!/^[+-]?(?:0x[0-9a-fA-F]+|0b[01]+|0o?[0-7]*|[1-9]\d*)$/.test(plain)) return undefined;
  const sign = plain.startsWith('-') ? -1 : 1;
  const digits = plain.replace(/^[+-]/, '');
  const value = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return Number.isSafeInteger(value) ? sign * value : undefined;
}

function reportUnknown(field: ObjectField, key: string, value: Raw, path: string, found: Findings): void {
  const support = unsupportedOptions[path];
  if (support === undefined && leadsToUnsupported(path) && isRawObject(value)) {
    for (const [below, item] of Object.entries(value)) {
      reportUnknown({ type: 'object', fields: {}, description: '' }, below, item, join(path, below), found);
    }
  } else if (support === undefined) {
    const nearest = nearestName(key, [...Object.keys(field.fields), ...unsupportedBelow(path)]);
    const hint = nearest === undefined ? '' : `, did you mean ${nearest}?`;
    found.warnings.push({ path, message: `is not an option and is ignored${hint}` });
  } else if (support === 'refused' && !isEmpty(value, path)) {
    found.errors.push({ path, message: 'is not supported by this version' });
  } else {
    found.warnings.push({ path, message: 'is not supported by this version and has no effect' });
  }
}

/** True for an option of distribution's that this version lacks, and for a section of such options. */
export function leadsToUnsupported(path: string): boolean {
  return Object.keys(unsupportedOptions).some((option) => option === path || option.startsWith(`${path}.`));
}

/** `notifications: {endpoints: []}` and `proxy: {}` ask for nothing. A driver or provider is named by its key alone. */
function isEmpty(value: Raw, path: string): boolean {
  if (path.startsWith('storage.') || path.startsWith('auth.')) return false;
  if (value === null || value === '') return true;
  if (typeof value === 'string') return false;
  return Object.values(value).every((item: Raw) => isEmpty(item, path));
}

function unsupportedBelow(path: string): string[] {
  const parent = path.slice(0, path.lastIndexOf('.') + 1);
  return Object.keys(unsupportedOptions)
    .filter((name) => name.startsWith(parent) && !name.slice(parent.length).includes('.'))
    .map((name) => name.slice(parent.length));
}

/** The name that a typo most likely stands for: at most a third of its letters differ. */
export function nearestName(typo: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(typo.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(typo.toLowerCase(), name);
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one into the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function describe(raw: Raw): string {
  if (typeof raw === 'string') return JSON.stringify(raw);
  return Array.isArray(raw) ? 'a list' : 'a map';
}
