import type { NamespacedName, Stored } from '../kube/object.ts';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import type { Logger } from '../process/logger.ts';
import { childNames, isServer } from './child-names.ts';
import { jobState } from './collection-run.ts';
import type { Condition } from './conditions.ts';
import { degradesAt } from './degraded.ts';
import { nextLook } from './next-look.ts';
import { lookAtNodes, withdrawNodes } from './node-steps.ts';
import type { ReadNodeReport } from './read-node-report.ts';
import type { RegistryFacts } from './registry-facts.ts';
import type { RegistryLook, RegistryTools, Step } from './registry-look.ts';
import { readOrLog, type UnreadObject } from './resource-types.ts';
import { serverAddresses } from './rollout.ts';
import type { Served } from './served.ts';
import type { ReadServerStatus } from './server-status.ts';
import { withdrawShares } from './share-steps.ts';
import { transitionEvents } from './transitions.ts';
import { childrenIn, servedIn } from './world.ts';
import { writeStatus } from './write-status.ts';

export interface ServerReconcilerOptions extends RegistryTools {
  readonly readServerStatus: ReadServerStatus;
  readonly readNodeReport: ReadNodeReport;
  readonly log: Logger;
}

/** What makes one kind with servers differ from another. */
export interface ServedKind<R extends Served> {
  readonly kind: R['kind'];
  /** @throws {InvalidObjectError} */
  readonly read: (object: Stored<UnreadObject>) => Stored<R>;
  readonly steps: readonly Step<R>[];
  /** The status that follows from the facts. `now`: milliseconds since the epoch. */
  readonly statusOf: (
    registry: R,
    facts: RegistryFacts,
    now: number,
  ) => NonNullable<R['status']> & { readonly conditions?: readonly Condition[] };
}

/** Whoever changed the object in between has woken us already; this is for when that was lost. */
const AFTER_CONFLICT_MS = 500;

/** Brings the children of one resource to what it asks, then says in its status what is there. */
export function createServerReconciler<R extends Served>(
  options: ServerReconcilerOptions,
  { kind, read, steps, statusOf }: ServedKind<R>,
) {
  const { world, log } = options;
  const resources = servedIn(world, kind);
  return async (key: NamespacedName): Promise<Outcome> => {
    const object = resources.get(key);
    if (object === undefined) return done;
    if (object.metadata.deletionTimestamp !== undefined) {
      // Its children carry an owner reference and go with it; what is retained stays as it is.
      const withdrawn = await withdrawNodes(options, kind, object);
      if (withdrawn.kind !== 'done') return withdrawn;
      const released = await withdrawShares(options, kind, object);
      if (released.kind === 'stalled') {
        const { reason, message } = released;
        options.events.record(object, { type: 'Warning', reason, action: 'Delete', note: message });
      }
      return released;
    }
    const registry = readOrLog(object, read, log);
    if (registry === undefined) return stalled('InvalidSpec', 'The object does not fit its schema.');
    const { facts } = await lookAt(options, steps, registry);
    const now = options.clock.now();
    const status = statusOf(registry, facts, now);
    const result = await writeStatus(options.kube, resources.type, registry, status);
    if (result === 'stale') return waiting(AFTER_CONFLICT_MS, 'StatusConflict');
    if (result === 'written') {
      for (const event of transitionEvents(registry.status?.conditions, status.conditions ?? [])) {
        options.events.record(registry, event);
      }
    }
    return nextLook(facts, degradesAt(status), now);
  };
}

async function lookAt<R extends Served>(
  options: ServerReconcilerOptions,
  steps: readonly Step<R>[],
  registry: Stored<R>,
): Promise<RegistryLook<R>> {
  const { world, readServerStatus } = options;
  const { namespace } = registry.metadata;
  const look: RegistryLook<R> = {
    registry,
    shareProblems: [],
    facts: {
      servers: [],
      pods: childrenIn(world.pods, registry).filter(isServer),
      collecting: childrenIn(world.jobs, registry).some((job) => jobState(job) === 'active'),
    },
  };
  for (const step of steps) {
    const outcome = await step(options, look);
    if (outcome.kind === 'done') continue;
    look.facts.halt = outcome;
    break;
  }
  // Halted or not, what is there is told.
  const { facts } = look;
  const key = { namespace, name: childNames(registry).deployment };
  const deployment = facts.deployment ?? world.deployments.get(key);
  if (deployment !== undefined) facts.deployment = deployment;
  if (facts.halt !== undefined) options.upgrades.release(key, deployment);
  // After all writes to children: they must not wait for a server that does not answer.
  const answers = await Promise.all(serverAddresses(facts.pods).map(readServerStatus));
  facts.servers = answers.filter((answer) => answer !== undefined);
  await lookAtNodes(options, look);
  return look;
}
