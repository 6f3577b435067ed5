import type { FieldError, JsonObject, Kind } from '../kind.ts';
import { invalidValue, text } from './read.ts';

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

export const coreEvent: Partial<Kind> = {
  // By these kubectl describe asks for what happened to an object.
  selectable: Object.fromEntries(
    [
      'involvedObject.kind',
      'involvedObject.namespace',
      'involvedObject.name',
      'involvedObject.uid',
      'type',
    ].map((path) => [path, (given: JsonObject) => text(given, ...path.split('.'))]),
  ),
  validate: (given) =>
    namespaceErrors(text(given, 'metadata', 'namespace'), text(given, 'involvedObject', 'namespace')),
};

export const event: Partial<Kind> = {
  stored: {
    group: '',
    plural: 'events',
    encode: (given) => renamed(given, 1, 0, 'v1'),
    decode: (stored) => renamed(stored, 0, 1, 'events.k8s.io/v1'),
  },
  validate: (given) =>
    namespaceErrors(text(given, 'metadata', 'namespace'), text(given, 'regarding', 'namespace')),
};

/** An event is in the namespace of what it is about; of what is in none, in `default`. */
function namespaceErrors(namespace: string, about: string): readonly FieldError[] {
  return namespace === (about || 'default')
    ? []
    : [invalidValue('involvedObject.namespace', about, 'does not match event.namespace')];
}
