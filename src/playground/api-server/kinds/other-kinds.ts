import { isIP } from 'node:net';
import { isJsonArray } from '../fields/json.ts';
import type { FieldError, JsonObject, Kind } from '../kind.ts';
import { at, changed, count, invalidValue, items, object, required, text, withDefaults } from './read.ts';

export const disruptionBudget: Partial<Kind> = { needsVersion: true };

export const lease: Partial<Kind> = {
  createsOnUpdate: true,
  needsVersion: true,
  validate: (given) => {
    const spec = object(given, 'spec');
    return [
      ...(spec['leaseDurationSeconds'] !== undefined && count(spec, 'leaseDurationSeconds') <= 0
        ? [
            invalidValue(
              'spec.leaseDurationSeconds',
              count(spec, 'leaseDurationSeconds'),
              'must be greater than 0',
            ),
          ]
        : []),
      ...(count(spec, 'leaseTransitions') < 0
        ? [
            invalidValue(
              'spec.leaseTransitions',
              count(spec, 'leaseTransitions'),
              'must be greater than or equal to 0',
            ),
          ]
        : []),
    ];
  },
};

const IP_PROBLEM = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

export const endpointSlice: Partial<Kind> = {
  defaults: (given) =>
    changed(given, ['ports'], (ports) =>
      items(ports).map((port) => withDefaults(port, { name: '', protocol: 'TCP' })),
    ),
  validate: (given) => [
    ...(text(given, 'addressType') === '' ? [required('addressType')] : []),
    ...items(given, 'endpoints').flatMap((endpoint, index) => {
      const addresses = at(endpoint, 'addresses');
      const path = `endpoints[${index}].addresses`;
      if (!isJsonArray(addresses) || addresses.length === 0) {
        return [required(path, 'must contain at least 1 address')];
      }
      return addresses.flatMap((address, at) =>
        text(given, 'addressType') !== 'FQDN' && isIP(text(address)) === 0
          ? [invalidValue(`${path}[${at}]`, address, IP_PROBLEM)]
          : [],
      );
    }),
  ],
};

export const networkPolicy: Partial<Kind> = {
  defaults: (given) =>
    changed(given, ['spec'], (spec) => {
      const policyTypes = ['Ingress', ...(at(spec, 'egress') === undefined ? [] : ['Egress'])];
      const withProtocols = ['ingress', 'egress'].reduce(
        (done, list) =>
          changed(done, [list], (rules) =>
            items(rules).map((rule) =>
              changed(rule, ['ports'], (ports) =>
                items(ports).map((port) => withDefaults(port, { protocol: 'TCP' })),
              ),
            ),
          ),
        object(spec),
      );
      return withDefaults(withProtocols, { policyTypes });
    }),
};

export const ingress: Partial<Kind> = {
  validate: (given) => {
    const spec = object(given, 'spec');
    if (spec['defaultBackend'] !== undefined || items(spec, 'rules').length > 0) return [];
    return [
      invalidValue(
        'spec',
        Object.keys(spec).length === 0 ? null : spec,
        'either `defaultBackend` or `rules` must be specified',
      ),
    ];
  },
};

/** The names of what both kinds of event hold: in the core group, and in events.k8s.io. */
const EVENT_NAMES = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
] as const;

function renamed(event: JsonObject, from: 0 | 1, to: 0 | 1, apiVersion: string): JsonObject {
  const names = new Map<string, string>(EVENT_NAMES.map((pair) => [pair[from], pair[to]]));
  const entries = Object.entries(event).map(([key, value]) => [names.get(key) ?? key, value] as const);
  return { ...Object.fromEntries(entries), apiVersion };
}

const involved = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

export const coreEvent: Partial<Kind> = {
  createsOnUpdate: true,
  selectable: {
    ...Object.fromEntries(
      involved.map((key) => [
        `involvedObject.${key}`,
        (given: JsonObject) => text(given, 'involvedObject', key),
      ]),
    ),
    reason: (given) => text(given, 'reason'),
    type: (given) => text(given, 'type'),
    reportingComponent: (given) => text(given, 'reportingComponent'),
    source: (given) => text(given, 'source', 'component') || text(given, 'reportingComponent'),
  },
  validate: (event) => eventErrors(event, 'reportingComponent'),
};

export const event: Partial<Kind> = {
  createsOnUpdate: true,
  stored: {
    group: '',
    plural: 'events',
    encode: (given) => renamed(given, 1, 0, 'v1'),
    decode: (stored) => renamed(stored, 0, 1, 'events.k8s.io/v1'),
  },
  selectable: Object.fromEntries(
    Object.entries(coreEvent.selectable ?? {}).map(([path, read]) => {
      const [, own = path] = EVENT_NAMES.find(([core]) => core === path.split('.')[0]) ?? [];
      return [path.replace(/^[^.]+/, own), read];
    }),
  ),
  validate: (given, old) => [
    ...eventErrors(renamed(given, 1, 0, 'v1'), 'reportingController'),
    ...((given['eventTime'] ?? null) === null ? [required('eventTime')] : []),
    ...(['Normal', 'Warning'].includes(text(given, 'type')) || old !== undefined
      ? []
      : [invalidValue('type', '', `has invalid value: ${text(given, 'type')}`)]),
  ],
};

function eventErrors(event: JsonObject, controller: string): readonly FieldError[] {
  const namespace = text(event, 'metadata', 'namespace');
  const about = text(event, 'involvedObject', 'namespace');
  const mismatch = [invalidValue('involvedObject.namespace', about, 'does not match event.namespace')];
  if ((event['eventTime'] ?? null) === null) {
    return about === '' ? (namespace === 'default' ? [] : mismatch) : about === namespace ? [] : mismatch;
  }
  return [
    ...(about === '' && namespace !== 'default' && namespace !== 'kube-system' ? mismatch : []),
    ...(text(event, 'reportingComponent') === '' ? [required(controller)] : []),
    ...['reportingInstance', 'action', 'reason'].flatMap((key) =>
      text(event, key) === '' ? [required(key)] : [],
    ),
    ...(text(event, 'message').length > 1024
      ? [invalidValue('message', '', 'can have at most 1024 characters')]
      : []),
  ];
}
