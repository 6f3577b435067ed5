import type { Json, JsonObject, TableColumn } from '../kind.ts';
import { at, count, items, object, text } from './read.ts';

type Cell = TableColumn['value'];

/** How long ago `time` was: in the largest unit of which it is at least two. kubectl has a second one beside it at times. */
export function since(time: Json | undefined, now: number): string {
  const seconds = Math.trunc((now - Date.parse(text(time))) / 1000);
  if (Number.isNaN(seconds)) return '<unknown>';
  const [unit, letter] = UNITS.find(([length]) => seconds >= 2 * length) ?? [1, 's'];
  return `${Math.max(0, Math.trunc(seconds / unit))}${letter}`;
}

const UNITS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'm'],
] as const;

export const age: Cell = (given, now) => since(at(given, 'metadata', 'creationTimestamp'), now);
const name: Cell = (given) => text(given, 'metadata', 'name');

/** The text or number at a path such as `status.phase`, or else `none`. */
function cellAt(path: string, none: Json = ''): Cell {
  const names = path.split('.');
  return (given) => {
    const value = at(given, ...names);
    return value === undefined || value === '' ? none : value;
  };
}

const keys =
  (...fields: readonly string[]): Cell =>
  (given) =>
    fields.reduce((sum, field) => sum + Object.keys(object(given, field)).length, 0);

const isTrue = (given: JsonObject, type: string): boolean =>
  items(given, 'status', 'conditions').some(
    (condition) => condition['type'] === type && condition['status'] === 'True',
  );

function jobStatus(given: JsonObject): string {
  return ['Complete', 'Failed'].find((type) => isTrue(given, type)) ?? 'Running';
}

const containersOf = (given: JsonObject): readonly JsonObject[] =>
  items(given, 'status', 'containerStatuses');

function podStatus(given: JsonObject): string {
  const phase = text(given, 'status', 'phase');
  const isOver = phase === 'Succeeded' || phase === 'Failed';
  if (at(given, 'metadata', 'deletionTimestamp') !== undefined && !isOver) return 'Terminating';
  const [reason] = containersOf(given).flatMap(
    ({ state }) => text(state, 'waiting', 'reason') || text(state, 'terminated', 'reason') || [],
  );
  return reason ?? (text(given, 'status', 'reason') || phase);
}

function servicePorts(given: JsonObject): string {
  const ports = items(given, 'spec', 'ports').map((port) => {
    const nodePort = count(port, 'nodePort');
    return `${count(port, 'port')}${nodePort > 0 ? `:${nodePort}` : ''}/${text(port, 'protocol')}`;
  });
  return ports.join(',') || '<none>';
}

/** The cells of the built-in kinds, by plural and column; Name and Age are alike in all. Other columns are not shown. */
const CELLS: Readonly<Record<string, Readonly<Record<string, Cell>>>> = {
  configmaps: { Data: keys('data', 'binaryData') },
  customresourcedefinitions: { 'Created At': cellAt('metadata.creationTimestamp') },
  deployments: {
    Ready: (given) => `${count(given, 'status', 'readyReplicas')}/${count(given, 'spec', 'replicas')}`,
    'Up-to-date': cellAt('status.updatedReplicas', 0),
    Available: cellAt('status.availableReplicas', 0),
  },
  events: {
    'Last Seen': (given, now) => {
      const last = at(given, 'series', 'lastObservedTime') ?? given['lastTimestamp'] ?? null;
      return since(last ?? given['firstTimestamp'] ?? given['eventTime'], now);
    },
    Type: cellAt('type'),
    Reason: cellAt('reason'),
    Object: (given) => {
      const [kind = '', of] = ['kind', 'name'].map((key) => text(given, 'involvedObject', key));
      return `${kind.toLowerCase()}/${of}`;
    },
    Message: (given) => text(given, 'message').trim(),
  },
  jobs: {
    Status: jobStatus,
    Completions: (given) => `${count(given, 'status', 'succeeded')}/${count(given, 'spec', 'completions')}`,
  },
  leases: { Holder: cellAt('spec.holderIdentity') },
  namespaces: { Status: cellAt('status.phase') },
  nodes: {
    Status: (given) => (isTrue(given, 'Ready') ? 'Ready' : 'NotReady'),
    Version: cellAt('status.nodeInfo.kubeletVersion'),
  },
  persistentvolumeclaims: {
    Status: (given) =>
      at(given, 'metadata', 'deletionTimestamp') === undefined
        ? text(given, 'status', 'phase')
        : 'Terminating',
    Volume: cellAt('spec.volumeName'),
    Capacity: cellAt('status.capacity.storage'),
    StorageClass: cellAt('spec.storageClassName'),
  },
  pods: {
    Ready: (given) =>
      `${containersOf(given).filter(({ ready }) => ready === true).length}/${items(given, 'spec', 'containers').length}`,
    Status: podStatus,
    Restarts: (given) =>
      String(containersOf(given).reduce((sum, status) => sum + count(status, 'restartCount'), 0)),
    IP: cellAt('status.podIP', '<none>'),
    Node: cellAt('spec.nodeName', '<none>'),
    'Nominated Node': () => '<none>',
    'Readiness Gates': () => '<none>',
  },
  secrets: { Type: cellAt('type'), Data: keys('data') },
  services: {
    Type: cellAt('spec.type'),
    'Cluster-IP': cellAt('spec.clusterIP', '<none>'),
    'External-IP': () => '<none>',
    'Port(s)': servicePorts,
  },
};

/** The cell of a column; undefined for one that is not shown. */
export function cellOf(plural: string, column: string): Cell | undefined {
  return { Name: name, Age: age, ...CELLS[plural] }[column];
}
