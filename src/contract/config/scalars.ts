import { RE2JS, RE2JSSyntaxException } from 're2js';
import { parseDuration } from '../duration.ts';
import type { BooleanField, DurationField, IntegerField, StringField, StringFormat } from './fields.ts';

/** How a scalar that is no string is read, and what to say when it cannot be. */
export interface ScalarRules {
  readonly whenAbsent: unknown;
  readonly required: boolean;
  readonly expected: string;
  /** @returns undefined when the text is none of the kind. */
  readonly parse: (text: string) => unknown;
}

export function scalarRules(field: BooleanField | IntegerField | DurationField): ScalarRules {
  if (field.type === 'boolean') {
    const required = field.default === undefined && !field.optional;
    return { whenAbsent: field.default, required, expected: 'true or false', parse: parseBoolean };
  }
  const rules = field.type === 'integer' ? integerRules(field) : durationRules(field);
  if (!field.zeroIsDefault) return rules;
  return { ...rules, parse: (text) => (isZero(text) ? rules.whenAbsent : rules.parse(text)) };
}

function integerRules(field: IntegerField): ScalarRules {
  const { minimum, maximum } = field;
  const range = maximum === undefined ? `${minimum} or more` : `${minimum} to ${maximum}`;
  return {
    whenAbsent: field.default,
    required: field.default === undefined && !field.optional,
    expected: `a whole number, ${range}`,
    parse: (text) => within(minimum, maximum, parseInteger(text)),
  };
}

/** A bare number is nanoseconds, as in Go. */
function durationRules(field: DurationField): ScalarRules {
  return {
    whenAbsent: field.default === undefined ? undefined : parseDuration(field.default),
    required: field.default === undefined && !field.optional,
    expected: 'a duration such as 30s or 1h30m',
    parse: (text) => {
      const nanoseconds = parseInteger(text);
      return within(0, undefined, nanoseconds === undefined ? parseDuration(text) : nanoseconds / 1e6);
    },
  };
}

function isZero(text: string): boolean {
  return parseInteger(text) === 0 || parseDuration(text) === 0;
}

function within(
  minimum: number,
  maximum = Number.MAX_SAFE_INTEGER,
  value: number | undefined,
): number | undefined {
  return value !== undefined && value >= minimum && value <= maximum ? value : undefined;
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

const formats: Partial<
  Readonly<Record<StringFormat, { expected: string; holds: (text: string) => boolean }>>
> = {
  'absolute-path': { expected: 'an absolute path', holds: (text) => text.startsWith('/') },
  'url-path': {
    expected: 'a path such as /registry/',
    holds: (text) => /^\/?[A-Za-z0-9._~\-/]*$/.test(text),
  },
  regexp: { expected: "a regular expression in Go's syntax", holds: isRegularExpression },
  url: { expected: 'a URL such as https://registry.example.com', holds: isWebUrl },
};

/** @returns what a string would have to be, undefined when it is right. */
export function expectedOfString(field: StringField, text: string): string | undefined {
  if (field.values && !field.values.includes(text)) return field.values.join(', ');
  const format = field.format && formats[field.format];
  return format === undefined || format.holds(text) ? undefined : format.expected;
}

function isWebUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return (url?.protocol === 'https:' || url?.protocol === 'http:') && url.host !== '';
}

function isRegularExpression(text: string): boolean {
  try {
    RE2JS.compile(text);
    return true;
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return false;
    throw error;
  }
}
