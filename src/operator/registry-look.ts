import type { Registry } from '../api/registry.ts';
import type { EventRecorder } from '../kube/event-recorder.ts';
import type { Stored } from '../kube/object.ts';
import type { Outcome } from '../kube/outcome.ts';
import type { Service } from '../kube/resources.ts';
import type { CertificatePair } from '../pki/key-pair.ts';
import type { Clock } from '../process/clock.ts';
import type { Kube } from './apply-child.ts';
import type { PasswordHasher } from './htpasswd-file.ts';
import type { RegistryFacts } from './registry-facts.ts';
import type { World } from './world.ts';

/** What the steps work with. */
export interface RegistryTools {
  readonly world: World;
  readonly kube: Kube;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly hasher: PasswordHasher;
  readonly clock: Pick<Clock, 'now'>;
  /** Of the registry's pods: the operator's own. */
  readonly image: string;
}

/** One look at one Registry: steps read what earlier ones found and add their own. */
export interface RegistryLook {
  readonly registry: Stored<Registry>;
  readonly facts: { -readonly [Fact in keyof RegistryFacts]: RegistryFacts[Fact] };
  service?: Service;
  authority?: CertificatePair;
}

export type Step = (tools: RegistryTools, look: RegistryLook) => Promise<Outcome>;
