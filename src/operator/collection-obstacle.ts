import type { RegistryGC } from '../api/registry-gc.ts';
import type { Registry } from '../api/registry.ts';
import type { Stored } from '../kube/object.ts';
import type { PersistentVolumeClaim } from '../kube/resources.ts';
import { conflictingCollection } from './collection-conflict.ts';
import type { Obstacle } from './collection-facts.ts';
import { conditionOf } from './conditions.ts';
import { storageReach } from './storage-reach.ts';

/** What decides whether a run may start. */
export interface ObstacleState {
  readonly gc: Stored<RegistryGC>;
  readonly registry: Stored<Registry> | undefined;
  /** Every RegistryGC of that Registry. */
  readonly rivals: readonly Stored<RegistryGC>[];
  /** Why the schedule can't be read. */
  readonly scheduleError: string | undefined;
  readonly claim: PersistentVolumeClaim | undefined;
  readonly runIsDue: boolean;
}

type Check = (state: ObstacleState) => Obstacle | undefined;

/** The first check that finds something wins. */
export function collectionObstacle(state: ObstacleState): Obstacle | undefined {
  for (const check of checks) {
    const obstacle = check(state);
    if (obstacle !== undefined) return obstacle;
  }
  return undefined;
}

const checks: readonly Check[] = [
  hasUnreadableSchedule,
  hasRival,
  hasNoRegistry,
  sharesNoStorage,
  meetsUnreadyRegistry,
];

function hasUnreadableSchedule({ scheduleError }: ObstacleState): Obstacle | undefined {
  if (scheduleError === undefined) return undefined;
  return {
    reason: 'InvalidSchedule',
    message: `The schedule can not be read. ${scheduleError} Correct spec.schedule or spec.timeZone.`,
    stalled: true,
  };
}

function hasRival({ gc, rivals }: ObstacleState): Obstacle | undefined {
  const rival = conflictingCollection(gc, rivals);
  if (rival === undefined) return undefined;
  return {
    reason: 'Conflict',
    message: `The RegistryGC ${rival.metadata.name} is older and collects in the same Registry. Delete one of the two.`,
    stalled: true,
  };
}

function hasNoRegistry({ gc, registry }: ObstacleState): Obstacle | undefined {
  if (registry !== undefined && registry.metadata.deletionTimestamp === undefined) return undefined;
  return {
    reason: 'RegistryNotFound',
    message: `There is no Registry ${gc.spec.registryRef.name} in this namespace.`,
    stalled: false,
  };
}

function sharesNoStorage({ registry, claim }: ObstacleState): Obstacle | undefined {
  if (registry === undefined || storageReach(registry, claim) !== 'pod') return undefined;
  if (claim === undefined) {
    return {
      reason: 'GCNotSupportedByStorage',
      message:
        'The Registry keeps its images on the disk of a node for as long as its pod is there, where no collector can come. Restart the pod to be rid of them, or make a second Registry with other storage and copy the images to it.',
      stalled: true,
    };
  }
  return {
    reason: 'GCNotSupportedByStorage',
    message: `The claim ${claim.metadata.name} has the access mode ReadWriteOncePod, so that no collector can mount it beside the registry. Make a second Registry with ReadWriteOnce and copy the images to it.`,
    stalled: true,
  };
}

function meetsUnreadyRegistry({ registry, runIsDue }: ObstacleState): Obstacle | undefined {
  const ready = conditionOf(registry?.status, 'Ready');
  // Judged as it is now: of a change it is not known yet whether it is permitted, and the run would follow it.
  const isJudged = ready?.observedGeneration === registry?.metadata.generation;
  if (!runIsDue || (ready?.status === 'True' && isJudged)) return undefined;
  return {
    reason: 'RegistryNotReady',
    message: `The run waits until the Registry is ready: ${ready?.message ?? 'nothing is known of it yet'}`,
    stalled: false,
  };
}
