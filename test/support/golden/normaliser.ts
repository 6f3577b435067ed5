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
  readonly #asked: string;
  readonly #prefixes: readonly string[];

  /** `asked`: the text of all requests. `names`: values that are known before the first answer, with their placeholders. */
  constructor(asked: string, names: ReadonlyMap<string, string>) {
    this.#asked = asked;
    this.#prefixes = [...asked.matchAll(/"generateName":"([^"]+)"/g)].map(([, prefix = '']) =>
      prefix.slice(0, 58),
    );
    for (const [value, placeholder] of names) this.#placeholders.set(value, placeholder);
  }

  /** Of an answer as it came, for comparing. `expected`, if known, gives first mentions their numbers. */
  normalise(answer: Answer, expected?: Answer): Answer {
    if (expected?.body !== undefined && answer.body !== undefined)
      this.#adopt(expected.body, answer.body, []);
    for (const [index, event] of (answer.events ?? []).entries()) {
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
      ...(answer.events && { events: answer.events.map((event) => this.#value(event, [])) }),
    };
  }

  /** Binds what is at the place of a placeholder to it, so that one difference does not shift all later numbers. */
  #adopt(expected: Json, actual: Json, path: readonly string[]): void {
    if (typeof expected === 'string') {
      const kind = /^<(uid|version|ip|port):\d+>$/.exec(expected)?.[1];
      if (kind === undefined || (typeof actual !== 'string' && typeof actual !== 'number')) return;
      const key = kind === 'version' ? `version ${actual}` : String(actual);
      if (this.#kindAt(path, actual) === kind && !this.#placeholders.has(key) && !this.#taken.has(expected)) {
        this.#bind(key, expected);
      }
    } else if (
      typeof expected === 'object' &&
      typeof actual === 'object' &&
      expected !== null &&
      actual !== null
    ) {
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
    if (kind === 'ip' || kind === 'port') return this.#numbered(kind, String(value));
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
    for (const [key, item] of Object.entries(value) as [string, Json][]) {
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

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const AGE = /^(\d+[smhd])+$/;
/** Texts with a number or list of the server's own in the middle. */
const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/(ResourceVersion in precondition: |ResourceVersion in object meta: )\d+/g, '$1<version>'],
  [/(does not match the ResourceVersion in record \()\d+\)/g, '$1<version>)'],
  [/(continue key is not valid: ).*$/g, '$1<reason>'],
  [/(Too large resource version: \d+, current: )\d+/g, '$1<version>'],
  [/(too old resource version: \d+ \()\d+\)/g, '$1<version>)'],
  [/(Invalid value: )"\{"apiVersion".*\}": /g, '$1<object>: '],
  [/(Invalid value: )"\{\\"apiVersion\\".*\}": /g, '$1<object>: '],
  [/\n@@ .*$/s, '\n<change>'],
  [/(accepted media types include: |only the following media types are accepted: ).*$/g, '$1<media types>'],
];

/** Leaves out groups and resources that only one of the servers has. */
function reduceDiscovery(body: Json): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const { kind, groups, resources, items } = body as Readonly<
    Record<string, readonly JsonObject[] | undefined>
  >;
  if (typeof kind !== 'string' || !/^API(Group|Resource|GroupDiscovery)List$/.test(kind)) return body;
  const ofGroups = groups?.filter(({ name }) => GROUPS.has(name));
  const ofResources = resources?.filter(({ name }) => isOurs(name));
  const ofItems = (items as readonly DiscoveredGroup[] | undefined)
    ?.filter(({ metadata: { name } }) => GROUPS.has(name ?? ''))
    .map((group) => ({
      ...group,
      versions: group.versions
        .filter(({ version }) => version === 'v1' || version === 'v1alpha1')
        .map((version) => ({
          ...version,
          resources: version.resources
            .filter(({ resource }) => isOurs(resource))
            .map((resource) => ({
              ...resource,
              ...(resource.subresources && {
                subresources: resource.subresources.filter(({ subresource }) =>
                  SUBRESOURCES.has(subresource),
                ),
              }),
            })),
        })),
    }));
  return {
    ...(body as JsonObject),
    ...(ofGroups && { groups: ofGroups }),
    ...(ofResources && { resources: ofResources }),
    ...(ofItems && { items: ofItems }),
  } as unknown as Json;
}

interface DiscoveredGroup {
  readonly metadata: { readonly name?: string };
  readonly versions: readonly {
    readonly version: string;
    readonly resources: readonly {
      readonly resource: string;
      readonly subresources?: readonly { readonly subresource: string }[];
    }[];
  }[];
}

const GROUPS: ReadonlySet<Json | undefined> = new Set(
  ['', 'apps', 'batch', 'policy', 'stevedore.dev'].concat(
    ['apiextensions', 'coordination', 'discovery', 'events', 'networking'].map((name) => `${name}.k8s.io`),
  ),
);
const RESOURCES: ReadonlySet<string> = new Set(
  [
    ['configmaps', 'events', 'namespaces', 'nodes', 'persistentvolumeclaims', 'pods', 'secrets', 'services'],
    ['serviceaccounts', 'deployments', 'jobs', 'leases', 'endpointslices', 'poddisruptionbudgets'],
    ['networkpolicies', 'ingresses', 'customresourcedefinitions', 'registries', 'registrygcs'],
  ].flat(),
);
const SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'scale']);

function isOurs(name: Json | undefined): boolean {
  const [resource = '', subresource = 'status'] = String(name).split('/');
  return RESOURCES.has(resource) && SUBRESOURCES.has(subresource);
}

/** As the server does it for changes in one second. */
function sortManagers(managers: readonly JsonObject[]): readonly JsonObject[] {
  const key = (entry: JsonObject): string =>
    JSON.stringify(['operation', 'manager', 'apiVersion', 'subresource'].map((name) => entry[name] ?? ''));
  return managers.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

interface Invalid {
  readonly message: string;
  readonly details: { readonly causes: readonly { readonly field: string; readonly message: string }[] };
}

/** Of `X is invalid: [a, b]`, in the message and in the causes. */
function sortCauses(body: Json): Json {
  const { message, details } = (body ?? {}) as Partial<Invalid>;
  if (message === undefined || details?.causes === undefined || details.causes.length < 2) return body;
  const line = ({ field, message: text }: Invalid['details']['causes'][number]): string =>
    `${field}: ${text}`;
  const sorted = details.causes.toSorted((a, b) => (line(a) < line(b) ? -1 : 1));
  const [start = ''] = message.split(' is invalid: [');
  const rewritten = `${start} is invalid: [${sorted.map(line).join(', ')}]`;
  if (rewritten.length !== message.length) return body;
  return {
    ...(body as JsonObject),
    message: rewritten,
    details: { ...details, causes: sorted },
  } as unknown as Json;
}

function isCollection(object: JsonObject): boolean {
  return Array.isArray(object['items']) || object['kind'] === 'Table';
}

function isBookmark(object: JsonObject): boolean {
  const metadata = object['metadata'] as JsonObject | undefined;
  return metadata?.['uid'] === undefined && typeof metadata?.['resourceVersion'] === 'string';
}
