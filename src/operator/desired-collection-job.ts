import { dirname } from 'node:path';
import { RUN_AT_ANNOTATION } from '../api/names.ts';
import type { RegistryGC } from '../api/registry-gc.ts';
import type { Registry } from '../api/registry.ts';
import { CONFIG_FILE, STORAGE_ROOT } from '../contract/places.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { Job } from '../kube/resources.ts';
import { collectionLabels, ownerReference, registrySelector } from './child-names.ts';
import { serverVolumes } from './desired-deployment.ts';
import { containerSecurity, podSecurity } from './pod-security.ts';

/** One run: which it is, and what it was asked by. */
export interface CollectionRun {
  /** The name of the Job, the same each time the run is thought of. */
  readonly name: string;
  /** The value of the annotation that this run answers. */
  readonly runAt?: string;
}

/** The collector has time to give its lease back. */
const GRACE_SECONDS = 30;
export const DRY_RUN_OPTION = '--dry-run';
const REPORT_FILE = '/dev/termination-log';

/**
 * The Job of one run. It takes the lease by itself and needs no API token; its report is the termination message.
 * `besideServer`: there is a pod of the registry, whose node alone can mount the volume.
 */
export function desiredCollectionJob(
  gc: Stored<RegistryGC>,
  registry: Registry,
  run: CollectionRun,
  options: { readonly image: string; readonly besideServer: boolean },
): ApplyFields<Job> {
  const labels = collectionLabels(gc);
  return {
    metadata: {
      name: run.name,
      namespace: gc.metadata.namespace,
      labels,
      ...(run.runAt !== undefined && { annotations: { [RUN_AT_ANNOTATION]: run.runAt } }),
      ownerReferences: [ownerReference('RegistryGC', gc)],
    },
    spec: {
      // A run that failed is for the next run, or for a person, to make good: two at once must not be.
      backoffLimit: 0,
      podReplacementPolicy: 'Failed',
      activeDeadlineSeconds: gc.spec.activeDeadlineSeconds,
      template: {
        metadata: { labels },
        spec: {
          ...podSecurity,
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: GRACE_SECONDS,
          ...(options.besideServer && { affinity: besideServerOf(registry) }),
          containers: [
            {
              name: 'garbage-collection',
              image: options.image,
              imagePullPolicy: 'IfNotPresent',
              args: collectorArguments(gc),
              terminationMessagePath: REPORT_FILE,
              // When it dies without a report, the end of its log says why.
              terminationMessagePolicy: 'FallbackToLogsOnError',
              resources: { requests: { cpu: '50m', memory: '128Mi' } },
              securityContext: containerSecurity,
              volumeMounts: [
                { name: 'data', mountPath: STORAGE_ROOT },
                { name: 'config', mountPath: dirname(CONFIG_FILE), readOnly: true },
                { name: 'tmp', mountPath: '/tmp' },
              ],
            },
          ],
          volumes: serverVolumes(registry),
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
    ...(spec.deleteUntagged ? ['--delete-untagged'] : []),
  ];
}

function besideServerOf(registry: Registry) {
  return {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        {
          topologyKey: 'kubernetes.io/hostname',
          labelSelector: { matchLabels: registrySelector(registry.metadata.name) },
        },
      ],
    },
  };
}
