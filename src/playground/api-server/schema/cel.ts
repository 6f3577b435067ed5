import { isIP } from 'node:net';
import { Environment, Optional, type ParseResult } from '@marcbachmann/cel-js';
import { isJsonArray } from '../fields/json.ts';
import { isJsonObject, type Json, type StructuralSchema } from '../kind.ts';
import { parseQuantity } from './quantity.ts';

/** A rule cannot be compiled or evaluated; the message is worded as the API server's. */
export class RuleError extends Error {}

class Quantity {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }

  compareTo(other: Quantity): bigint {
    return this.nanos === other.nanos ? 0n : this.nanos < other.nanos ? -1n : 1n;
  }
}

class Url {
  readonly url: URL;

  constructor(url: URL) {
    this.url = url;
  }
}

/**
 * CEL with the part of Kubernetes' libraries that rules use most. What is missing makes a CustomResourceDefinition
 * that needs it invalid.
 *
 * @see https://kubernetes.io/docs/reference/using-api/cel/
 */
const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
  .registerVariable('self', 'dyn')
  .registerVariable('oldSelf', 'dyn')
  .registerType('Quantity', Quantity)
  .registerType('Url', Url)
  .registerFunction('isQuantity(string): bool', (text: string) => parseQuantity(text) !== undefined)
  .registerFunction('quantity(string): Quantity', (text: string) => {
    const nanos = parseQuantity(text);
    if (nanos === undefined) throw new RuleError('quantities must match the regular expression');
    return new Quantity(nanos);
  })
  .registerFunction('Quantity.compareTo(Quantity): int', (a: Quantity, b: Quantity) => a.compareTo(b))
  .registerFunction(
    'Quantity.isGreaterThan(Quantity): bool',
    (a: Quantity, b: Quantity) => a.compareTo(b) > 0n,
  )
  .registerFunction('Quantity.isLessThan(Quantity): bool', (a: Quantity, b: Quantity) => a.compareTo(b) < 0n)
  .registerFunction('Quantity.sign(): int', (a: Quantity) => a.compareTo(new Quantity(0n)))
  .registerFunction('isIP(string): bool', (text: string) => isIP(text) !== 0 && !text.includes('%'))
  .registerFunction('isCIDR(string): bool', isCidr)
  .registerFunction('isURL(string): bool', (text: string) => URL.canParse(text) || text.startsWith('/'))
  .registerFunction('url(string): Url', (text: string) => {
    if (!URL.canParse(text)) throw new RuleError(`URL parse error during conversion from string: ${text}`);
    return new Url(new URL(text));
  })
  .registerFunction('Url.getScheme(): string', ({ url }: Url) => url.protocol.slice(0, -1))
  .registerFunction('Url.getHost(): string', ({ url }: Url) => url.host)
  .registerFunction('Url.getHostname(): string', ({ url }: Url) => url.hostname)
  .registerFunction('Url.getPort(): string', ({ url }: Url) => url.port)
  .registerFunction('Url.getEscapedPath(): string', ({ url }: Url) => url.pathname);

function isCidr(text: string): boolean {
  const [address = '', length = ''] = text.split('/');
  const version = isIP(address);
  return version !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128);
}

const compiled = new Map<string, ParseResult>();

/** Throws RuleError when an expression cannot be evaluated whatever its variables are. */
export function compile(expression: string): ParseResult {
  const known = compiled.get(expression);
  if (known !== undefined) return known;
  try {
    const program = environment.parse(expression);
    const { valid, error } = program.check();
    if (!valid) throw error ?? new Error('not valid');
    compiled.set(expression, program);
    return program;
  } catch (error) {
    throw new RuleError(`compilation failed: ERROR: <input>: ${summary(error)}`, { cause: error });
  }
}

export interface Variables {
  /** Of both values. */
  readonly schema: StructuralSchema;
  readonly self: Json;
  readonly oldSelf: Json | undefined;
  /** Whether the rule has oldSelf as an optional value, which may be none. */
  readonly isOptional: boolean;
}

/** The value of an expression. Integers are bigints. @throws {RuleError} */
export function evaluate(expression: string, { schema, self, oldSelf, isOptional }: Variables): unknown {
  const program = compile(expression);
  const old = oldSelf === undefined ? undefined : celValue(schema, oldSelf);
  const wrapped = old === undefined ? Optional.none() : Optional.of(old);
  try {
    return program({ self: celValue(schema, self), oldSelf: isOptional ? wrapped : old });
  } catch (error) {
    const text = error instanceof RuleError ? error.message : summary(error);
    // Worded as by cel-go.
    if (text.startsWith('Invalid duration string')) {
      throw new RuleError("type conversion error from 'string' to 'google.protobuf.Duration'", {
        cause: error,
      });
    }
    throw new RuleError(text.replace(/^No such key/, 'no such key'), { cause: error });
  }
}

function summary(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'summary' in error && typeof error.summary === 'string' ? error.summary : error.message;
}

type CelValue = string | number | bigint | boolean | null | CelValue[] | Date | { [key: string]: CelValue };

/** JSON as CEL has it by its schema: integers are not doubles, and times are no strings. */
function celValue(schema: StructuralSchema, value: Json): CelValue {
  if (isJsonArray(value)) return value.map((item) => celValue(schema.items ?? {}, item));
  if (isJsonObject(value)) {
    const { properties = {}, additionalProperties } = schema;
    const others = typeof additionalProperties === 'object' ? additionalProperties : {};
    const entries = Object.entries(value).map(([name, item]) => {
      const known = Object.hasOwn(properties, name) ? properties[name] : others;
      return [name, celValue(known ?? others, item)] as const;
    });
    return Object.fromEntries(entries);
  }
  if (typeof value === 'number')
    return Number.isInteger(value) && schema.type !== 'number' ? BigInt(value) : value;
  if (typeof value === 'string' && schema.format === 'date-time') return new Date(value);
  return value;
}
