import type { Json, JsonObject } from '../kind.ts';
import { count, text } from './read.ts';

type Defaults = Readonly<Record<string, Json | undefined>>;

/** What Kubernetes adds to the schema of a definition: the schemas that it publishes do not say it. */
export interface DefinitionRules {
  /** What is filled in where it is absent. */
  readonly defaults?: Defaults | ((given: JsonObject) => Defaults);
  /** Beside what the schema requires. */
  readonly required?: readonly string[];
  /** What the controllers and the node do not know: refused, since it would do nothing. */
  readonly unknown?: readonly string[];
}

const projected = { defaults: { defaultMode: 0o644 } };

/** By the name of the definition behind `io.k8s.api.`. */
const RULES: Readonly<Record<string, DefinitionRules>> = {
  'apps.v1.DeploymentSpec': {
    defaults: { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 },
    unknown: ['minReadySeconds', 'paused'],
  },
  'apps.v1.DeploymentStrategy': {
    defaults: ({ type = 'RollingUpdate' }) => ({
      type,
      rollingUpdate: type === 'RollingUpdate' ? {} : undefined,
    }),
  },
  'apps.v1.RollingUpdateDeployment': { defaults: { maxUnavailable: '25%', maxSurge: '25%' } },
  'batch.v1.JobSpec': {
    defaults: ({ completions, parallelism }) => ({
      completions: completions === undefined && parallelism === undefined ? 1 : undefined,
      parallelism: 1,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      suspend: false,
      manualSelector: false,
      podReplacementPolicy: 'TerminatingOrFailed',
    }),
    unknown: ['podFailurePolicy', 'successPolicy', 'suspend', 'ttlSecondsAfterFinished'],
  },
  'core.v1.ConfigMapVolumeSource': projected,
  'core.v1.SecretVolumeSource': { ...projected, required: ['secretName'] },
  'core.v1.HostPathVolumeSource': { defaults: { type: '' } },
  'core.v1.Container': {
    defaults: ({ image }) => ({
      resources: {},
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
      imagePullPolicy: isLatest(text(image)) ? 'Always' : 'IfNotPresent',
    }),
    required: ['image'],
    unknown: ['envFrom'],
  },
  'core.v1.HTTPGetAction': { defaults: { path: '/', scheme: 'HTTP' } },
  'core.v1.NodeStatus': { defaults: ({ capacity }) => ({ allocatable: capacity }) },
  'core.v1.ObjectFieldSelector': { defaults: { apiVersion: 'v1' } },
  'core.v1.PersistentVolumeClaimSpec': { defaults: { volumeMode: 'Filesystem' } },
  'core.v1.PodSpec': {
    defaults: ({ serviceAccountName, serviceAccount }) => ({
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      securityContext: {},
      schedulerName: 'default-scheduler',
      serviceAccountName: serviceAccount,
      serviceAccount: serviceAccountName,
    }),
    required: ['containers'],
    unknown: ['activeDeadlineSeconds', 'ephemeralContainers', 'initContainers'],
  },
  'core.v1.Probe': {
    defaults: { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 },
  },
  'core.v1.Secret': { defaults: { type: 'Opaque' } },
  'core.v1.ServicePort': {
    defaults: (given) => ({ protocol: 'TCP', targetPort: count(given, 'port') }),
  },
  'core.v1.ServiceSpec': {
    defaults: ({ type = 'ClusterIP' }) => ({
      sessionAffinity: 'None',
      type,
      internalTrafficPolicy: type === 'ExternalName' ? undefined : 'Cluster',
      externalTrafficPolicy: type === 'NodePort' || type === 'LoadBalancer' ? 'Cluster' : undefined,
      allocateLoadBalancerNodePorts: type === 'LoadBalancer' ? true : undefined,
    }),
  },
  'discovery.v1.EndpointPort': { defaults: { name: '', protocol: 'TCP' } },
  'networking.v1.NetworkPolicyPort': { defaults: { protocol: 'TCP' } },
  'networking.v1.NetworkPolicySpec': {
    defaults: ({ egress }) => ({ policyTypes: ['Ingress', ...(egress === undefined ? [] : ['Egress'])] }),
  },
};

/** @param definition as in OpenAPI: `io.k8s.api.core.v1.PodSpec` */
export function rulesOf(definition: string | undefined): DefinitionRules | undefined {
  return definition === undefined ? undefined : RULES[definition.replace('io.k8s.api.', '')];
}

/** Whether an image is named by the tag `latest`, which may be another each time. */
function isLatest(image: string): boolean {
  return !image.includes('@') && (/:([^/:]+)$/.exec(image)?.[1] ?? 'latest') === 'latest';
}
