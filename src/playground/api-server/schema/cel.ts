import { isIP } from 'node:net';
import { Environment, type ParseResult } from '@marcbachmann/cel-js';
import { isJsonArray } from '../fields/json.ts';
import { isJsonObject, type Json, type StructuralSchema } from '../kind.ts';
import { parseQuantity } from './quantity.ts';
import { schemaOf } from './structural.ts';

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

/**
 * CEL with the part of Kubernetes' libraries that the program's own rules use. What is missing makes a
 * CustomResourceDefinition that needs it invalid.
 *
 * @see https://kubernetes.io/docs/reference/using-api/cel/
 */
const environment = new Environment({ homogeneousAggregateLiterals: false })
  .registerVariable('self', 'dyn')
  .registerVariable('oldSelf', 'dyn')
  .registerType('Quantity', Quantity)
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
  .registerFunction('isIP(string): bool', (text: string) => isIP(text) !== 0 && !text.includes('%'))
  .registerFunction('isCIDR(string): bool', (text: string) => {
    const [, address = '', length = ''] = /^([^/%]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
    return isIP(address) !== 0 && Number(length) <= (isIP(address) === 4 ? 32 : 128);
  });

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

interface Variables {
  /** Of both values. */
  readonly schema: StructuralSchema;
  readonly self: Json;
  readonly oldSelf: Json | undefined;
}

/** The value of an expression. Integers are bigints. @throws {RuleError} */
export function evaluate(expression: string, { schema, self, oldSelf }: Variables): unknown {
  const program = compile(expression);
  const old = oldSelf === undefined ? undefined : celValue(schema, oldSelf);
  try {
    return program({ self: celValue(schema, self), oldSelf: old });
  } catch (error) {
    throw new RuleError(error instanceof RuleError ? error.message : summary(error), { cause: error });
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
    const entries = Object.entries(value).map(
      ([name, item]) => [name, celValue(schemaOf(schema, name) ?? {}, item)] as const,
    );
    return Object.fromEntries(entries);
  }
  if (typeof value === 'number')
    return Number.isInteger(value) && schema.type !== 'number' ? BigInt(value) : value;
  if (typeof value === 'string' && schema.format === 'date-time') return new Date(value);
  return value;
}
