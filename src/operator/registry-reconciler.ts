import type { Registry } from '../api/registry.ts';
import { formatKey, type NamespacedName, type Stored } from '../kube/object.ts';
import { done, stalled, waiting, type Outcome } from '../kube/outcome.ts';
import type { Logger } from '../process/logger.ts';
import { childNames, isServer } from './child-names.ts';
import { jobState } from './collection-run.ts';
import { degradesAt } from './degraded.ts';
import { nextLook } from './next-look.ts';
import type { RegistryLook, RegistryTools } from './registry-look.ts';
import { registryStatus } from './registry-status.ts';
import { registrySteps } from './registry-steps.ts';
import { readOrLog, readRegistry, registries } from './resource-types.ts';
import { serverAddresses } from './rollout.ts';
import type { ReadServerStatus } from './server-status.ts';
import { withdrawShares } from './share-steps.ts';
import { transitionEvents } from './transitions.ts';
import { writeStatus } from './write-status.ts';

export interface RegistryReconcilerOptions extends RegistryTools {
  readonly readServerStatus: ReadServerStatus;
  readonly log: Logger;
}

/** Whoever changed the object in between has woken us already; this is for when that was lost. */
const AFTER_CONFLICT_MS = 500;

/** Brings one Registry's children to what it asks, then says in its status what is there. */
export function createRegistryReconciler(options: RegistryReconcilerOptions) {
  const { world, log } = options;
  return async (key: NamespacedName): Promise<Outcome> => {
    const object = world.registries.get(key);
    if (object === undefined) return done;
    if (object.metadata.deletionTimestamp !== undefined) {
      // Its children carry an owner reference and go with it; what is retained stays as it is.
      await withdrawShares(options, object);
      return done;
    }
    const registry = readOrLog(object, readRegistry, log);
    if (registry === undefined) return stalled('InvalidSpec', 'The object does not fit its schema.');
    const look = await lookAt(options, registry);
    const now = options.clock.now();
    const status = registryStatus(registry, look.facts, now);
    const result = await writeStatus(options.kube, registries, registry, status);
    if (result === 'stale') return waiting(AFTER_CONFLICT_MS, 'StatusConflict');
    if (result === 'written') {
      for (const event of transitionEvents(registry.status?.conditions, status.conditions ?? [])) {
        options.events.record(registry, event);
      }
    }
    return nextLook(look.facts, degradesAt(status), now);
  };
}

async function lookAt(options: RegistryReconcilerOptions, registry: Stored<Registry>): Promise<RegistryLook> {
  const { world, readServerStatus } = options;
  const { name, namespace } = registry.metadata;
  const key = formatKey({ namespace, name });
  const look: RegistryLook = {
    registry,
    shareProblems: [],
    facts: {
      servers: [],
      pods: world.pods.byIndex('registry', key).filter(isServer),
      collecting: world.jobs.byIndex('registry', key).some((job) => jobState(job) === 'active'),
    },
  };
  for (const step of registrySteps) {
    const outcome = await step(options, look);
    if (outcome.kind === 'done') continue;
    look.facts.halt = outcome;
    break;
  }
  // Halted or not, what is there is told.
  const { facts } = look;
  const deployment =
    facts.deployment ?? world.deployments.get({ namespace, name: childNames(registry).deployment });
  if (deployment !== undefined) facts.deployment = deployment;
  if (facts.halt !== undefined) options.upgrades.release({ namespace, name }, deployment);
  // After all writes to children: they must not wait for a server that does not answer.
  const answers = await Promise.all(serverAddresses(facts.pods).map(readServerStatus));
  facts.servers = answers.filter((answer) => answer !== undefined);
  return look;
}
