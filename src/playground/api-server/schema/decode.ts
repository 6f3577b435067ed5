import { isJsonArray, objectOf } from '../fields/json.ts';
import { isJsonObject, type Json, type JsonObject, type Kind, type StructuralSchema } from '../kind.ts';
import { definedSchema, definitionName } from '../kinds/recorded.ts';
import { parseQuantity, QUANTITY_RULE } from './quantity.ts';
import { applyDefaults, prune } from './structural.ts';

/** The object cannot be read as one of its kind; the message is what Go's decoder would say. */
export class DecodeError extends Error {}

export interface Decoded {
  readonly object: JsonObject;
  /** Paths of fields that the schema does not know; they are not in the object. */
  readonly unknown: readonly string[];
}

const META = definedSchema('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');

/**
 * Reads a request's body as an object of `kind`, as the API server does: unknown fields are dropped, a null is as
 * absent, and of a custom kind the schema's defaults are filled in. What server-side apply made of a custom object has
 * been checked for unknown fields, and keeps its nulls. @throws {DecodeError}
 */
export function decodeObject(kind: Kind, body: JsonObject, isApplied = false): Decoded {
  const unknown: string[] = [];
  if (!kind.custom) {
    const reader = new Reader(unknown);
    return { object: reader.struct(kind.schema, body, ''), unknown };
  }
  const { metadata = {}, ...rest } = body;
  if (!isJsonObject(metadata)) {
    throw new DecodeError('metadata is not of type object');
  }
  const inMetadata: string[] = [];
  const meta = new Reader(inMetadata, 'metadata.').struct(META, metadata, '');
  const pruned = isApplied ? rest : prune(kind.schema, rest, '', unknown);
  const object = applyDefaults(kind.schema, pruned);
  // The root of a schema is an object.
  return {
    object: { ...(object as JsonObject), metadata: meta },
    unknown: inMetadata.concat(unknown.sort()),
  };
}

/** Reads JSON into what would be Go structs. `prefix` is of the paths of unknown fields alone. */
class Reader {
  readonly #unknown: string[];
  readonly #prefix: string;

  constructor(unknown: string[], prefix = '') {
    this.#unknown = unknown;
    this.#prefix = prefix;
  }

  struct(schema: StructuralSchema, value: JsonObject, path: string): JsonObject {
    const { properties = {}, required = [] } = schema;
    const fields = new Map<string, Json>();
    for (const [name, child] of Object.entries(value)) {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
      const childPath = path === '' ? name : `${path}.${name}`;
      if (property === undefined) this.#unknown.push(this.#prefix + childPath);
      else if (child !== null) {
        const read = this.#value(property, child, childPath);
        if (!isEmpty(property, read)) fields.set(name, read);
      }
    }
    for (const [name, property] of Object.entries(properties)) {
      if (fields.has(name)) continue;
      const absent = absentValue(property, required.includes(name));
      if (absent === undefined || (path === '' && name === 'metadata')) continue;
      fields.set(name, isJsonObject(absent) ? this.struct(property, {}, `${path}.${name}`) : absent);
    }
    return objectOf(fields);
  }

  #value(schema: StructuralSchema, value: Json, path: string): Json {
    // Without the value, which may be a secret.
    const fail = (): never => {
      throw new DecodeError(`${path} is not of type ${schema.type ?? 'string'}`);
    };
    const name = definitionName(schema);
    if (name?.endsWith('.Quantity') === true) return readQuantity(value);
    if (name?.endsWith('Time') === true && schema.type === 'string') return readTime(value, name);
    if (schema['x-kubernetes-preserve-unknown-fields'] === true || name?.endsWith('.FieldsV1') === true) {
      return value;
    }
    if (schema.format === 'int-or-string') {
      return typeof value === 'number' || typeof value === 'string' ? value : fail();
    }
    switch (schema.type) {
      case 'object':
        if (!isJsonObject(value)) return fail();
        return schema.properties ? this.struct(schema, value, path) : this.#map(schema, value, path);
      case 'array': {
        if (!isJsonArray(value)) return fail();
        const { items = {} } = schema;
        return value.map((item, index) => this.#value(items, item, `${path}[${index}]`));
      }
      case 'integer':
        return Number.isInteger(value) ? value : fail();
      case 'number':
        return typeof value === 'number' ? value : fail();
      case 'string':
        if (typeof value !== 'string') return fail();
        return schema.format === 'byte' ? readBase64(value) : value;
      case 'boolean':
        return typeof value === 'boolean' ? value : fail();
      case undefined:
      default:
        return value;
    }
  }

  #map(schema: StructuralSchema, value: JsonObject, path: string): JsonObject {
    const values = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
    const entries = Object.entries(value).map(
      ([key, item]) => [key, this.#value(values, item ?? '', path)] as const,
    );
    return objectOf(entries);
  }
}

/** What Go writes for a field that nobody set: structs, and what is not marked omitempty. */
function absentValue(schema: StructuralSchema, isRequired: boolean): Json | undefined {
  if (schema.default !== undefined) return schema.default;
  return isRequired && schema.type === 'array' ? null : undefined;
}

function isEmpty(schema: StructuralSchema, value: Json): boolean {
  if (isJsonArray(value)) return value.length === 0;
  return isJsonObject(value) && schema.additionalProperties !== undefined && Object.keys(value).length === 0;
}

function readQuantity(value: Json): string {
  const text = typeof value === 'object' ? '' : String(value);
  if (parseQuantity(text) === undefined) throw new DecodeError(QUANTITY_RULE);
  return text;
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function readTime(value: Json, name: string): string {
  const isMicro = name.endsWith('MicroTime');
  if (typeof value !== 'string' || !TIME.test(value) || Number.isNaN(Date.parse(value))) {
    const layout = isMicro ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00';
    const text = JSON.stringify(value);
    throw new DecodeError(`parsing time ${text} as "${layout}": cannot parse ${text} as "2006"`);
  }
  const [, fraction = ''] = /\.(\d+)/.exec(value) ?? [];
  const seconds = new Date(Math.floor(Date.parse(value) / 1000) * 1000).toISOString().slice(0, 19);
  return isMicro ? `${seconds}.${fraction.padEnd(6, '0').slice(0, 6)}Z` : `${seconds}Z`;
}

function readBase64(value: string): string {
  const text = value.replaceAll(/[\r\n]/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    throw new DecodeError('illegal base64 data');
  }
  return text;
}
