import { isJsonArray, jsonEqual, withFields } from '../fields/json.ts';
import type { FieldError, Json, JsonObject, Kind, World } from '../kind.ts';
import { nameProblems } from '../metadata.ts';
import { invalid } from '../status-error.ts';
import { parseQuantity } from '../schema/quantity.ts';
import { portNumberErrors } from './pod-spec.ts';
import {
  at,
  changed,
  changeText,
  count,
  forbiddenField,
  invalidValue,
  items,
  notOneOf,
  object,
  required,
  text,
  withDefaults,
} from './read.ts';

const CONFIG_KEY = '[-._a-zA-Z0-9]+';

/** What is wrong with the keys of a ConfigMap or Secret, and what may not change once `immutable` is set. */
function dataErrors(
  given: JsonObject,
  old: JsonObject | undefined,
  fields: readonly string[],
): readonly FieldError[] {
  const message = `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '${CONFIG_KEY}')`;
  const isFixed = old?.['immutable'] === true;
  return [
    ...(isFixed && given['immutable'] !== true
      ? [forbiddenField('immutable', 'field is immutable when `immutable` is set')]
      : []),
    ...fields.flatMap((field) => [
      ...(isFixed && !jsonEqual(given[field], old[field])
        ? [forbiddenField(field, 'field is immutable when `immutable` is set')]
        : []),
      ...Object.keys(object(given, field)).flatMap((key) =>
        new RegExp(`^${CONFIG_KEY}$`).test(key) ? [] : [invalidValue(`${field}[${key}]`, key, message)],
      ),
    ]),
  ];
}

export const configMap: Partial<Kind> = {
  validate: (given, old) => [
    ...dataErrors(given, old, ['data', 'binaryData']),
    ...Object.keys(object(given, 'binaryData'))
      .filter((key) => Object.hasOwn(object(given, 'data'), key))
      .map((key) => invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData')),
  ],
};

/** Keys that a Secret of a type must have. */
const SECRET_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

export const secret: Partial<Kind> = {
  selectable: { type: (given) => text(given, 'type') },
  defaults: (given) => {
    const { stringData, ...rest } = withDefaults(given, { type: 'Opaque' });
    if (stringData === undefined) return rest;
    const written = Object.entries(object(stringData)).map(([key, value]) => [
      key,
      Buffer.from(text(value)).toString('base64'),
    ]);
    return { ...rest, data: { ...object(rest, 'data'), ...Object.fromEntries(written) } };
  },
  validate: (given, old) => {
    const type = text(given, 'type');
    const docker = text(given, 'data', '.dockerconfigjson');
    return [
      ...(old !== undefined && type !== old['type']
        ? [invalidValue('type', type, 'field is immutable')]
        : []),
      ...dataErrors(given, old, ['data']),
      ...(SECRET_KEYS[type] ?? []).flatMap((key) =>
        at(given, 'data', key) === undefined ? [required(`data[${key}]`)] : [],
      ),
      ...(type === 'kubernetes.io/dockerconfigjson'
        ? jsonErrors(Buffer.from(docker, 'base64').toString())
        : []),
    ];
  },
};

function jsonErrors(content: string): readonly FieldError[] {
  try {
    JSON.parse(content);
    return [];
  } catch {
    const detail = `invalid character '${content.trim().slice(0, 1)}' looking for beginning of value`;
    return [invalidValue('data[.dockerconfigjson]', '<secret contents redacted>', detail)];
  }
}

export const namespace: Partial<Kind> = {
  nameRule: 'label',
  returnsDeleted: true,
  isEmptiedFirst: true,
  selectable: { 'status.phase': (given) => text(given, 'status', 'phase') },
  defaults: withNameLabel,
  prepare: (given, old) => ({
    ...withNameLabel(given),
    spec: old?.['spec'] ?? { finalizers: ['kubernetes'] },
    ...(old === undefined && { status: { phase: 'Active' } }),
    ...(at(given, 'metadata', 'deletionTimestamp') !== undefined && { status: { phase: 'Terminating' } }),
  }),
};

function withNameLabel(given: JsonObject): JsonObject {
  const name = text(given, 'metadata', 'name');
  if (name === '') return given;
  return changed(given, ['metadata'], (metadata) => ({
    ...object(metadata),
    labels: { ...object(metadata, 'labels'), 'kubernetes.io/metadata.name': name },
  }));
}

export const node: Partial<Kind> = {
  selectable: { 'spec.unschedulable': (given) => String(at(given, 'spec', 'unschedulable') === true) },
  defaults: (given) =>
    changed(given, ['status'], (status) => withDefaults(status, { allocatable: at(status, 'capacity') })),
  prepare: (given, old) => {
    if (old !== undefined) return given;
    const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
    const taints = items(given, 'spec', 'taints');
    const isThere = taints.some(({ key }) => key === taint.key);
    return { ...given, spec: { ...object(given, 'spec'), taints: isThere ? taints : [...taints, taint] } };
  },
};

export const serviceAccount: Partial<Kind> = { returnsDeleted: true };

const CLAIM_PROTECTION = 'kubernetes.io/pvc-protection';
const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

export const persistentVolumeClaim: Partial<Kind> = {
  returnsDeleted: true,
  defaults: (given) => changed(given, ['spec'], (spec) => withDefaults(spec, { volumeMode: 'Filesystem' })),
  prepare: (given, old) => {
    if (old !== undefined) return given;
    const kept = changed(given, ['metadata'], (metadata) => {
      const { finalizers } = object(metadata);
      const others = isJsonArray(finalizers) ? finalizers.filter((name) => name !== CLAIM_PROTECTION) : [];
      return { ...object(metadata), finalizers: [...others, CLAIM_PROTECTION] };
    });
    return { ...kept, status: { phase: 'Pending' } };
  },
  validate: (given, old) => {
    const spec = object(given, 'spec');
    const modes = at(spec, 'accessModes');
    const storage = at(spec, 'resources', 'requests', 'storage');
    const path = 'spec.resources[storage]';
    return [
      ...(isJsonArray(modes) && modes.length > 0
        ? modes.flatMap((mode) => notOneOf('spec.accessModes', mode, ACCESS_MODES))
        : [required('spec.accessModes', 'at least 1 access mode is required')]),
      ...(storage === undefined ? [required(path)] : []),
      ...(storage !== undefined && (nanos(storage) ?? 0n) <= 0n
        ? [invalidValue(path, storage, 'must be greater than zero')]
        : []),
      ...(old === undefined ? [] : claimUpdateErrors(spec, old)),
    ];
  },
};

const nanos = (quantity: Json | undefined): bigint | undefined => parseQuantity(text(quantity));

const CLAIM_IS_IMMUTABLE =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

function claimUpdateErrors(spec: JsonObject, old: JsonObject): readonly FieldError[] {
  const before = object(old, 'spec');
  const isBound = text(old, 'status', 'phase') === 'Bound';
  const fixed = (of: JsonObject) =>
    withFields(of, {
      ...(isBound && { resources: undefined }),
      // A claim gets its volume once.
      ...(before['volumeName'] === undefined && { volumeName: undefined }),
    });
  if (!jsonEqual(fixed(spec), fixed(before))) {
    return [forbiddenField('spec', `${CLAIM_IS_IMMUTABLE}\n${changeText(before, spec)}`)];
  }
  const size = nanos(at(spec, 'resources', 'requests', 'storage')) ?? 0n;
  const capacity = nanos(at(old, 'status', 'capacity', 'storage')) ?? 0n;
  return size < capacity
    ? [forbiddenField('spec.resources.requests.storage', 'field can not be less than status.capacity')]
    : [];
}

const SERVICE_TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const NODE_PORTS = { first: 30000, last: 32767 };

export const service: Partial<Kind> = {
  nameRule: 'label1035',
  createsOnUpdate: true,
  returnsDeleted: true,
  defaults: (given) =>
    changed(given, ['spec'], (spec) => {
      const filled = withDefaults(spec, { sessionAffinity: 'None', type: 'ClusterIP' });
      const type = text(filled, 'type');
      const isExternal = type === 'NodePort' || type === 'LoadBalancer';
      const ports = items(filled, 'ports').map((port) =>
        withDefaults(port, { protocol: 'TCP', targetPort: count(port, 'port') }),
      );
      return withDefaults(
        { ...filled, ...(ports.length > 0 && { ports }) },
        {
          externalTrafficPolicy: isExternal ? 'Cluster' : undefined,
          internalTrafficPolicy: type === 'ExternalName' ? undefined : 'Cluster',
          allocateLoadBalancerNodePorts: type === 'LoadBalancer' ? true : undefined,
        },
      );
    }),
  prepare: (given, old, world) =>
    changed(given, ['spec'], (spec) => {
      checkAddress(given, world);
      checkNodePorts(given, world);
      return allocated(object(spec), old && object(old, 'spec'), world);
    }),
  validate: (given, old) => {
    const spec = object(given, 'spec');
    const type = text(spec, 'type');
    const ports = items(spec, 'ports');
    const isHeadless = spec['clusterIP'] === 'None';
    const addresses = [text(spec, 'clusterIP')];
    return [
      ...(old !== undefined &&
      at(old, 'spec', 'clusterIP') !== undefined &&
      text(old, 'spec', 'type') !== 'ExternalName' &&
      at(old, 'spec', 'clusterIP') !== spec['clusterIP']
        ? [invalidValue('spec.clusterIPs[0]', addresses, 'may not change once set')]
        : []),
      ...(ports.length === 0 && !isHeadless && type !== 'ExternalName' ? [required('spec.ports')] : []),
      ...ports.flatMap((port, index) => servicePortErrors(port, ports, index, type)),
      ...notOneOf('spec.sessionAffinity', spec['sessionAffinity'], ['ClientIP', 'None']),
      ...notOneOf('spec.type', type, SERVICE_TYPES),
    ];
  },
};

function servicePortErrors(
  port: JsonObject,
  ports: readonly JsonObject[],
  index: number,
  type: string,
): readonly FieldError[] {
  const path = `spec.ports[${index}]`;
  const name = text(port, 'name');
  const target = port['targetPort'] ?? 0;
  return [
    ...(ports.length > 1 && name === '' ? [required(`${path}.name`)] : []),
    ...(name === ''
      ? []
      : nameProblems('label', name).map((detail) => invalidValue(`${path}.name`, name, detail))),
    ...(name !== '' && ports.slice(0, index).some((other) => other['name'] === name)
      ? [{ type: 'Duplicate', path: `${path}.name`, value: name, detail: '' } as const]
      : []),
    ...portNumberErrors(`${path}.port`, count(port, 'port')),
    ...notOneOf(`${path}.protocol`, port['protocol'], ['SCTP', 'TCP', 'UDP']),
    ...(typeof target === 'number' ? portNumberErrors(`${path}.targetPort`, target) : []),
    ...(type === 'ClusterIP' && count(port, 'nodePort') !== 0
      ? [forbiddenField(`${path}.nodePort`, "may not be used when `type` is 'ClusterIP'")]
      : []),
    ...(type !== 'ClusterIP' && !isNodePort(count(port, 'nodePort')) && count(port, 'nodePort') !== 0
      ? [
          invalidValue(
            `${path}.nodePort`,
            count(port, 'nodePort'),
            `provided port is not in the valid range. The range of valid ports is ${NODE_PORTS.first}-${NODE_PORTS.last}`,
          ),
        ]
      : []),
  ];
}

const isNodePort = (port: number): boolean => port >= NODE_PORTS.first && port <= NODE_PORTS.last;

/** With a clusterIP, and ports on the nodes where the type has them; those of before where nothing else is said. */
function allocated(spec: JsonObject, old: JsonObject | undefined, world: World): JsonObject {
  const type = text(spec, 'type');
  if (type === 'ExternalName') return spec;
  const others = world.objects('/services').map((other) => object(other, 'spec'));
  const usedAddresses = new Set(others.map((other) => text(other, 'clusterIP')));
  const clusterIP = text(spec, 'clusterIP') || text(old, 'clusterIP') || freeAddress(usedAddresses, world);
  // Without a selector and an address nothing says which families its endpoints have.
  const isOpen = clusterIP === 'None' && spec['selector'] === undefined;
  const usedPorts = new Set(
    others.flatMap((other) => items(other, 'ports').map((port) => count(port, 'nodePort'))),
  );
  const wantsPorts = type === 'NodePort' || type === 'LoadBalancer';
  const ports = items(spec, 'ports').map((port, index) => {
    if (!wantsPorts || count(port, 'nodePort') !== 0) return port;
    const nodePort = count(old, 'ports', index, 'nodePort') || freePort(usedPorts, world);
    usedPorts.add(nodePort);
    return { ...port, nodePort };
  });
  return {
    ...spec,
    ...(ports.length > 0 && { ports }),
    clusterIP,
    clusterIPs: at(spec, 'clusterIPs') ?? [clusterIP],
    ipFamilies: at(spec, 'ipFamilies') ?? (isOpen ? ['IPv4', 'IPv6'] : ['IPv4']),
    ipFamilyPolicy: at(spec, 'ipFamilyPolicy') ?? (isOpen ? 'RequireDualStack' : 'SingleStack'),
  };
}

/** @throws {StatusError} 422 where a clusterIP is asked for that cannot be given */
function checkAddress(given: JsonObject, { serviceNetwork }: World): void {
  const address = text(given, 'spec', 'clusterIP');
  if (address === '' || address === 'None') return;
  const [network = '', length = ''] = serviceNetwork.split('/');
  const block = (ip: string) => Math.floor(numberOf(ip) / 2 ** (32 - Number(length)));
  if (block(address) === block(network)) return;
  const detail = `failed to allocate IP ${address}: the provided network does not match the current range`;
  const error = invalidValue('spec.clusterIPs', at(given, 'spec', 'clusterIPs') ?? [address], detail);
  throw invalid({ group: '', kind: 'Service' }, text(given, 'metadata', 'name'), [error]);
}

/** @throws {StatusError} 422 where a port of the nodes is asked for that another Service has */
function checkNodePorts(given: JsonObject, world: World): void {
  const key = (service: JsonObject) =>
    `${text(service, 'metadata', 'namespace')}/${text(service, 'metadata', 'name')}`;
  const taken = new Set(
    world
      .objects('/services')
      .filter((other) => key(other) !== key(given))
      .flatMap((other) => items(other, 'spec', 'ports').map((port) => count(port, 'nodePort'))),
  );
  const errors = items(given, 'spec', 'ports').flatMap((port, index) => {
    const nodePort = count(port, 'nodePort');
    if (nodePort === 0 || !taken.has(nodePort)) return [];
    const path = `spec.ports[${index}].nodePort`;
    return [invalidValue(path, nodePort, 'provided port is already allocated')];
  });
  if (errors.length > 0)
    throw invalid({ group: '', kind: 'Service' }, text(given, 'metadata', 'name'), errors);
}

const numberOf = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

function freeAddress(used: ReadonlySet<string>, world: World): string {
  const [network = '', length = ''] = world.serviceNetwork.split('/');
  const first = numberOf(network);
  const size = 2 ** (32 - Number(length));
  return free(size - 2, world, (index) => {
    const address = first + 1 + index;
    const text = [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
    return used.has(text) ? undefined : text;
  });
}

function freePort(used: ReadonlySet<number>, world: World): number {
  return free(NODE_PORTS.last - NODE_PORTS.first + 1, world, (index) =>
    used.has(NODE_PORTS.first + index) ? undefined : NODE_PORTS.first + index,
  );
}

/** The first that is free, from a random place on. */
function free<T>(size: number, world: World, take: (index: number) => T | undefined): T {
  const start = Math.floor(world.random() * size);
  for (let step = 0; step < size; step++) {
    const found = take((start + step) % size);
    if (found !== undefined) return found;
  }
  throw new Error('the range is full');
}
