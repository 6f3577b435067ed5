import type { Kind } from '../kind.ts';
import { cellOf } from './cells.ts';
import { filled, mistakes } from './built-in-schema.ts';
import { configMap, namespace, node, persistentVolumeClaim, secret } from './core.ts';
import { customResourceDefinition } from './custom-kind.ts';
import { coreEvent, event } from './events.ts';
import { definedSchema, recordedKind } from './recorded.ts';
import { service } from './service.ts';
import { deployment, job, pod } from './workloads.ts';

const WITH_GENERATION = [
  'customresourcedefinitions',
  'deployments',
  'endpointslices',
  'ingresses',
  'jobs',
  'networkpolicies',
  'poddisruptionbudgets',
  'pods',
];
/** These have a status in their schema and no subresource for it. */
const WITHOUT_STATUS = ['networkpolicies'];

function builtIn(group: string, plural: string, behaviour: Partial<Kind> = {}): Kind {
  const recorded = recordedKind(group, plural);
  const { version, singular, kind, shortNames, categories, namespaced } = recorded;
  const schema = definedSchema(recorded.definition);
  return {
    group,
    version,
    plural,
    singular,
    kind,
    shortNames,
    categories,
    namespaced,
    schema,
    custom: false,
    status: Object.hasOwn(schema.properties ?? {}, 'status') && !WITHOUT_STATUS.includes(plural),
    generation: WITH_GENERATION.includes(plural),
    columns: recorded.columns.flatMap((column) => {
      const value = cellOf(plural, column.name);
      return value === undefined ? [] : [{ ...column, value }];
    }),
    ...behaviour,
    defaults: (given) => filled(schema, behaviour.defaults?.(given) ?? given),
    validate: (given, old) => [...mistakes(schema, given), ...(behaviour.validate?.(given, old) ?? [])],
  };
}

/** Groups in the order of the API server: of two kinds of one name clients prefer the first. */
export const builtInKinds: readonly Kind[] = [
  builtIn('', 'configmaps', configMap),
  builtIn('', 'events', coreEvent),
  builtIn('', 'namespaces', namespace),
  builtIn('', 'nodes', node),
  builtIn('', 'persistentvolumeclaims', persistentVolumeClaim),
  builtIn('', 'pods', pod),
  builtIn('', 'secrets', secret),
  builtIn('', 'serviceaccounts', { returnsDeleted: true }),
  builtIn('', 'services', service),
  builtIn('apps', 'deployments', deployment),
  builtIn('events.k8s.io', 'events', event),
  builtIn('batch', 'jobs', job),
  builtIn('networking.k8s.io', 'ingresses'),
  builtIn('networking.k8s.io', 'networkpolicies'),
  builtIn('policy', 'poddisruptionbudgets', { needsVersion: true }),
  builtIn('apiextensions.k8s.io', 'customresourcedefinitions', customResourceDefinition),
  builtIn('coordination.k8s.io', 'leases', { needsVersion: true }),
  builtIn('discovery.k8s.io', 'endpointslices'),
];
