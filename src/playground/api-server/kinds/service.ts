import type { FieldError, JsonObject, Kind, World } from '../kind.ts';
import { invalid } from '../status-error.ts';
import { at, changed, count, immutable, invalidValue, items, object, required, text } from './read.ts';

const NODE_PORTS = { first: 30000, last: 32767 };

export const service: Partial<Kind> = {
  nameRule: 'label1035',
  returnsDeleted: true,
  prepare: (given, old, world) =>
    changed(given, ['spec'], (spec) => {
      checkNodePorts(given, world);
      return allocated(object(spec), old && object(old, 'spec'), world);
    }),
  validate: (given, old) => {
    const type = text(given, 'spec', 'type');
    const ports = items(given, 'spec', 'ports');
    const needsPorts = at(given, 'spec', 'clusterIP') !== 'None' && type !== 'ExternalName';
    return [
      ...immutable(given, old, ['spec.clusterIP']),
      ...(ports.length === 0 && needsPorts ? [required('spec.ports')] : []),
      ...ports.flatMap((port, index) => portErrors(port, `spec.ports[${index}]`, ports.length > 1)),
    ];
  },
};

function portErrors(port: JsonObject, path: string, needsName: boolean): readonly FieldError[] {
  const nodePort = count(port, 'nodePort');
  const isInRange = nodePort >= NODE_PORTS.first && nodePort <= NODE_PORTS.last;
  const detail = `provided port is not in the valid range. The range of valid ports is ${NODE_PORTS.first}-${NODE_PORTS.last}`;
  return [
    ...(needsName && text(port, 'name') === '' ? [required(`${path}.name`)] : []),
    ...(nodePort === 0 || isInRange ? [] : [invalidValue(`${path}.nodePort`, nodePort, detail)]),
  ];
}

/** With a clusterIP, and ports on the nodes where the type has them; those of before where nothing else is said. */
function allocated(spec: JsonObject, old: JsonObject | undefined, world: World): JsonObject {
  const type = text(spec, 'type');
  if (type === 'ExternalName') return spec;
  const others = world.objects('/services').map((other) => object(other, 'spec'));
  const usedAddresses = new Set(others.map((other) => text(other, 'clusterIP')));
  const clusterIP = text(spec, 'clusterIP') || text(old, 'clusterIP') || freeAddress(usedAddresses, world);
  const usedPorts = new Set(others.flatMap(nodePortsOf));
  const ports = items(spec, 'ports').map((port, index) => {
    if (type === 'ClusterIP' || count(port, 'nodePort') !== 0) return port;
    const nodePort = count(old, 'ports', index, 'nodePort') || freePort(usedPorts, world);
    usedPorts.add(nodePort);
    return { ...port, nodePort };
  });
  return {
    ...spec,
    ...(ports.length > 0 && { ports }),
    clusterIP,
    clusterIPs: [clusterIP],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
  };
}

/** @throws {StatusError} 422 where a port of the nodes is asked for that another Service has */
function checkNodePorts(given: JsonObject, world: World): void {
  const key = (of: JsonObject) => `${text(of, 'metadata', 'namespace')}/${text(of, 'metadata', 'name')}`;
  const others = world.objects('/services').filter((other) => key(other) !== key(given));
  const taken = new Set(others.flatMap((other) => nodePortsOf(object(other, 'spec'))));
  const errors = nodePortsOf(object(given, 'spec')).flatMap((nodePort, index) =>
    nodePort !== 0 && taken.has(nodePort)
      ? [invalidValue(`spec.ports[${index}].nodePort`, nodePort, 'provided port is already allocated')]
      : [],
  );
  if (errors.length === 0) return;
  throw invalid({ group: '', kind: 'Service' }, text(given, 'metadata', 'name'), errors);
}

const nodePortsOf = (spec: JsonObject): readonly number[] =>
  items(spec, 'ports').map((port) => count(port, 'nodePort'));

const numberOf = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

function freeAddress(used: ReadonlySet<string>, world: World): string {
  const [network = '', length = ''] = world.serviceNetwork.split('/');
  const first = numberOf(network) + 1;
  return free(2 ** (32 - Number(length)) - 2, world, (index) => {
    const bytes = [24, 16, 8, 0].map((shift) => Math.floor((first + index) / 2 ** shift) % 256);
    return used.has(bytes.join('.')) ? undefined : bytes.join('.');
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
