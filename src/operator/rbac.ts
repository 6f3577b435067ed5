import { GROUP } from '../api/names.ts';

/** A rule of RBAC, as rbac.authorization.k8s.io/v1 has it. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const WATCH = ['list', 'watch'] as const;
/** Server-side apply is a patch, and a create where there is nothing to patch. */
const APPLY = ['create', 'patch'] as const;

/**
 * What the operator may do in the namespaces it works for: what it does, and no more. The chart's ClusterRole is made
 * from this list, and the tests on a real cluster run with it. Leases and the rights of the operator's own namespace
 * are in the chart's leader-election.yaml.
 */
export const operatorRules: readonly PolicyRule[] = [
  { apiGroups: [GROUP], resources: ['registries', 'registrymirrors', 'registrygcs'], verbs: [...WATCH] },
  // Its finalizer, where something in another namespace is to be taken back.
  { apiGroups: [GROUP], resources: ['registries', 'registrymirrors'], verbs: ['patch'] },
  // Whether a namespace takes what is put into it. Holds where the role is bound for the whole cluster.
  { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
  {
    apiGroups: [GROUP],
    resources: ['registries/status', 'registrymirrors/status', 'registrygcs/status'],
    verbs: ['patch'],
  },
  // Read: passwords that users refer to, which no rule can name beforehand.
  { apiGroups: [''], resources: ['secrets'], verbs: ['get', ...WATCH, ...APPLY, 'delete'] },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', ...WATCH, ...APPLY, 'delete'] },
  { apiGroups: [''], resources: ['services'], verbs: ['get', ...WATCH, ...APPLY, 'delete'] },
  { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: ['get', ...WATCH, ...APPLY] },
  // Whether its owner lets pods use it.
  { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['get'] },
  { apiGroups: [''], resources: ['pods'], verbs: [...WATCH] },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', ...WATCH, ...APPLY] },
  {
    apiGroups: ['policy'],
    resources: ['poddisruptionbudgets'],
    verbs: ['get', ...WATCH, ...APPLY, 'delete'],
  },
  {
    apiGroups: ['networking.k8s.io'],
    resources: ['networkpolicies', 'ingresses'],
    verbs: ['get', ...WATCH, ...APPLY, 'delete'],
  },
  // Not watched, since they need not be installed.
  {
    apiGroups: ['gateway.networking.k8s.io'],
    resources: ['httproutes', 'tlsroutes'],
    verbs: ['get', 'list', ...APPLY, 'delete'],
  },
  {
    apiGroups: ['cert-manager.io'],
    resources: ['certificates'],
    verbs: ['get', 'list', ...APPLY, 'delete'],
  },
  {
    apiGroups: ['monitoring.coreos.com'],
    resources: ['servicemonitors', 'prometheusrules'],
    verbs: ['get', 'list', ...APPLY, 'delete'],
  },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', ...WATCH, 'create', 'delete'] },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
];

/** And what it may do where mirrors and authorities are written on nodes: find out which nodes there are. */
export const nodeAccessRules: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['nodes'], verbs: [...WATCH] },
];
