import type { Json } from './scenario.ts';

const WIDTH = 110;

/**
 * YAML for people: what fits on a line stands on one, and the rest is in blocks. Every `fieldsV1` is one line, however
 * long, because nobody reads it but to compare. An empty line is set before each item of `steps`.
 */
export function writeYaml(value: Json): string {
  return `${block(value, 0, '').trimStart()}\n`;
}

function block(value: Json, indent: number, key: string): string {
  const line = flow(value);
  if (typeof value !== 'object' || value === null || isEmpty(value))
    return ` ${multiline(value, indent) ?? line}`;
  if (
    key === 'fieldsV1' ||
    (key !== '' && key !== 'steps' && indent + key.length + line.length + 2 <= WIDTH)
  ) {
    return ` ${line}`;
  }
  const pad = ' '.repeat(indent);
  if (isList(value)) {
    const gap = key === 'steps' ? '\n' : '';
    return value.map((item) => `${gap}\n${pad}- ${block(item, indent + 2, ' ').trimStart()}`).join('');
  }
  return Object.entries(value)
    .map(([name, item]) => `\n${pad}${scalar(name)}:${block(item, indent + (isList(item) ? 0 : 2), name)}`)
    .join('');
}

/** Text of several lines, as it stands; undefined where YAML could not keep it exactly. */
function multiline(value: Json, indent: number): string | undefined {
  if (typeof value !== 'string' || !value.includes('\n')) return undefined;
  if (!/^\S/.test(value) || !/[^\n]\n?$/.test(value) || /[^\n\x20-\x7e]|[ ]\n/.test(value)) return undefined;
  const pad = ' '.repeat(indent);
  const lines = value.replace(/\n$/, '').split('\n');
  return `|${value.endsWith('\n') ? '' : '-'}\n${lines.map((line) => (line === '' ? '' : pad + line)).join('\n')}`;
}

function flow(value: Json): string {
  if (isList(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => `${scalar(key, true)}: ${flow(item)}`);
    return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
  }
  return scalar(value, true);
}

/** Plain where YAML reads the very same text back, quoted as in JSON otherwise. */
function scalar(value: string | number | boolean | null, inFlow = false): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  // A colon is no part of these, but for field names of managedFields and for placeholders.
  const plain = inFlow ? /^[A-Za-z<./][A-Za-z0-9 ._/<>()*+=;-]*$/ : /^[A-Za-z<./][^\n\t"#:]*$/;
  const special = /^(true|false|null|yes|no|on|off|y|n|~|\.inf|\.nan|[.0-9-]+)$/i;
  const isPlain =
    (plain.test(value) || /^(f:[A-Za-z.\-/_]+|<[a-z]+:\d+>)$/.test(value)) &&
    !special.test(value) &&
    !value.endsWith(' ') &&
    value !== '<<';
  return isPlain ? value : JSON.stringify(value);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}
