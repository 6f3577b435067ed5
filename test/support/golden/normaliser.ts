import { mergeBookmarks, reduceDiscovery, sortCauses, sortManagers } from './canonical.ts';
import type { Answer, Json, JsonObject } from './scenario.ts';

/**
 * What a server chooses freely, as a placeholder in what is compared:
 *
 *   <namespace> <other>    the namespaces of the scenario
 *   <uid:N>                any UUID that no request names
 *   <version:N>            the resourceVersion of an object
 *   <list:N>               that of a list, a Table or a bookmark: another at each mention, as other writes come between
 *   <continue:N>           the token for the next part of a list
 *   <time> <microtime>     a time that no request names
 *   <age>                  a cell of a Table with the time since
 *   <suffix:N>             what the server appended to a generateName
 *   <hash>                 that of an OpenAPI document
 *   <address>              where the server listens
 *   <ip:N> <port:N>        a clusterIP, a nodePort
 *   <reason>               why a token for the next part is none
 *   <object>               a whole object as it would be stored, in a message
 *   <change>               what an immutable object would have become, as lines of a diff, in a message
 *   <media types>          the list of what the server reads or writes: ours leaves out protobuf and CBOR
 *
 * Discovery is reduced to the kinds that the playground has. The mistakes of an invalid object come in no order, and managers in that of the seconds of their last change: both are
 * sorted.
 *
 * Numbers count first mentions in a scenario, so that what is equal in one answer and the next stays so.
 */
export class Normaliser {
  readonly #placeholders = new Map<string, string>();
  readonly #taken = new Set<string>();
  readonly #next = new Map<string, number>();
  readonly #nextInAnswer = new Map<string, number>();
  readonly #asked: string;
  readonly #prefixes: readonly string[];

  /**
   * `asked`: the text of all requests. `names`: values that are known before the first answer, with their placeholders.
   * `isReplay`: what no recorded answer mentions gets a number that none has.
   */
  constructor(asked: string, names: ReadonlyMap<string, string>, isReplay: boolean) {
    if (isReplay) for (const kind of ['uid', 'version']) this.#next.set(kind, 9_000);
    this.#asked = asked;
    this.#prefixes = [...asked.matchAll(/"generateName":"([^"]+)"/g)].map(([, prefix = '']) =>
      prefix.slice(0, 58),
    );
    for (const [value, placeholder] of names) this.#placeholders.set(value, placeholder);
  }

  /** Of an answer as it came, for comparing. `expected`, if known, gives first mentions their numbers. */
  normalise(answer: Answer, expected?: Answer): Answer {
    this.#nextInAnswer.clear();
    this.#adopt(expected?.body ?? null, answer.body ?? null, []);
    const events = answer.events && mergeBookmarks(answer.events);
    for (const [index, event] of (events ?? []).entries()) {
      this.#adopt(expected?.events?.[index] ?? null, event, []);
    }
    this.#learnGeneratedNames(answer.body ?? null);
    const body = answer.body === undefined ? undefined : this.#value(reduceDiscovery(answer.body), []);
    return {
      status: answer.status,
      ...(answer.headers && {
        headers: this.#object(answer.headers, []) as Readonly<Record<string, string>>,
      }),
      ...(body !== undefined && { body: sortCauses(body) }),
      ...(events && { events: events.map((event) => this.#value(event, [])) }),
    };
  }

  /** Binds what is at the place of a placeholder to it, so that one difference does not shift all later numbers. */
  #adopt(expected: Json, actual: Json, path: readonly string[]): void {
    if (typeof expected === 'string') {
      const [, kind = '', number = ''] = /^<([a-z]+):(\d+)>$/.exec(expected) ?? [];
      // These are another at each mention, so it is enough to go on from there.
      if (kind === 'list' || kind === 'continue') {
        this.#next.set(kind, Math.min(Number(number) - 1, this.#nextInAnswer.get(kind) ?? Infinity));
        this.#nextInAnswer.set(kind, this.#next.get(kind) ?? 0);
      }
      if (typeof actual !== 'string' && typeof actual !== 'number') return;
      const isSame = this.#kindAt(path, actual) === kind || (kind === 'uid' && UUID.test(String(actual)));
      const key = kind === 'version' ? `version ${actual}` : String(actual);
      if (isSame && !this.#placeholders.has(key) && !this.#taken.has(expected)) this.#bind(key, expected);
    } else if (isBranch(expected) && isBranch(actual)) {
      for (const [name, value] of Object.entries(actual)) {
        this.#adopt((expected as JsonObject)[name] ?? null, value, [...path, name]);
      }
    }
  }

  /** Which placeholder a value has by its place, if any. */
  #kindAt(path: readonly string[], value: Json): string | undefined {
    const key = path.at(-1) ?? '';
    const isFree = !this.#asked.includes(JSON.stringify(value));
    if (key === 'resourceVersion' && value !== '' && value !== '0') return 'version';
    if (key === 'uid' && typeof value === 'string' && UUID.test(value)) return 'uid';
    const address = key === 'clusterIP' || path.at(-2) === 'clusterIPs';
    if (address && isFree && typeof value === 'string' && /^[0-9.]{7,}$/.test(value)) return 'ip';
    if (key === 'nodePort' && isFree && typeof value === 'number') return 'port';
    return undefined;
  }

  #value(value: Json, path: readonly string[]): Json {
    const kind = this.#kindAt(path, value);
    if (kind === 'version' && typeof value === 'string') return this.#numbered('version', `version ${value}`);
    if (kind === 'ip' || kind === 'port')
      return this.#numbered(kind, JSON.stringify(value).replaceAll('"', ''));
    if (typeof value === 'string') return this.#text(value, path);
    if (Array.isArray(value))
      return value.map((item, index) => this.#value(item as Json, [...path, String(index)]));
    if (typeof value === 'object' && value !== null) return this.#object(value as JsonObject, path);
    return value;
  }

  #object(object: JsonObject, path: readonly string[]): Json {
    const result: Record<string, Json> = {};
    for (const [name, given] of Object.entries(object)) {
      const value =
        name === 'managedFields' && Array.isArray(given) ? sortManagers(given as JsonObject[]) : given;
      const isList = name === 'metadata' && (isCollection(object) || isBookmark(object));
      result[this.#text(name, [])] = isList
        ? this.#listMetadata(value as JsonObject, [...path, name])
        : this.#value(value, [...path, name]);
    }
    return result;
  }

  #listMetadata(metadata: JsonObject, path: readonly string[]): Json {
    const { resourceVersion, continue: token, ...others } = metadata;
    return {
      ...(typeof resourceVersion === 'string' && {
        resourceVersion: /^[1-9]\d*$/.test(resourceVersion) ? this.#fresh('list') : resourceVersion,
      }),
      ...(token !== undefined && { continue: token === '' ? '' : this.#fresh('continue') }),
      ...(this.#object(others, path) as JsonObject),
    };
  }

  /** From objects, and from the details of refusals, which don't have the prefix. */
  #learnGeneratedNames(value: Json): void {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, item] of Object.entries<Json>(value)) {
      if (key === 'name' && typeof item === 'string' && this.#isGenerated(item)) {
        this.#bind(item, `${item.slice(0, -5)}${this.#fresh('suffix')}`);
      }
      this.#learnGeneratedNames(item);
    }
  }

  #isGenerated(name: string): boolean {
    if (this.#placeholders.has(name) || this.#asked.includes(`"${name}"`)) return false;
    return (
      this.#prefixes.some((prefix) => name.startsWith(prefix)) &&
      /[bcdfghjklmnpqrstvwxz2456789]{5}$/.test(name)
    );
  }

  #text(text: string, path: readonly string[]): string {
    if (path.at(-1) === 'serverAddress') return '<address>';
    if (TIME.test(text) && !this.#asked.includes(text)) return text.includes('.') ? '<microtime>' : '<time>';
    if (path.includes('cells') && AGE.test(text)) return '<age>';
    let result = text;
    for (const [value, placeholder] of this.#placeholders) {
      if (value.length > 4 && !value.startsWith('version ')) result = result.replaceAll(value, placeholder);
    }
    result = result.replace(new RegExp(UUID, 'g'), (uid) =>
      this.#asked.includes(uid) ? uid : this.#numbered('uid', uid),
    );
    for (const [pattern, replacement] of PHRASES) result = result.replace(pattern, replacement);
    return result;
  }

  #numbered(kind: string, value: string): string {
    const known = this.#placeholders.get(value);
    if (known !== undefined) return known;
    const placeholder = this.#fresh(kind);
    this.#bind(value, placeholder);
    return placeholder;
  }

  #fresh(kind: string): string {
    for (;;) {
      const number = (this.#next.get(kind) ?? 0) + 1;
      this.#next.set(kind, number);
      const placeholder = `<${kind}:${number}>`;
      if (!this.#taken.has(placeholder)) return placeholder;
    }
  }

  #bind(value: string, placeholder: string): void {
    this.#placeholders.set(value, placeholder);
    this.#taken.add(placeholder);
  }
}

function isBranch(value: Json): value is readonly Json[] | JsonObject {
  return typeof value === 'object' && value !== null;
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const AGE = /^(\d+[smhd])+$/;
/** Texts with a number or list of the server's own in the middle. */
const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/(ResourceVersion in precondition: |ResourceVersion in object meta: )\d+/g, '$1<version>'],
  [/(does not match the ResourceVersion in record \()\d+\)/g, '$1<version>)'],
  [/(continue key is not valid: ).*$/g, '$1<reason>'],
  [/(Too large resource version: \d+, current: )\d+/g, '$1<version>'],
  [/(\?hash=)[0-9A-F]+$/g, '$1<hash>'],
  [/(too old resource version: \d+ \()\d+\)/g, '$1<version>)'],
  [/(Invalid value: )"\{\\?".*\}": /g, '$1<object>: '],
  [/\n@@ .*$/s, '\n<change>'],
  [/(accepted media types include: |only the following media types are accepted: ).*$/g, '$1<media types>'],
];

function isCollection(object: JsonObject): boolean {
  return Array.isArray(object['items']) || object['kind'] === 'Table';
}

function isBookmark(object: JsonObject): boolean {
  const metadata = object['metadata'] as JsonObject | undefined;
  return metadata?.['uid'] === undefined && typeof metadata?.['resourceVersion'] === 'string';
}
