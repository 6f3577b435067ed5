import { RUN_AT_ANNOTATION } from '../api/names.ts';
import type { RegistryGC } from '../api/registry-gc.ts';
import type { Registry } from '../api/registry.ts';
import { CONFIG_FILE } from '../contract/places.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Job } from '../kube/resources.ts';
import { collectionLabels, ownerReference, serverSelector, retentionName } from './child-names.ts';
import { RETENTION_KEY } from './desired-retention.ts';
import {
  containerEnvironment,
  podIdentity,
  podLabels,
  podVolumes,
  volumeMounts,
  type Credentials,
} from './pod-parts.ts';
import { containerSecurity } from './pod-security.ts';

/** One run: which it is, and what it was asked by. */
export interface CollectionRun {
  /** The name of the Job, the same each time the run is thought of. */
  readonly name: string;
  /** The value of the annotation that this run answers. */
  readonly runAt?: string;
}

/** What of the collector's pod is in neither resource. */
export interface CollectorInputs {
  readonly image: string;
  /** There is a pod of the registry, whose node alone can mount the volume. */
  readonly besideServer: boolean;
  readonly credentials?: Credentials | undefined;
}

/** The collector has time to give its lease back. */
const GRACE_SECONDS = 30;
export const DRY_RUN_OPTION = '--dry-run';
/** A ConfigMap volume, where there are rules of retention. */
const RETENTION_FOLDER = '/etc/stevedore/retention';
const REPORT_FILE = '/dev/termination-log';
/**
 * Node would let what is young grow to several times of what a run keeps of a million blobs. Larger buys no speed: a run
 * waits for the store. Nobody else may set these options.
 */
const HEAP = { name: 'NODE_OPTIONS', value: '--max-semi-space-size=4' };

/**
 * The Job of one run. It takes the lease by itself and needs no API token; its report is the termination message.
 */
export function desiredCollectionJob(
  gc: Stored<RegistryGC>,
  registry: Registry,
  run: CollectionRun,
  inputs: CollectorInputs,
): ApplyFields<Job> {
  const labels = collectionLabels(gc);
  const affinity = inputs.besideServer ? besideServerOf(registry) : registry.spec.podTemplate?.affinity;
  const annotations = registry.spec.podTemplate?.annotations;
  const environment = containerEnvironment(registry, inputs.credentials);
  return {
    metadata: {
      name: run.name,
      namespace: gc.metadata.namespace,
      labels,
      ...(run.runAt !== undefined && { annotations: { [RUN_AT_ANNOTATION]: run.runAt } }),
      ownerReferences: [ownerReference(gc)],
    },
    spec: {
      // A run that failed is for the next run, or for a person, to make good: two at once must not be.
      backoffLimit: 0,
      podReplacementPolicy: 'Failed',
      activeDeadlineSeconds: gc.spec.activeDeadlineSeconds,
      template: {
        metadata: { labels: podLabels(registry, labels), ...(annotations !== undefined && { annotations }) },
        spec: {
          ...podIdentity(registry),
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: GRACE_SECONDS,
          ...(affinity !== undefined && { affinity }),
          containers: [
            {
              name: 'garbage-collection',
              image: inputs.image,
              imagePullPolicy: 'IfNotPresent',
              args: collectorArguments(gc),
              env: [HEAP, ...environment],
              terminationMessagePath: REPORT_FILE,
              // When it dies without a report, the end of its log says why.
              terminationMessagePolicy: 'FallbackToLogsOnError',
              resources: { requests: { cpu: '50m', memory: '128Mi' } },
              securityContext: containerSecurity,
              volumeMounts: [
                ...volumeMounts(registry),
                ...(gc.spec.retention === undefined
                  ? []
                  : [{ name: 'retention', mountPath: RETENTION_FOLDER, readOnly: true }]),
              ],
            },
          ],
          volumes: [
            ...podVolumes(registry),
            ...(gc.spec.retention === undefined
              ? []
              : [{ name: 'retention', configMap: { name: retentionName(gc) } }]),
          ],
        },
      },
    },
  };
}

function collectorArguments({ spec }: RegistryGC): string[] {
  return [
    'garbage-collect',
    CONFIG_FILE,
    '--format=json',
    `--report-file=${REPORT_FILE}`,
    `--minimum-age=${spec.minimumAge}`,
    `--trash-grace=${spec.trashGrace}`,
    `--drain-timeout=${spec.drainTimeout}`,
    ...(spec.dryRun ? [DRY_RUN_OPTION] : []),
    ...(spec.retention === undefined ? [] : [`--retention=${RETENTION_FOLDER}/${RETENTION_KEY}`]),
    ...(spec.deleteUntagged ? ['--delete-untagged'] : []),
  ];
}

function besideServerOf(registry: Registry) {
  return {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        {
          topologyKey: 'kubernetes.io/hostname',
          labelSelector: { matchLabels: serverSelector(registry) },
        },
      ],
    },
  };
}
