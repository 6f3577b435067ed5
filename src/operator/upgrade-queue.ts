import { formatKey, type KubeObject, type NamespacedName } from '../kube/object.ts';
import type { Deployment } from '../kube/resources.ts';
import { rolloutOf } from './rollout.ts';

/**
 * On a Deployment that served when it got the image it has: that image. Until it serves again it holds a place in the
 * queue, so that an upgrade that breaks registries stops at the first.
 */
export const UPGRADED_ANNOTATION = 'stevedore.dev/upgraded-to';

/** What the operator sees of the Deployments it made. */
interface Deployments {
  get(key: NamespacedName): Deployment | undefined;
  list(): readonly Deployment[];
}

/**
 * Lets registries have a new image a few at a time. What is written in Deployments decides, so that another operator
 * goes on where this one ended; only the places of those whose change is not seen yet are remembered.
 */
export class UpgradeQueue {
  readonly #most: number;
  /** By key, the image that the Deployment will have. */
  readonly #granted = new Map<string, string>();

  /** @param most how many registries may be on their way to another image */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether the registry may have this image now. One that does not serve, or is yet to be made, waits for nobody. */
  admits(key: NamespacedName, image: string, deployments: Deployments): boolean {
    const own = deployments.get(key);
    if (own === undefined || imageOf(own) === image || !serves(own)) return true;
    const all = deployments.list();
    this.#forgetSeen(all);
    const busy = new Set([...this.#granted.keys(), ...all.filter(isReturning).map(keyText)]);
    if (!busy.has(formatKey(key)) && busy.size >= this.#most) return false;
    this.#granted.set(formatKey(key), image);
    return true;
  }

  /**
   * After a look that did not come to its end: a place that led to no change goes to the next, since what stands in
   * the way is for somebody to mend, and may last. `deployment`: as it is after the look.
   */
  release(key: NamespacedName, deployment: Deployment | undefined): void {
    const granted = this.#granted.get(formatKey(key));
    if (deployment === undefined || imageOf(deployment) !== granted) this.#granted.delete(formatKey(key));
  }

  /** A place is taken over by what the Deployment says as soon as it says it, and ends with the Deployment. */
  #forgetSeen(all: readonly Deployment[]): void {
    const images = new Map(all.map((deployment) => [keyText(deployment), imageOf(deployment)]));
    for (const [key, image] of this.#granted) {
      if (!images.has(key) || images.get(key) === image) this.#granted.delete(key);
    }
  }
}

/** What `UPGRADED_ANNOTATION` is to be on the Deployment with this image; undefined: it is not there. */
export function upgradeMark(existing: Deployment | undefined, image: string): string | undefined {
  if (existing === undefined) return undefined;
  if (imageOf(existing) === image) {
    // Once it served with it, what becomes of it later has nothing to do with the upgrade.
    const { complete } = rolloutOf(existing, []);
    return complete ? undefined : existing.metadata.annotations?.[UPGRADED_ANNOTATION];
  }
  return serves(existing) ? image : undefined;
}

function imageOf(deployment: Deployment): string | undefined {
  return deployment.spec?.template.spec?.containers[0]?.image;
}

function serves(deployment: Deployment): boolean {
  return rolloutOf(deployment, []).available;
}

function isReturning(deployment: Deployment): boolean {
  const upgraded = deployment.metadata.annotations?.[UPGRADED_ANNOTATION] === imageOf(deployment);
  return upgraded && !rolloutOf(deployment, []).complete;
}

function keyText({ metadata: { namespace, name } }: KubeObject): string {
  return formatKey({ namespace, name });
}
