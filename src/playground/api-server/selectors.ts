import { at } from './kinds/read.ts';
import { type JsonObject, type Kind } from './kind.ts';
import { badRequest } from './status-error.ts';

export type Matcher = (object: JsonObject) => boolean;

const TOKEN = /\s*(==|!=|=|!|\(|\)|,|<|>|[-A-Za-z0-9_./]+|.)\s*/gy;

interface Requirement {
  readonly key: string;
  readonly operator: '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | '<' | '>';
  readonly values: readonly string[];
}

/** Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. @throws {StatusError} 400 */
export function parseLabelSelector(text: string): Matcher {
  const tokens = Array.from(text.trim().matchAll(TOKEN), ([, token = '']) => token);
  const requirements: Requirement[] = [];
  let index = 0;
  const next = (): string => tokens[index++] ?? '';
  const fail = (found: string, expected: string): never => {
    throw badRequest(`unable to parse requirement: found '${found}', expected: ${expected}`);
  };
  const identifier = (): string => {
    const token = next();
    return /^[-A-Za-z0-9_./]+$/.test(token) ? token : fail(token, 'identifier');
  };
  const list = (): readonly string[] => {
    if (next() !== '(') fail(tokens[index - 1] ?? '', "'('");
    const values: string[] = [];
    for (let token = next(); ; token = next()) {
      if (token === ')') return values;
      if (token === ',') continue;
      if (!/^[-A-Za-z0-9_./]+$/.test(token)) fail(token, "',', ')' or identifier");
      values.push(token);
    }
  };
  while (index < tokens.length) {
    const isNegated = tokens[index] === '!';
    if (isNegated) index++;
    const key = identifier();
    const operator = tokens[index] ?? ',';
    if (isNegated || operator === ',') {
      requirements.push({ key, operator: isNegated ? '!' : 'exists', values: [] });
    } else if (operator === 'in' || operator === 'notin') {
      index++;
      requirements.push({ key, operator, values: list() });
    } else if (['=', '==', '!=', '<', '>'].includes(operator)) {
      index++;
      // Nothing behind it is the empty value.
      const value = tokens[index] === undefined || tokens[index] === ',' ? '' : identifier();
      const plain = operator === '==' ? '=' : operator;
      // One of those in the list above.
      requirements.push({ key, operator: plain as Requirement['operator'], values: [value] });
    } else fail(operator, `in, notin, =, ==, !=, gt, lt`);
    if (index < tokens.length && next() !== ',') fail(tokens[index - 1] ?? '', "',' or 'end of string'");
  }
  return (object) =>
    requirements.every((requirement) =>
      holds(requirement, at(object, 'metadata', 'labels', requirement.key)),
    );
}

function holds({ operator, values }: Requirement, label: unknown): boolean {
  const isThere = typeof label === 'string';
  switch (operator) {
    case 'exists':
      return isThere;
    case '!':
      return !isThere;
    case '=':
    case 'in':
      return isThere && values.includes(label);
    case '!=':
    case 'notin':
      return !isThere || !values.includes(label);
    case '<':
      return isThere && Number(label) < Number(values[0]);
    case '>':
    default:
      return isThere && Number(label) > Number(values[0]);
  }
}

/** Reads `metadata.name=a,status.phase!=Running`; every kind has its own fields. @throws {StatusError} 400 */
export function parseFieldSelector(kind: Kind, text: string): Matcher {
  const terms = text.split(/(?<!\\),/).filter((term) => term !== '');
  const tests = terms.map((term): Matcher => {
    const match = /^([^=!]*)(!=|==|=)(.*)$/s.exec(term);
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field = '', operator, escaped = ''] = match;
    const value = escaped.replaceAll(/\\([\\,=])/g, '$1');
    const read = readerOf(kind, field);
    return (object) => (read(object) === value) === (operator !== '!=');
  });
  return (object) => tests.every((test) => test(object));
}

function readerOf(kind: Kind, field: string): (object: JsonObject) => string {
  if (field === 'metadata.name' || field === 'metadata.namespace') {
    return (object) => {
      const value = at(object, ...field.split('.'));
      return typeof value === 'string' ? value : '';
    };
  }
  const { selectable } = kind;
  const read = selectable && Object.hasOwn(selectable, field) ? selectable[field] : undefined;
  if (read !== undefined) return read;
  if (selectable !== undefined || kind.custom) throw badRequest(`field label not supported: ${field}`);
  throw badRequest(
    `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
  );
}
