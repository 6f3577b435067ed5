import type { EventRecorder } from '../kube/event-recorder.ts';
import type { Stored } from '../kube/object.ts';
import type { Outcome } from '../kube/outcome.ts';
import type { Service } from '../kube/resources.ts';
import type { Clock } from '../process/clock.ts';
import type { Kube } from './apply-child.ts';
import type { KeptAuthority } from './authority-steps.ts';
import type { Variables } from './credentials.ts';
import type { PasswordHasher } from './htpasswd-file.ts';
import type { Credentials } from './pod-parts.ts';
import type { RegistryFacts } from './registry-facts.ts';
import type { Served } from './served.ts';
import type { ShareProblem } from './share-steps.ts';
import type { UpgradeQueue } from './upgrade-queue.ts';
import type { World } from './world.ts';

/** What the steps work with. */
export interface RegistryTools {
  readonly world: World;
  readonly kube: Kube;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly hasher: PasswordHasher;
  readonly clock: Pick<Clock, 'now'>;
  /** Of the registry's pods, where they have no other: the operator's own. */
  readonly image: string;
  /** Whether a Registry may choose the image of its pods. */
  readonly allowImageOverride: boolean;
  /** Namespaces whose Registries may put something into others. */
  readonly shareFromNamespaces: readonly string[];
  /** Namespaces whose Registries may have certificates of the shared authority; `*`: all. */
  readonly sharedAuthorityNamespaces: readonly string[];
  /** Namespaces of which something may be written on nodes. */
  readonly nodeAccessNamespaces: readonly string[];
  /** Where the operator runs, which asks the pods for their status. */
  readonly operatorNamespace: string;
  readonly upgrades: UpgradeQueue;
}

/** One look at one resource: steps read what earlier ones found and add their own. */
export interface RegistryLook<R extends Served = Served> {
  readonly registry: Stored<R>;
  readonly facts: { -readonly [Fact in keyof RegistryFacts]: RegistryFacts[Fact] };
  service?: Service;
  /** By age; one of them signs. */
  authorities?: readonly KeptAuthority[];
  /** What clients are to trust, in PEM; undefined: what they trust anyway. */
  trusted?: string;
  /** Of the users of the spec, by name. */
  passwords?: ReadonlyMap<string, Buffer>;
  readonly shareProblems: ShareProblem[];
  /** The secret variables of the server's environment, as the pods get them. */
  variables?: Variables;
  credentials?: Credentials;
}

export type Step<R extends Served> = (tools: RegistryTools, look: RegistryLook<R>) => Promise<Outcome>;
