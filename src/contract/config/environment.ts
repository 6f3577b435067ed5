import { nearestName } from '../nearest-name.ts';
import { expandBareKey, isRawObject, type Findings, type Raw } from './decode.ts';
import type { Field, ObjectField } from './fields.ts';
import { configSchema } from './schema.ts';
import { parseYaml } from './yaml.ts';

const PREFIX = 'REGISTRY_';

/** Names the configuration file itself; not an override. */
export const CONFIG_PATH_VARIABLE = 'REGISTRY_CONFIGURATION_PATH';

/*
 * A Service called `registry` or `registry-…` makes the kubelet set REGISTRY_PORT=tcp://10.0.0.1:5000 and the like in
 * every pod of its namespace. docker distribution takes them for configuration and dies. No option of its has such a name.
 */
const SERVICE_LINK_NAME =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const SERVICE_LINK_VALUE = /^(?:tcp|udp|sctp):\/\/[0-9a-fA-F.:[\]]+:\d+$/;

/**
 * Applies `REGISTRY_A_B=value` to the document, in lexical order of the names, so that REGISTRY_STORAGE comes before
 * REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY. A value is YAML of its own.
 */
export function applyEnvironment(
  document: Raw,
  environment: Readonly<Record<string, string | undefined>>,
  found: Findings,
): Raw {
  let result = document;
  for (const name of Object.keys(environment).toSorted()) {
    const text = environment[name];
    if (!name.startsWith(PREFIX) || name === CONFIG_PATH_VARIABLE || text === undefined) continue;
    if (SERVICE_LINK_NAME.test(name) || SERVICE_LINK_VALUE.test(text)) continue;
    const value = parseYaml(text, name, found);
    if (value === undefined) continue;
    try {
      result = override(configSchema, result, name.slice(PREFIX.length).split('_'), '', value);
    } catch (error) {
      if (!(error instanceof OverrideProblem)) throw error;
      found[error.kind].push({ path: name, message: error.message });
    }
  }
  return result;
}

class OverrideProblem extends Error {
  override readonly name = 'OverrideProblem';
  readonly kind: 'errors' | 'warnings';
  constructor(kind: 'errors' | 'warnings', message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The document with the value at the place that the rest of a variable's name leads to. */
function override(
  field: Field,
  raw: Raw | undefined,
  names: readonly string[],
  path: string,
  value: Raw,
): Raw {
  if (names.length === 0) return value;
  const expanded = expandBareKey(field, raw);
  const source = isRawObject(expanded) ? expanded : {};
  if (field.type === 'map') return overrideMap(field.of, source, names, value);
  if (field.type === 'list') return overrideItem(field.of, raw, names, path, value);
  // Whatever is below it has no effect, and the name of it is enough to say so.
  if (field.type === 'obsolete') return value;
  if (field.type !== 'object') throw unknownVariable();
  return overrideField(field, source, names, path, value);
}

function overrideField(
  field: ObjectField,
  source: { readonly [key: string]: Raw },
  names: readonly string[],
  path: string,
  value: Raw,
): Raw {
  const name = names[0] ?? '';
  if (name !== name.toUpperCase()) throw unknownVariable(nearestName(name, Object.keys(field.fields)));
  const { key, child, rest } = namedField(field, names);
  const childPath = path === '' ? key : `${path}.${key}`;
  if (child === undefined) throw unknownVariable(nearestName(key, Object.keys(field.fields)));
  return { ...source, [key]: override(child, source[key], rest, childPath, value) };
}

/** The field that a name, or several together, stand for: a few options have a `_` of their own, as in `max_retries`. */
function namedField(
  field: ObjectField,
  names: readonly string[],
): { readonly key: string; readonly child: Field | undefined; readonly rest: readonly string[] } {
  for (let count = 1; count <= names.length; count++) {
    const written = names.slice(0, count).join('_').toLowerCase();
    const key = field.aliases?.[written] ?? written;
    if (Object.hasOwn(field.fields, key)) return { key, child: field.fields[key], rest: names.slice(count) };
  }
  return { key: (names[0] ?? '').toLowerCase(), child: undefined, rest: names.slice(1) };
}

function unknownVariable(nearest?: string): OverrideProblem {
  const hint = nearest === undefined ? '' : `, did you mean ${nearest.toUpperCase()}?`;
  return new OverrideProblem('warnings', `names no option and is ignored${hint}`);
}

function overrideMap(
  of: 'string' | 'list',
  source: { readonly [key: string]: Raw },
  names: readonly string[],
  value: Raw,
): Raw {
  const last = names.at(-1) ?? '';
  const index = of === 'list' && names.length > 1 ? itemIndex(last) : undefined;
  const wanted = (index === undefined ? names : names.slice(0, -1)).join('_');
  const key =
    Object.keys(source).find((name) => name.toUpperCase() === wanted.toUpperCase()) ?? wanted.toLowerCase();
  if (index === undefined) return { ...source, [key]: value };
  const list: readonly Raw[] = Array.isArray(source[key]) ? source[key] : [];
  return { ...source, [key]: withItem(list, index, value) };
}

function overrideItem(
  of: Field,
  raw: Raw | undefined,
  names: readonly string[],
  path: string,
  value: Raw,
): Raw {
  const [name = '', ...rest] = names;
  const index = itemIndex(name);
  if (index === undefined) throw unknownVariable();
  const list: readonly Raw[] = Array.isArray(raw) ? raw : [];
  return withItem(list, index, override(of, list[index], rest, `${path}.${index}`, value));
}

function itemIndex(name: string): number | undefined {
  return /^\d+$/.test(name) ? Number(name) : undefined;
}

/** @throws OverrideProblem past the end of the list: only an item that is there, or the next, can be set. */
function withItem(list: readonly Raw[], index: number, value: Raw): readonly Raw[] {
  if (index <= list.length) return [...list.slice(0, index), value, ...list.slice(index + 1)];
  throw new OverrideProblem(
    'errors',
    `sets item ${index} of a list of ${list.length}: the next is ${list.length}`,
  );
}
