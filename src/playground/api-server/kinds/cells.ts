import { isJsonArray } from '../fields/json.ts';
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
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return `${minutes}m${rest(seconds % 60, 's')}`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return `${hours}h${rest(minutes % 60, 'm')}`;
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (days < 8) return `${days}d${rest(hours % 24, 'h')}`;
  if (days < 730) return `${days}d`;
  const years = Math.trunc(days / 365);
  return days < 365 * 8 ? `${years}y${rest(days % 365, 'd')}` : `${years}y`;
}

const rest = (value: number, unit: string): string => (value === 0 ? '' : `${value}${unit}`);

export const age: Cell = (given, now) => since(at(given, 'metadata', 'creationTimestamp'), now);
const name: Cell = (given) => text(given, 'metadata', 'name');

const orNone = (value: string, none = '<none>'): string => (value === '' ? none : value);
const keys =
  (...fields: readonly string[]): Cell =>
  (given) =>
    fields.reduce((sum, field) => sum + Object.keys(object(given, field)).length, 0);
const strings = (value: Json | undefined): readonly string[] =>
  isJsonArray(value) ? value.filter((item) => typeof item === 'string') : [];

/** As `a=b,c in (d)`. */
function selectorText(selector: JsonObject): string {
  const labels = Object.entries(object(selector, 'matchLabels')).map(
    ([key, value]) => `${key}=${text(value)}`,
  );
  const expressions = items(selector, 'matchExpressions').map((expression) => {
    const [key, operator] = [text(expression, 'key'), text(expression, 'operator')];
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${strings(expression['values']).join(',')})`;
  });
  return [...labels.sort(), ...expressions].join(',');
}

const containers =
  (field: string): Cell =>
  (given) =>
    items(given, 'spec', 'template', 'spec', 'containers')
      .map((container) => text(container, field))
      .join(',');
const selector: Cell = (given) => orNone(selectorText(object(given, 'spec', 'selector')));

function listed(list: readonly string[]): string {
  if (list.length === 0) return '<unset>';
  return list.length > 3 ? `${list.slice(0, 3).join(',')} + ${list.length - 3} more...` : list.join(',');
}

const isTrue = (given: JsonObject, type: string): boolean =>
  items(given, 'status', 'conditions').some(
    (condition) => condition['type'] === type && condition['status'] === 'True',
  );

function jobStatus(given: JsonObject): string {
  if (isTrue(given, 'Complete')) return 'Complete';
  if (isTrue(given, 'Failed')) return 'Failed';
  if (at(given, 'metadata', 'deletionTimestamp') !== undefined) return 'Terminating';
  return (
    ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find((type) => isTrue(given, type)) ?? 'Running'
  );
}

/** What `kubectl get pods` says of a container that is not simply running. */
function containerReason(container: JsonObject): string | undefined {
  const waiting = text(container, 'state', 'waiting', 'reason');
  if (waiting !== '') return waiting;
  const ended = at(container, 'state', 'terminated');
  if (ended === undefined) return undefined;
  const signal = count(ended, 'signal');
  return (
    text(ended, 'reason') || (signal === 0 ? `ExitCode:${count(ended, 'exitCode')}` : `Signal:${signal}`)
  );
}

function podStatus(given: JsonObject): string {
  const phase = text(given, 'status', 'phase');
  const isOver = phase === 'Succeeded' || phase === 'Failed';
  if (at(given, 'metadata', 'deletionTimestamp') !== undefined && !isOver) return 'Terminating';
  const reasons = items(given, 'status', 'containerStatuses').map(containerReason);
  const reason = reasons.find((found) => found !== undefined) ?? (text(given, 'status', 'reason') || phase);
  const isServing = items(given, 'status', 'containerStatuses').some(
    (container) => container['ready'] === true && at(container, 'state', 'running') !== undefined,
  );
  if (reason !== 'Completed' || !isServing) return reason;
  return isTrue(given, 'Ready') ? 'Running' : 'NotReady';
}

function restarts(given: JsonObject, now: number): string {
  const statuses = items(given, 'status', 'containerStatuses');
  const sum = statuses.reduce((total, status) => total + count(status, 'restartCount'), 0);
  const last = statuses.map((status) => text(status, 'lastState', 'terminated', 'finishedAt')).sort();
  const latest = last.at(-1) ?? '';
  return sum === 0 || latest === '' ? String(sum) : `${sum} (${since(latest, now)} ago)`;
}

function externalAddress(given: JsonObject): string {
  const spec = object(given, 'spec');
  const own = strings(spec['externalIPs']);
  const type = text(spec, 'type');
  if (type === 'ExternalName') return text(spec, 'externalName');
  if (type !== 'LoadBalancer') return orNone(own.join(','));
  return orNone([...addressesOf(given), ...own].join(','), '<pending>');
}

const addressesOf = (given: JsonObject): readonly string[] =>
  items(given, 'status', 'loadBalancer', 'ingress').map(
    (point) => text(point, 'ip') || text(point, 'hostname'),
  );

function servicePorts(given: JsonObject): string {
  const ports = items(given, 'spec', 'ports').map((port) => {
    const nodePort = count(port, 'nodePort');
    return `${count(port, 'port')}${nodePort > 0 ? `:${nodePort}` : ''}/${text(port, 'protocol')}`;
  });
  return orNone(ports.join(','));
}

function claimModes(given: JsonObject): string {
  const short: Readonly<Record<string, string>> = {
    ReadWriteOnce: 'RWO',
    ReadOnlyMany: 'ROX',
    ReadWriteMany: 'RWX',
    ReadWriteOncePod: 'RWOP',
  };
  return strings(at(given, 'status', 'accessModes'))
    .map((mode) => short[mode] ?? mode)
    .join(',');
}

const isBound = (given: JsonObject): boolean => text(given, 'spec', 'volumeName') !== '';
const nodeInfo =
  (field: string, none = '<unknown>'): Cell =>
  (given) =>
    orNone(text(given, 'status', 'nodeInfo', field), none);
const nodeAddress =
  (type: string): Cell =>
  (given) =>
    orNone(
      text(
        items(given, 'status', 'addresses').find((address) => address['type'] === type),
        'address',
      ),
    );

function nodeStatus(given: JsonObject): string {
  const ready = items(given, 'status', 'conditions').find((condition) => condition['type'] === 'Ready');
  const state = ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady';
  return at(given, 'spec', 'unschedulable') === true ? `${state},SchedulingDisabled` : state;
}

function nodeRoles(given: JsonObject): string {
  const prefix = 'node-role.kubernetes.io/';
  const roles = Object.keys(object(given, 'metadata', 'labels')).filter((key) => key.startsWith(prefix));
  return orNone(
    roles
      .map((key) => key.slice(prefix.length))
      .sort()
      .join(','),
  );
}

const orNotAvailable =
  (field: string): Cell =>
  (given) => {
    const value = at(given, 'spec', field);
    return value === undefined ? 'N/A' : typeof value === 'number' ? String(value) : value;
  };

const firstSeen: Cell = (given, now) => since(given['firstTimestamp'] ?? given['eventTime'], now);
const eventCells: Readonly<Record<string, Cell>> = {
  'Last Seen': (given, now) => {
    const last = at(given, 'series', 'lastObservedTime') ?? given['lastTimestamp'] ?? null;
    return last === null ? firstSeen(given, now) : since(last, now);
  },
  Type: (given) => text(given, 'type'),
  Reason: (given) => text(given, 'reason'),
  Object: (given) => {
    const [kind, of] = ['kind', 'name'].map((key) => text(given, 'involvedObject', key));
    return `${kind?.toLowerCase()}${of === '' ? '' : `/${of}`}`;
  },
  Subobject: (given) => text(given, 'involvedObject', 'fieldPath'),
  Source: (given) => {
    const component = text(given, 'source', 'component') || text(given, 'reportingComponent');
    const instance = text(given, 'source', 'host') || text(given, 'reportingInstance');
    return instance === '' ? component : `${component}, ${instance}`;
  },
  Message: (given) => text(given, 'message').trim(),
  'First Seen': firstSeen,
  Count: (given) => count(given, 'series', 'count') || count(given, 'count') || 1,
};

/** The cells of the built-in kinds, by plural and column. Name and Age are alike in all. */
const CELLS: Readonly<Record<string, Readonly<Record<string, Cell>>>> = {
  configmaps: { Data: keys('data', 'binaryData') },
  customresourcedefinitions: { 'Created At': (given) => text(given, 'metadata', 'creationTimestamp') },
  deployments: {
    Ready: (given) => `${count(given, 'status', 'readyReplicas')}/${count(given, 'spec', 'replicas')}`,
    'Up-to-date': (given) => count(given, 'status', 'updatedReplicas'),
    Available: (given) => count(given, 'status', 'availableReplicas'),
    Containers: containers('name'),
    Images: containers('image'),
    Selector: selector,
  },
  endpointslices: {
    AddressType: (given) => text(given, 'addressType'),
    Ports: (given) =>
      listed(
        items(given, 'ports').map((port) =>
          String(at(port, 'port') === undefined ? text(port, 'name') || '*' : count(port, 'port')),
        ),
      ),
    Endpoints: (given) =>
      listed(items(given, 'endpoints').flatMap((endpoint) => strings(endpoint['addresses']))),
  },
  events: eventCells,
  ingresses: {
    Class: (given) => orNone(text(given, 'spec', 'ingressClassName')),
    Hosts: (given) => {
      const hosts = items(given, 'spec', 'rules')
        .map((rule) => text(rule, 'host'))
        .filter((host) => host !== '');
      return hosts.length === 0 ? '*' : listed(hosts);
    },
    Address: (given) => addressesOf(given).join(','),
    Ports: (given) => (items(given, 'spec', 'tls').length > 0 ? '80, 443' : '80'),
  },
  jobs: {
    Status: jobStatus,
    Completions: (given) => {
      const wanted = at(given, 'spec', 'completions');
      const [done, parallel] = [count(given, 'status', 'succeeded'), count(given, 'spec', 'parallelism')];
      if (typeof wanted === 'number') return `${done}/${wanted}`;
      return parallel > 1 ? `${done}/1 of ${parallel}` : `${done}/1`;
    },
    Duration: (given, now) => {
      const [start, end] = ['startTime', 'completionTime'].map((key) => text(given, 'status', key));
      if (start === undefined || start === '') return '';
      return humanDuration((end === undefined || end === '' ? now : Date.parse(end)) - Date.parse(start));
    },
    Containers: containers('name'),
    Images: containers('image'),
    Selector: selector,
  },
  leases: { Holder: (given) => text(given, 'spec', 'holderIdentity') },
  namespaces: { Status: (given) => text(given, 'status', 'phase') },
  networkpolicies: { 'Pod-Selector': (given) => orNone(selectorText(object(given, 'spec', 'podSelector'))) },
  nodes: {
    Status: nodeStatus,
    Roles: nodeRoles,
    Version: nodeInfo('kubeletVersion', ''),
    'Internal-IP': nodeAddress('InternalIP'),
    'External-IP': nodeAddress('ExternalIP'),
    'OS-Image': nodeInfo('osImage'),
    'Kernel-Version': nodeInfo('kernelVersion'),
    'Container-Runtime': nodeInfo('containerRuntimeVersion'),
  },
  persistentvolumeclaims: {
    Status: (given) =>
      at(given, 'metadata', 'deletionTimestamp') === undefined
        ? text(given, 'status', 'phase')
        : 'Terminating',
    Volume: (given) => text(given, 'spec', 'volumeName'),
    Capacity: (given) => (isBound(given) ? text(given, 'status', 'capacity', 'storage') || '0' : ''),
    'Access Modes': (given) => (isBound(given) ? claimModes(given) : ''),
    StorageClass: (given) => text(given, 'spec', 'storageClassName'),
    VolumeAttributesClass: (given) => orNone(text(given, 'spec', 'volumeAttributesClassName'), '<unset>'),
    VolumeMode: (given) => orNone(text(given, 'spec', 'volumeMode'), '<unset>'),
  },
  poddisruptionbudgets: {
    'Min Available': orNotAvailable('minAvailable'),
    'Max Unavailable': orNotAvailable('maxUnavailable'),
    'Allowed Disruptions': (given) => count(given, 'status', 'disruptionsAllowed'),
  },
  pods: {
    Ready: (given) => {
      const ready = items(given, 'status', 'containerStatuses').filter(
        (container) => container['ready'] === true && at(container, 'state', 'running') !== undefined,
      );
      return `${ready.length}/${items(given, 'spec', 'containers').length}`;
    },
    Status: podStatus,
    Restarts: restarts,
    IP: (given) => orNone(text(given, 'status', 'podIP')),
    Node: (given) => orNone(text(given, 'spec', 'nodeName')),
    'Nominated Node': (given) => orNone(text(given, 'status', 'nominatedNodeName')),
    'Readiness Gates': () => '<none>',
  },
  secrets: { Type: (given) => text(given, 'type'), Data: keys('data') },
  serviceaccounts: { Secrets: (given) => items(given, 'secrets').length },
  services: {
    Type: (given) => text(given, 'spec', 'type'),
    'Cluster-IP': (given) => orNone(text(given, 'spec', 'clusterIPs', 0)),
    'External-IP': externalAddress,
    'Port(s)': servicePorts,
    Selector: (given) => orNone(selectorText({ matchLabels: object(given, 'spec', 'selector') })),
  },
};

/** @throws {Error} when the column of a recorded kind has no cell */
export function cellOf(plural: string, column: string): Cell {
  const cell = { Name: name, Age: age, ...CELLS[plural] }[column];
  if (cell === undefined) throw new Error(`${plural} have no cell for ${column}`);
  return cell;
}
