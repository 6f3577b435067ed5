import { at, text } from './kinds/read.ts';
import { type JsonObject, type Kind } from './kind.ts';
import { qualifiedNameProblems } from './metadata.ts';
import { badRequest } from './status-error.ts';

export type Matcher = (object: JsonObject) => boolean;

const REQUIREMENT = /^(!?)\s*([\w./-]+)\s*(?:(==?|!=)\s*([\w.-]*)|(in|notin)\s*\(([^()]*)\))?$/;

/** Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k`. @throws {StatusError} 400 */
export function parseLabelSelector(selector: string): Matcher {
  const terms = selector.trim() === '' ? [] : selector.split(/,(?![^(]*\))/);
  const tests = terms.map(parseRequirement);
  return (object) => tests.every((test) => test(object));
}

function parseRequirement(term: string): Matcher {
  const refuse = (why: string) => badRequest(`unable to parse requirement: ${why}`);
  const match = REQUIREMENT.exec(term.trim());
  if (match === null) throw refuse(`${JSON.stringify(term)} is none that is known here`);
  const [, not = '', key = '', equality, value, membership, list] = match;
  const values = list?.split(',').map((item) => item.trim()) ?? [value ?? ''];
  const [keyProblem] = qualifiedNameProblems(key);
  if (keyProblem !== undefined) throw refuse(`key: Invalid value: ${JSON.stringify(key)}: ${keyProblem}`);
  const isNegative = not === '!' || equality === '!=' || membership === 'notin';
  const isAny = equality === undefined && membership === undefined;
  return (object) => {
    const label = at(object, 'metadata', 'labels', key);
    const isMatch = typeof label === 'string' && (isAny || values.includes(label));
    return isMatch !== isNegative;
  };
}

/** Reads `metadata.name=a,status.phase!=Running`; every kind has its own fields. @throws {StatusError} 400 */
export function parseFieldSelector(kind: Kind, selector: string): Matcher {
  const terms = selector.split(/(?<!\\),/).filter((term) => term !== '');
  const tests = terms.map((term): Matcher => {
    const match = /^([^=!]*)(!=|==|=)(.*)$/s.exec(term);
    if (match === null) throw badRequest(`invalid selector: '${selector}'; can't understand '${term}'`);
    const [, field = '', operator, escaped = ''] = match;
    const value = escaped.replaceAll(/\\([\\,=])/g, '$1');
    const read = readerOf(kind, field);
    return (object) => (read(object) === value) === (operator !== '!=');
  });
  return (object) => tests.every((test) => test(object));
}

function readerOf({ selectable = {}, custom }: Kind, field: string): (object: JsonObject) => string {
  if (field === 'metadata.name' || field === 'metadata.namespace') {
    return (object) => text(object, ...field.split('.'));
  }
  const read = Object.hasOwn(selectable, field) ? selectable[field] : undefined;
  if (read !== undefined) return read;
  if (custom || Object.keys(selectable).length > 0) throw badRequest(`field label not supported: ${field}`);
  throw badRequest(
    `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
  );
}
