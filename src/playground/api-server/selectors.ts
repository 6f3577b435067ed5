import { at } from './kinds/read.ts';
import { type JsonObject, type Kind } from './kind.ts';
import { labelValueProblems, qualifiedNameProblems } from './metadata.ts';
import { badRequest } from './status-error.ts';

export type Matcher = (object: JsonObject) => boolean;

const TOKEN = /\s*(==|!=|=|!|\(|\)|,|<|>|[-A-Za-z0-9_./]+|.)\s*/gy;

interface Requirement {
  readonly key: string;
  readonly operator: '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | '<' | '>';
  readonly values: readonly string[];
}

/** Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. @throws {StatusError} 400, worded as the API server's parser */
export function parseLabelSelector(text: string): Matcher {
  const tokens = Array.from(text.trim().matchAll(TOKEN), ([, token = '']) => token);
  const requirements: Requirement[] = [];
  let index = 0;
  const fail = (expected: string, found = tokens[index] ?? ''): never => {
    throw badRequest(`found '${found}', ${expected}`);
  };
  while (index < tokens.length) {
    if (!isWord(tokens[index]) && tokens[index] !== '!') fail("expected: !, identifier, or 'end of string'");
    const { requirement, end } = parseRequirement(tokens, index);
    requirements.push(requirement);
    index = end;
    if (index === tokens.length) break;
    if (tokens[index] !== ',') fail("expected: ',' or 'end of string'");
    index++;
    if (!isWord(tokens[index]) && tokens[index] !== '!') fail("expected: identifier after ','");
  }
  return (object) =>
    requirements.every((requirement) =>
      holds(requirement, at(object, 'metadata', 'labels', requirement.key)),
    );
}

const isWord = (token: string | undefined): boolean =>
  token !== undefined && /^[-A-Za-z0-9_./]+$/.test(token);

function parseRequirement(
  tokens: readonly string[],
  start: number,
): { readonly requirement: Requirement; readonly end: number } {
  const fail = (why: string): never => {
    throw badRequest(`unable to parse requirement: ${why}`);
  };
  const checked = (requirement: Requirement, end: number) => {
    for (const why of qualifiedNameProblems(requirement.key)) {
      fail(`key: Invalid value: ${JSON.stringify(requirement.key)}: ${why}`);
    }
    for (const [place, value] of requirement.values.entries()) {
      const [why] = labelValueProblems(value);
      if (why !== undefined)
        fail(`values[${place}][${requirement.key}]: Invalid value: ${JSON.stringify(value)}: ${why}`);
    }
    return { requirement, end };
  };
  const isNegated = tokens[start] === '!';
  let index = isNegated ? start + 1 : start;
  const key = tokens[index++] ?? '';
  if (!isWord(key)) fail(`found '${key}', expected: identifier`);
  const operator = tokens[index] ?? ',';
  if (isNegated || operator === ',') {
    return checked({ key, operator: isNegated ? '!' : 'exists', values: [] }, index);
  }
  index++;
  if (operator === 'in' || operator === 'notin') {
    if (tokens[index] !== '(') fail(`found '${tokens[index] ?? ''}' expected: '('`);
    const close = tokens.indexOf(')', index);
    if (close === -1) fail("found '', expected: ',' or ')'");
    return checked(
      { key, operator, values: tokens.slice(index + 1, close).filter((token) => token !== ',') },
      close + 1,
    );
  }
  if (!['=', '==', '!=', '<', '>'].includes(operator))
    fail(`found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
  // One of those in the list above; nothing behind it is the empty value.
  const plain = (operator === '==' ? '=' : operator) as Requirement['operator'];
  const value = tokens[index] ?? ',';
  if (value === ',') return checked({ key, operator: plain, values: [''] }, index);
  if (!isWord(value)) fail(`found '${value}', expected: identifier`);
  return checked({ key, operator: plain, values: [value] }, index + 1);
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
