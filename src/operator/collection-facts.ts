import type { RegistryGC } from '../api/registry-gc.ts';
import type { Registry } from '../api/registry.ts';
import type { Stored } from '../kube/object.ts';
import type { Job, PersistentVolumeClaim, Pod } from '../kube/resources.ts';
import type { CollectionPlan } from './collection-plan.ts';
import type { LastRun } from './collection-run.ts';
import type { Reason } from './reasons.ts';
import type { Schedule } from './schedule.ts';

/** What one look at a RegistryGC's world found. Conditions, phase and status follow from it. */
export interface CollectionFacts {
  readonly gc: Stored<RegistryGC>;
  /** Absent when there is none. */
  readonly registry?: Registry;
  /** The volume of the Registry, where it has one. */
  readonly claim?: PersistentVolumeClaim;
  /** Undefined: there is none, or it can't be read. */
  readonly schedule: Schedule | undefined;
  readonly plan: CollectionPlan;
  /** What stands in the way of any run. */
  readonly obstacle?: Obstacle;
  /** The Job that has not ended. */
  readonly active?: Job;
  /** The pods of the active Job. */
  readonly pods: readonly Pod[];
  /** The latest run, ended or not. */
  readonly lastRun?: LastRun;
}

export interface Obstacle {
  readonly reason: Extract<
    Reason,
    | 'RegistryNotFound'
    | 'RegistryNotReady'
    | 'Conflict'
    | 'InvalidSchedule'
    | 'GCNotSupportedByStorage'
    | 'NameConflict'
    | 'Refused'
  >;
  readonly message: string;
  /** Nothing but a change by somebody ends it. */
  readonly stalled: boolean;
}
