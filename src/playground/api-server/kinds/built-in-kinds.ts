import type { Kind } from '../kind.ts';
import { cellOf } from './cells.ts';
import {
  configMap,
  namespace,
  node,
  persistentVolumeClaim,
  secret,
  service,
  serviceAccount,
} from './core.ts';
import { customResourceDefinition } from './custom-kind.ts';
import {
  coreEvent,
  disruptionBudget,
  endpointSlice,
  event,
  ingress,
  lease,
  networkPolicy,
} from './other-kinds.ts';
import { definedSchema, recordedKind } from './recorded.ts';
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
    columns: recorded.columns.map((column) => ({ ...column, value: cellOf(plural, column.name) })),
    ...behaviour,
  };
}

const scale = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.spec.selector',
};

export const builtInKinds: readonly Kind[] = [
  builtIn('', 'configmaps', configMap),
  builtIn('', 'events', coreEvent),
  builtIn('', 'namespaces', namespace),
  builtIn('', 'nodes', node),
  builtIn('', 'persistentvolumeclaims', persistentVolumeClaim),
  builtIn('', 'pods', pod),
  builtIn('', 'secrets', secret),
  builtIn('', 'serviceaccounts', serviceAccount),
  builtIn('', 'services', service),
  builtIn('apps', 'deployments', { ...deployment, scale }),
  builtIn('batch', 'jobs', job),
  builtIn('coordination.k8s.io', 'leases', lease),
  builtIn('discovery.k8s.io', 'endpointslices', endpointSlice),
  builtIn('events.k8s.io', 'events', event),
  builtIn('networking.k8s.io', 'ingresses', ingress),
  builtIn('networking.k8s.io', 'networkpolicies', networkPolicy),
  builtIn('policy', 'poddisruptionbudgets', disruptionBudget),
  builtIn('apiextensions.k8s.io', 'customresourcedefinitions', customResourceDefinition),
];
