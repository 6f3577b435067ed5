import type { Json, JsonObject, TableColumn } from '../kind.ts';
import { at, count, items, object, text } from './read.ts';

type Cell = TableColumn['value'];

/** How long ago `time` was, as kubectl writes it. */
export function since(time: Json | undefined, now: number): string {
  const then = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(then) ? '<unknown>' : humanDuration(now - then);
}

/** Two units at most, fewer the longer it is. */
function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 120) return `${Math.max(0, seconds)}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return `${minutes}m${rest(seconds % 60, 's')}`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return `${hours}h${rest(minutes % 60, 'm')}`;
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (days < 8) return `${days}d${rest(hours % 24, 'h')}`;
  if (days < 730) return `${days}d`;
  return `${Math.trunc(days / 365)}y${rest(days % 365, 'd')}`;
}

const rest = (value: number, unit: string): string => (value === 0 ? '' : `${value}${unit}`);

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
  const ended = ['Complete', 'Failed'].find((type) => isTrue(given, type));
  if (ended !== undefined) return ended;
  if (at(given, 'metadata', 'deletionTimestamp') !== undefined) return 'Terminating';
  return ['FailureTarget', 'SuccessCriteriaMet'].find((type) => isTrue(given, type)) ?? 'Running';
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

function restarts(given: JsonObject, now: number): string {
  const sum = containersOf(given).reduce((total, status) => total + count(status, 'restartCount'), 0);
  const ends = containersOf(given).map((status) => text(status, 'lastState', 'terminated', 'finishedAt'));
  const latest = ends.sort().at(-1) ?? '';
  return sum === 0 || latest === '' ? String(sum) : `${sum} (${since(latest, now)} ago)`;
}

function servicePorts(given: JsonObject): string {
  const ports = items(given, 'spec', 'ports').map((port) => {
    const nodePort = count(port, 'nodePort');
    return `${count(port, 'port')}${nodePort > 0 ? `:${nodePort}` : ''}/${text(port, 'protocol')}`;
  });
  return ports.join(',') || '<none>';
}

function nodeStatus(given: JsonObject): string {
  const ready = items(given, 'status', 'conditions').find((condition) => condition['type'] === 'Ready');
  return ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady';
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
    Duration: (given, now) => {
      const [start = '', end = ''] = ['startTime', 'completionTime'].map((key) => text(given, 'status', key));
      if (start === '') return '';
      return humanDuration((end === '' ? now : Date.parse(end)) - Date.parse(start));
    },
  },
  leases: { Holder: cellAt('spec.holderIdentity') },
  namespaces: { Status: cellAt('status.phase') },
  nodes: { Status: nodeStatus, Roles: () => '<none>', Version: cellAt('status.nodeInfo.kubeletVersion') },
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
    Restarts: restarts,
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
